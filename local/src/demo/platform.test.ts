import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { Gateway, groupOffsets, isReady, minReplicasOf, missing, type PlatformView } from './platform.ts';

const METRICS = `# TYPE kafka_consumergroup_lag gauge
kafka_consumergroup_lag{consumergroup="interest-batch",topic="t",partition="0"} 5
kafka_consumergroup_lag{consumergroup="interest-batch",topic="t",partition="1"} 7
kafka_consumergroup_lag{consumergroup="other",topic="t",partition="1"} 900
kafka_consumergroup_current_offset{consumergroup="interest-batch",topic="t",partition="0"} 10
kafka_consumergroup_current_offset{consumergroup="interest-batch",topic="t",partition="1"} -1
`;

test('offsets are summed over the partitions of one group; -1 means never committed', () => {
  assert.deepEqual(groupOffsets(METRICS, 'interest-batch'), { lag: 12, committed: 10 });
  assert.equal(groupOffsets(METRICS, 'unknown'), undefined);
});

function platform(status: PlatformView['status']): PlatformView {
  return { metadata: { name: 'demo', generation: 2 }, spec: {}, ...(status === undefined ? {} : { status }) };
}

const READY = { type: 'Ready', status: 'True', reason: 'AllHealthy', message: 'all is well' } as const;

test('a platform is ready when the condition is True for its current generation', () => {
  assert.equal(isReady(undefined), false);
  assert.equal(isReady(platform(undefined)), false);
  assert.equal(isReady(platform({ observedGeneration: 1, conditions: [READY] })), false);
  assert.equal(isReady(platform({ observedGeneration: 2, conditions: [{ ...READY, status: 'False' }] })), false);
  assert.equal(isReady(platform({ observedGeneration: 2, conditions: [READY] })), true);
});

test('what is missing is named by component, else by the Ready condition', () => {
  assert.deepEqual(missing(undefined), ['the resource is not there yet']);
  assert.deepEqual(missing(platform({ observedGeneration: 2, conditions: [READY] })), []);
  const notReady = { ...READY, status: 'False', reason: 'Waiting', message: 'topics' } as const;
  assert.deepEqual(missing(platform({ conditions: [notReady] })), ['Waiting: topics']);
  assert.deepEqual(
    missing(platform({ conditions: [notReady], components: [{ name: 'kafka', ready: 0, desired: 1, message: 'starting' }] })),
    ['kafka 0/1: starting'],
  );
  const queued = { name: 'gateway', ready: 0, desired: 1, message: 'waits for kafka' };
  assert.deepEqual(
    missing(
      platform({ conditions: [notReady], components: [{ name: 'kafka', ready: 0, desired: 1, message: 'starting' }, queued, queued] }),
    ),
    ['kafka 0/1: starting', 'then 2 more'],
  );
});

test('the least replicas are those of the autoscaling, and one where it goes to zero or says nothing', () => {
  const withLeast = (minReplicas?: number): PlatformView => ({
    metadata: { name: 'demo', generation: 1 },
    spec: { workloads: { interest: { autoscaling: minReplicas === undefined ? {} : { minReplicas } } } },
  });
  assert.equal(minReplicasOf(withLeast(2), 'interest'), 2);
  assert.equal(minReplicasOf(withLeast(0), 'interest'), 1);
  assert.equal(minReplicasOf(withLeast(), 'interest'), 1);
  assert.equal(minReplicasOf(undefined, 'interest'), 1);
});

test('the gateway client reads the API key again when a rotation has replaced it, and no more than once', async (t) => {
  let valid = 'former';
  const server = createServer((request, response) => {
    response.writeHead(request.headers.authorization === `Bearer ${valid}` ? 200 : 401).end('{"accepted":1}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  let [current, reads] = ['former', 0];
  const gateway = new Gateway(`http://127.0.0.1:${address.port}`, async () => {
    reads += 1;
    return current;
  });
  assert.deepEqual([await gateway.seed(1), await gateway.seed(1), reads], [1, 1, 1]);
  valid = current = 'new';
  assert.deepEqual([await gateway.seed(1), reads], [1, 2]);
  valid = 'another';
  await assert.rejects(gateway.seed(1), /answered 401/);
  assert.equal(reads, 3);
});
