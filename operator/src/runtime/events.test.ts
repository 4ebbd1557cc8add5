import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeClient } from './client.ts';
import { EventRecorder } from './events.ts';
import { Metrics } from './metrics.ts';
import { FakeClock } from './testing/fake-clock.ts';
import { quiet } from './testing/harness.ts';

const OBJECTS = 100_000;
const LIMIT_MS = 90_000;

/** A recorder whose API server never responds, so that only the cost of recording shows. */
function recorder() {
  const client = { create: () => new Promise(() => undefined) } as unknown as KubeClient;
  const [clock, metrics] = [new FakeClock(), new Metrics()];
  return { clock, metrics, events: new EventRecorder({ client, component: 'c', instance: 'i', metrics, logger: quiet, clock }) };
}

const regarding = (index: number) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: `c${index}`, namespace: 'n', uid: `u${index}` },
});
const created = { type: 'Normal', reason: 'Created', message: 'created' } as const;

// Linear time is about a second here; a scan of every series for each event takes more than ten minutes.
void test('records events about many objects in linear time', async () => {
  const { events, metrics } = recorder();
  const begun = performance.now();
  for (let index = 0; index < OBJECTS; index += 1) {
    events.record(regarding(index), created);
    assert.ok(performance.now() - begun < LIMIT_MS, `${index} events took ${LIMIT_MS} ms`);
  }
  assert.match((await metrics.render()).body, /outcome="dropped"\} [1-9]/, 'the backlog is bounded');
});

void test('starts a new series after the former one has expired, and not before', async () => {
  const { clock, events, metrics } = recorder();
  const repeated = async () => /outcome="repeated"\} (\d+)/.exec((await metrics.render()).body)?.[1];
  events.record(regarding(0), created);
  for (let minute = 0; minute < 10; minute += 1) {
    await clock.advance(60_000);
    events.record(regarding(0), created);
  }
  assert.equal(await repeated(), '10', 'each repetition prolongs the series');
  events.record(regarding(1), created);
  await clock.advance(6 * 60_000 + 1);
  events.record(regarding(0), created);
  assert.equal(await repeated(), '10');
});
