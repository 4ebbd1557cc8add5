/**
 * The whole platform on a cluster of its own: Ready, a wrong resource refused, events applied exactly once whatever is killed in the
 * middle of a burst, consumers added and taken away.
 */
import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';
import { audit } from '../../local/src/demo/audit.ts';
import { until } from '../../local/src/demo/platform.ts';
import { KubectlError } from '../../local/src/target/kubectl.ts';
import {
  assertSound,
  component,
  Environment,
  MINUTE,
  NAMESPACE,
  OPERATOR,
  OPERATOR_NAMESPACE,
  PLATFORM,
  secondsSince,
} from './environment.ts';

/** Enough events that the consumer, limited to `SLOW`, has not processed most of them when the fault occurs. */
const BURST = 40_000;
const SLOW = { resources: { limits: { cpu: '120m' } }, autoscaling: { minReplicas: 1, maxReplicas: 2 } };
const NORMAL = { resources: { limits: { cpu: '200m' } }, autoscaling: { minReplicas: 1, maxReplicas: 4 } };

let env: Environment;

before(
  async () => {
    env = await Environment.start();
  },
  { timeout: 20 * MINUTE },
);

after(() => env?.end(), { timeout: 2 * MINUTE });

/**
 * Sends a burst, runs `fault` while most of it is still waiting, and checks that each event was applied once. On a busy machine the gateway can
 * be slower than the consumer: then the next burst follows.
 */
async function burstWithFault(t: TestContext, fault: () => Promise<void>): Promise<void> {
  await env.untilWhole();
  const start = await env.gateway.ledgerCheck();
  let accepted = 0;
  let waiting = 0;
  for (let burst = 0; burst < 4 && waiting < 0.2 * BURST; burst++) {
    accepted += await env.gateway.seed(BURST);
    waiting = accepted - ((await env.gateway.ledgerCheck()).transactions - start.transactions);
  }
  assert.ok(waiting >= 0.2 * BURST, `the consumer keeps up with the gateway: ${waiting} of ${accepted} events wait`);
  const faultAt = Date.now();
  await fault();
  const end = await env.untilApplied(start, accepted);
  t.diagnostic(`fault while ${waiting} of ${accepted} events waited; all applied ${secondsSince(faultAt)} s later`);
  assertSound(end);
  assert.equal(end.transactions - start.transactions, accepted, 'events applied');
}

test('kubectl get bss prints a name and a Ready column', async () => {
  const table = await env.kubectl.run(['get', 'bss', '-n', NAMESPACE]);
  assert.match(table, /^NAME\s+READY\s+/);
  assert.match(table, /demo\s+True\s+/);
});

/** Agents that mount folders of the node. */
const AGENT = /^(Warning: )?demo-(log-agent|node-exporter)-/;

test('every running pod of the operator and, but for the two agents, of the platform is admitted by Pod Security "restricted"', async () => {
  for (const namespace of [NAMESPACE, OPERATOR_NAMESPACE]) {
    const pods = await env.kubectl.json<{ items: unknown[] }>(['get', 'pods', '-n', namespace]);
    assert.ok(pods.items.length > 0, namespace);
    const others = (await violations(namespace)).filter((line) => !AGENT.test(line));
    assert.deepEqual(others, [], namespace);
  }
});

test('the API server warns of a pod that is not restricted in the namespace of the platform', async () => {
  const options = ['--dry-run=server', '--warnings-as-errors', '-n', NAMESPACE];
  const privileged = ['run', 'privileged', '--image=bss-platform/workloads', '--privileged', ...options];
  await assert.rejects(env.kubectl.run(privileged), /would violate PodSecurity "restricted:latest"/);
});

/** One line for each pod, or group of equal pods, that the level "restricted" would refuse. */
async function violations(namespace: string): Promise<string[]> {
  try {
    await env.kubectl.run(restrict(namespace));
    return [];
  } catch (error) {
    assert.ok(error instanceof KubectlError);
    const lines = error.stderr.split('\n').filter((line) => line.startsWith('Warning: '));
    assert.ok(lines.length > 0, error.stderr);
    return lines.filter((line) => !line.includes('existing pods in namespace'));
  }
}

/** The API server evaluates the running pods of a namespace when its level changes, here by a version; each violation is a warning. */
function restrict(namespace: string): string[] {
  const label = ['enforce=restricted', 'enforce-version=v1.30'].map((mode) => `pod-security.kubernetes.io/${mode}`);
  return ['label', 'namespace', namespace, ...label, '--overwrite', '--dry-run=server', '--warnings-as-errors'];
}

test('the API server rejects an invalid resource and names the field', async () => {
  const wrong = {
    apiVersion: 'bss-platform.io/v1alpha1',
    kind: 'BssPlatform',
    metadata: { name: 'wrong' },
    spec: { workloads: { interest: { autoscaling: { minReplicas: 5, maxReplicas: 2 } } } },
  };
  await assert.rejects(env.kubectl.run(['apply', '-n', NAMESPACE, '-f', '-'], { input: JSON.stringify(wrong) }), (error: unknown) => {
    assert.ok(error instanceof KubectlError);
    assert.match(error.stderr, /maxReplicas/);
    return true;
  });
});

