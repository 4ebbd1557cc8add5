/**
 * The whole platform on a cluster of its own: Ready, a wrong resource refused, events applied exactly once whatever is killed in the
 * middle of a burst, consumers added and taken away. The cluster ends with the test, also when it fails.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, test, type TestContext } from 'node:test';
import process from 'node:process';
import { Gateway, isReady, missing, PlatformResource, until, type LedgerCheck } from '../../local/src/demo/platform.ts';
import { installOperator } from '../../local/src/target/install.ts';
import { Kubectl, KubectlError } from '../../local/src/target/kubectl.ts';
import { bringUp } from '../../local/src/target/target.ts';
import { LocalTarget } from '../../local/src/target/local.ts';

const NAMESPACE = 'bss';
const PLATFORM = 'demo';
const MINUTE = 60_000;
/** Enough that the consumer, held down to `SLOW`, has most of it still to do when the fault strikes. */
const BURST = 40_000;
const SLOW = { resources: { limits: { cpu: '120m' } }, autoscaling: { minReplicas: 1, maxReplicas: 2 } };
const NORMAL = { resources: { limits: { cpu: '200m' } }, autoscaling: { minReplicas: 1, maxReplicas: 4 } };

const target = new LocalTarget(`e2e-${process.pid}`);
let kubectl: Kubectl;
let platform: PlatformResource;
let gateway: Gateway;

before(
  async () => {
    await bringUp(target);
    await installOperator(target);
    kubectl = await target.kubectl();
    platform = new PlatformResource(kubectl, NAMESPACE, PLATFORM);
    const applied = Date.now();
    await kubectl.run(['apply', '-f', '-'], { input: await readFile(new URL('../../examples/demo.yaml', import.meta.url), 'utf8') });
    await waitReady(4 * MINUTE);
    console.log(`Ready ${((Date.now() - applied) / 1000).toFixed(1)} s after apply`);
    gateway = new Gateway(await target.forward(NAMESPACE, `${PLATFORM}-gateway`, 8080), await platform.credential('debug-token'));
    await until('the ledger to answer', MINUTE, () => gateway.ledgerCheck());
  },
  { timeout: 20 * MINUTE },
);

after(() => target.down(), { timeout: 2 * MINUTE });

async function waitReady(timeoutMs: number): Promise<void> {
  try {
    await until('Ready', timeoutMs, async () => isReady(await platform.get()));
  } catch (error) {
    const state = await kubectl.run(['get', 'pods,events', '-A', '--sort-by=.metadata.creationTimestamp']).catch(String);
    throw new Error(`not Ready: ${missing(await platform.get()).join('; ')}\n${state}`, { cause: error });
  }
}

/** Sends a burst, runs `fault` while most of it is still waiting, and checks that each event was applied once. */
async function burstWithFault(t: TestContext, fault: () => Promise<void>): Promise<void> {
  await untilWhole();
  const start = await gateway.ledgerCheck();
  const accepted = await gateway.seed(BURST);
  const atFault = (await gateway.ledgerCheck()).transactions - start.transactions;
  assert.ok(atFault < 0.8 * accepted, `most of the burst was over before the fault: ${atFault} of ${accepted} applied`);
  const struck = Date.now();
  await fault();
  const end = await untilApplied(start, accepted);
  t.diagnostic(`fault after ${atFault} of ${accepted} events; all applied ${((Date.now() - struck) / 1000).toFixed(1)} s later`);
  assertSound(end);
  assert.equal(end.transactions - start.transactions, accepted, 'events applied');
}

/** What the fault before took away is back: the pods by their own controllers, then the platform by its status. */
async function untilWhole(): Promise<void> {
  for (const object of ['statefulset/demo-kafka', 'statefulset/demo-postgres', 'deployment/demo-interest', 'deployment/demo-gateway'])
    await kubectl.run(['rollout', 'status', object, '-n', NAMESPACE, '--timeout=120s']);
  await waitReady(2 * MINUTE);
}

function untilApplied(start: LedgerCheck, accepted: number): Promise<LedgerCheck> {
  return until(
    `${accepted} events to be applied`,
    5 * MINUTE,
    async () => {
      const check = await gateway.ledgerCheck();
      return check.transactions - start.transactions >= accepted ? check : undefined;
    },
    1000,
  );
}

function assertSound(check: LedgerCheck): void {
  assert.deepEqual(
    {
      sum: check.sumMinor,
      unbalanced: check.unbalancedTransactions,
      mismatches: check.balanceMismatches,
      duplicates: check.duplicateEvents,
      ok: check.ok,
    },
    { sum: '0', unbalanced: 0, mismatches: 0, duplicates: 0, ok: true },
  );
}