test('applies ten thousand events, each exactly once', { timeout: 5 * MINUTE }, async () => {
  const start = await env.gateway.ledgerCheck();
  const accepted = await env.gateway.seed(10_000);
  const end = await env.untilApplied(start, accepted);
  assert.equal(accepted, 10_000);
  assert.equal(end.transactions - start.transactions, 10_000);
  assertSound(end);
});

test('rolls out a changed resource limit', { timeout: 3 * MINUTE }, async () => {
  await env.setInterest(SLOW);
  const deployment = await env.kubectl.json<{ spec: { template: { spec: { containers: { resources: { limits: { cpu: string } } }[] } } } }>(
    ['get', 'deployment', `${PLATFORM}-interest`, '-n', NAMESPACE],
  );
  assert.equal(deployment.spec.template.spec.containers[0]?.resources.limits.cpu, '120m');
});

test('applies each event once when the interest consumer is killed during a burst', { timeout: 6 * MINUTE }, (t) =>
  burstWithFault(t, () => env.killPods(NAMESPACE, component('interest'))),
);

test('applies each event once when Kafka is killed during a burst', { timeout: 6 * MINUTE }, (t) =>
  burstWithFault(t, () => env.killPods(NAMESPACE, component('kafka'))),
);

test('applies each event once when Postgres is killed during a burst', { timeout: 6 * MINUTE }, (t) =>
  burstWithFault(t, () => env.killPods(NAMESPACE, component('postgres'))),
);

test('applies each event once when the operator is killed during a burst', { timeout: 6 * MINUTE }, (t) =>
  burstWithFault(t, () => env.killPods(OPERATOR_NAMESPACE, OPERATOR)),
);

test('scales consumers up under load and down after it', { timeout: 8 * MINUTE }, async (t) => {
  await env.setInterest(NORMAL);
  const started = Date.now();
  await env.gateway.seed(2 * BURST);
  const peak = await until('more replicas', 2 * MINUTE, async () => {
    const { wanted } = await env.platform.replicas('interest');
    return wanted > 1 ? wanted : undefined;
  });
  t.diagnostic(`${peak} replicas wanted ${secondsSince(started)} s after the burst began`);
  await until('one replica again', 5 * MINUTE, async () => (await env.platform.replicas('interest')).wanted === 1);
  assertSound(await env.gateway.ledgerCheck());
});

test('the platform is Ready after all faults', { timeout: 3 * MINUTE }, () => env.waitReady(2 * MINUTE));

/** An account that the audit compares: it leaves out those with transfers, which are not in the topic. */
const LAST_COMPARED = `SELECT max(a.id) FROM account a WHERE a.kind = 'customer' AND NOT EXISTS (
  SELECT FROM posting p JOIN journal_transaction t ON t.id = p.transaction_id
   WHERE p.account_id = a.id AND t.kind NOT IN ('opening', 'interest'))`;

test('every balance equals an independent calculation over all events, and a changed one is found', { timeout: 6 * MINUTE }, async (t) => {
  const kafkaUrl = await env.target.forward(NAMESPACE, `${PLATFORM}-kafka`, 9092);
  const { events, accounts, wrong } = await audit(env.platform, kafkaUrl);
  t.diagnostic(`${events} events, ${accounts} accounts`);
  assert.ok(events > 0);
  assert.ok(accounts > 9000, 'few accounts have transfers');
  assert.deepEqual(wrong.slice(0, 10), [], `${wrong.length} of ${accounts} balances differ`);
  const id = (await env.platform.sql(LAST_COMPARED)).trim();
  await changeBalance(id, 1);
  try {
    assert.deepEqual(
      (await audit(env.platform, kafkaUrl)).wrong.map((line) => line.split(':')[0]),
      [id],
    );
    assert.equal((await env.gateway.ledgerCheck()).balanceMismatches, 1);
  } finally {
    await changeBalance(id, -1);
  }
});

/** Past the ledger, as a superuser without triggers: the database refuses it otherwise. */
async function changeBalance(id: string, minor: number): Promise<void> {
  const update = `UPDATE account SET balance_minor = balance_minor + (${minor}) WHERE id = '${id}'`;
  await assert.rejects(env.platform.sql(update), /a balance moves by postings alone/);
  await env.platform.sql(`SET session_replication_role = replica; ${update}`);
}

test('deleting the platform removes its objects', { timeout: 3 * MINUTE }, async () => {
  await env.kubectl.run(['delete', 'bss', PLATFORM, '-n', NAMESPACE, '--timeout=120s']);
  await until('no object of the platform', 2 * MINUTE, async () => {
    const left = await env.kubectl.run([
      'get',
      'statefulset,deployment,job,service,configmap',
      '-n',
      NAMESPACE,
      '-l',
      `app.kubernetes.io/instance=${PLATFORM}`,
      '-o',
      'name',
    ]);
    return left.trim() === '';
  });
});