/** Changes the interest consumer and waits until the platform has followed. */
async function setInterest(interest: object): Promise<void> {
  await kubectl.run([
    'patch',
    'bss',
    PLATFORM,
    '-n',
    NAMESPACE,
    '--type=merge',
    '-p',
    JSON.stringify({ spec: { workloads: { interest } } }),
  ]);
  await waitReady(2 * MINUTE);
}

/** Ends a pod's processes at once, as a crash of its machine would. */
async function killPods(namespace: string, selector: string): Promise<void> {
  await kubectl.run(['delete', 'pod', '-n', namespace, '-l', selector, '--grace-period=0', '--force', '--wait=false']);
}

function component(name: string): string {
  return `app.kubernetes.io/instance=${PLATFORM},app.kubernetes.io/name=${name}`;
}

test('kubectl get bss reads well', async () => {
  const table = await kubectl.run(['get', 'bss', '-n', NAMESPACE]);
  assert.match(table, /^NAME\s+READY\s+/);
  assert.match(table, /demo\s+True\s+/);
});

test('every pod runs under Pod Security "restricted"', async () => {
  const namespace = await kubectl.json<{ metadata: { labels: Record<string, string> } }>(['get', 'namespace', NAMESPACE]);
  assert.equal(namespace.metadata.labels['pod-security.kubernetes.io/enforce'], 'restricted');
});

test('a wrong resource is refused by the API server with words that say what to write', async () => {
  const wrong = {
    apiVersion: 'bss-platform.io/v1alpha1',
    kind: 'BssPlatform',
    metadata: { name: 'wrong' },
    spec: { workloads: { interest: { autoscaling: { minReplicas: 5, maxReplicas: 2 } } } },
  };
  await assert.rejects(kubectl.run(['apply', '-n', NAMESPACE, '-f', '-'], { input: JSON.stringify(wrong) }), (error: unknown) => {
    assert.ok(error instanceof KubectlError);
    assert.match(error.stderr, /maxReplicas/);
    return true;
  });
});

test('ten thousand events are applied, each once', { timeout: 5 * MINUTE }, async () => {
  const start = await gateway.ledgerCheck();
  const accepted = await gateway.seed(10_000);
  const end = await untilApplied(start, accepted);
  assert.equal(accepted, 10_000);
  assert.equal(end.transactions - start.transactions, 10_000);
  assertSound(end);
});

test('a changed resource limit is rolled out', { timeout: 3 * MINUTE }, async () => {
  await setInterest(SLOW);
  const deployment = await kubectl.json<{ spec: { template: { spec: { containers: { resources: { limits: { cpu: string } } }[] } } } }>([
    'get',
    'deployment',
    `${PLATFORM}-interest`,
    '-n',
    NAMESPACE,
  ]);
  assert.equal(deployment.spec.template.spec.containers[0]?.resources.limits.cpu, '120m');
});

test('the interest consumer killed in the middle of a burst', { timeout: 6 * MINUTE }, (t) =>
  burstWithFault(t, () => killPods(NAMESPACE, component('interest'))),
);

test('Kafka killed in the middle of a burst', { timeout: 6 * MINUTE }, (t) =>
  burstWithFault(t, () => killPods(NAMESPACE, component('kafka'))),
);

test('Postgres killed in the middle of a burst', { timeout: 6 * MINUTE }, (t) =>
  burstWithFault(t, () => killPods(NAMESPACE, component('postgres'))),
);

test('the operator killed in the middle of a burst', { timeout: 6 * MINUTE }, (t) =>
  burstWithFault(t, () => killPods('bss-system', 'app.kubernetes.io/name=bss-operator')),
);

test('consumers are added under load and taken away after it', { timeout: 8 * MINUTE }, async (t) => {
  await setInterest(NORMAL);
  const started = Date.now();
  await gateway.seed(4 * BURST);
  const peak = await until('more replicas', 2 * MINUTE, async () => {
    const { wanted } = await platform.replicas('interest');
    return wanted > 1 ? wanted : undefined;
  });
  t.diagnostic(`${peak} replicas wanted ${((Date.now() - started) / 1000).toFixed(1)} s after the burst began`);
  await until('one replica again', 5 * MINUTE, async () => (await platform.replicas('interest')).wanted === 1);
  assertSound(await gateway.ledgerCheck());
});

test('after all of that the platform is Ready again', { timeout: 3 * MINUTE }, () => waitReady(2 * MINUTE));

test('deleting the platform removes its objects', { timeout: 3 * MINUTE }, async () => {
  await kubectl.run(['delete', 'bss', PLATFORM, '-n', NAMESPACE, '--timeout=120s']);
  await until('no object of the platform', 2 * MINUTE, async () => {
    const left = await kubectl.run([
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
