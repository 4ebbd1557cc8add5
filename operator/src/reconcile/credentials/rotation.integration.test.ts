/** Rotation of the generated credentials against a real API server: the order of its steps, and an operator that is killed at each of them. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ROTATE_ANNOTATION } from '../../api/index.ts';
import { TEMPLATE_ANNOTATION } from '../../platform/index.ts';
import type { KubernetesObject } from '../../runtime/index.ts';
import { conditionOf } from '../status/conditions.ts';
import { Cluster, LIMIT_MS, until, type TestPlatform } from '../testing/cluster.ts';

let cluster: Cluster;

before(async () => {
  cluster = await Cluster.start();
});
after(() => cluster.stop());

interface Variable {
  name: string;
  value?: string;
  valueFrom?: { secretKeyRef?: { key: string } };
}

interface Template {
  template: { spec: { containers: { env?: Variable[] }[] } };
}

function environment(object: KubernetesObject | undefined): Variable[] {
  return (object?.['spec'] as Template | undefined)?.template.spec.containers[0]?.env ?? [];
}

/** User under which the pods of a workload log in. */
async function loginOf(platform: TestPlatform, workload: string): Promise<string> {
  const address = environment(await platform.object('Deployment', workload)).find(({ name }) => name === 'DATABASE_URL')?.value;
  return new URL(address ?? '').username;
}

/** Keys of the Secret that the newest migration reads. */
async function migrated(platform: TestPlatform, former: string[]): Promise<string[]> {
  const name = await until('another migration', LIMIT_MS, async () =>
    (await platform.migrationJobs()).find((job) => !former.includes(job)),
  );
  const job = await platform.have('Job', name.replace(/^a-/, ''));
  return environment(job).flatMap(({ valueFrom }) => valueFrom?.secretKeyRef?.key ?? []);
}

function request(platform: TestPlatform, value: string) {
  return platform.patch({ metadata: { annotations: { [ROTATE_ANNOTATION]: value } } });
}

/** Waits until the rotation is where the reason says. */
async function reaches(platform: TestPlatform, status: string, reason: string): Promise<void> {
  await platform.until('Rotating', status, reason);
}

/** Kills the operator, starts another, and waits for its first pass: nothing must have changed. */
async function killAndCheck(platform: TestPlatform): Promise<void> {
  const seen = await Promise.all([
    platform.credentials(),
    platform.migrationJobs(),
    loginOf(platform, 'ledger'),
    loginOf(platform, 'interest'),
  ]);
  await cluster.operator.stop('SIGKILL');
  await cluster.startOperator();
  await until('two passes', LIMIT_MS, async () => (await cluster.passes()) >= 2);
  const later = await Promise.all([
    platform.credentials(),
    platform.migrationJobs(),
    loginOf(platform, 'ledger'),
    loginOf(platform, 'interest'),
  ]);
  assert.deepEqual(later, seen);
}

/** A pod that still stops, or cannot be reached: no node is there to end it. */
function formerPod(namespace: string): KubernetesObject {
  const labels = {
    'app.kubernetes.io/managed-by': 'bss-operator',
    'app.kubernetes.io/instance': 'a',
    'app.kubernetes.io/component': 'interest',
  };
  const containers = [{ name: 'interest', image: 'interest:1' }];
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'former', namespace, labels, annotations: { [TEMPLATE_ANNOTATION]: 'former' } },
    spec: { containers, serviceAccountName: 'a', automountServiceAccountToken: false },
  };
}

void test('rotates step by step, and resumes after the operator is killed at any step', async () => {
  const platform = await cluster.platform('steps');
  await platform.ready();
  const first = await platform.credentials();
  const jobs = await platform.migrationJobs();
  const pooler = await platform.have('Deployment', 'pgbouncer');

  cluster.hand.withhold('a-migrate-*', 'a-ledger');
  await request(platform, 'one');
  const keys = await migrated(platform, jobs);
  for (const key of ['ledger-password', 'ledger-b-password', 'interest-b-password', 'postgres-password', 'postgres-password-former'])
    assert.ok(keys.includes(key), key);
  await reaches(platform, 'True', 'IntroducingNew');
  await platform.until('Ready', 'False', 'Rotating');
  // An event is published a moment after what it reports: a kill before that loses it.
  await platform.event('RotationBegun');
  await killAndCheck(platform);
  const during = await platform.credentials();
  assert.equal(await loginOf(platform, 'ledger'), 'ledger', 'no pod changes before database and pooler know');
  assert.equal(during['postgres-password-former'], first['postgres-password']);
  assert.equal(during['api-key'], first['api-key']);
  for (const name of ['ledger', 'interest', 'ledger_b', 'interest_b'])
    assert.match(during['pgbouncer-userlist'] ?? '', new RegExp(`"${name}"`));

  await cluster.hand.release('a-migrate-*');
  await until('the ledger to be replaced', LIMIT_MS, async () => (await loginOf(platform, 'ledger')) === 'ledger_b');
  await reaches(platform, 'True', 'ReplacingPods');
  await killAndCheck(platform);
  assert.equal(await loginOf(platform, 'interest'), 'interest', 'one workload after the other');

  await cluster.client.create(formerPod('steps'));
  await cluster.hand.release('a-ledger');
  await platform.ready();
  await platform.event('CredentialsRotated', /Deployment a-interest/);
  await killAndCheck(platform);
  assert.deepEqual(await platform.credentials(), during, 'a pod that stops still uses the former password');
  assert.equal(conditionOf(await platform.status(), 'Rotating')?.reason, 'ReplacingPods');

  const jobsBefore = await platform.migrationJobs();
  cluster.hand.withhold('a-migrate-*');
  await cluster.client.delete({ apiVersion: 'v1', kind: 'Pod', name: 'former', namespace: 'steps' }, { gracePeriodSeconds: 0 });
  const last = await migrated(platform, jobsBefore);
  assert.deepEqual(
    last.filter((key) => key.startsWith('ledger')),
    ['ledger-b-password'],
    'what is not named is locked',
  );
  assert.ok(!last.includes('postgres-password-former'));
  await reaches(platform, 'True', 'LockingFormer');
  await killAndCheck(platform);
  await cluster.hand.release('a-migrate-*');
  await reaches(platform, 'False', 'Rotated');
  await platform.ready();
  await platform.event('RotationDone', /rotation "one" is complete/);

  const end = await platform.credentials();
  assert.deepEqual(
    Object.values(first).filter((value) => value !== '' && Object.values(end).includes(value)),
    [],
    'every value is another one',
  );
  assert.deepEqual(
    [...(end['pgbouncer-userlist'] ?? '').matchAll(/^"(\w+)"/gm)].map(([, user]) => user),
    ['ledger_b', 'relay_b', 'orchestrator_b', 'interest_b', 'readmodel_b', 'accounts_b', 'crm_b', 'stats'],
  );
  assert.equal(end['api-key'], end['api-key-b']);
  const { generation } = (await platform.have('Deployment', 'pgbouncer')).metadata;
  assert.equal(generation, pooler.metadata.generation, 'PgBouncer reads its users again, and is not restarted');
  for (const value of [...Object.values(first), ...Object.values(end)].filter((text) => text.length > 20))
    assert.ok(!cluster.operator.log.includes(value), 'no password in the log');
  assert.ok(!JSON.stringify(await platform.get()).includes(end['ledger-b-password'] ?? '?'), 'nor in status');
});

void test('ignores a repeated rotation request; the next request returns to the first slot', async () => {
  const platform = await cluster.platform('again', {}, { [ROTATE_ANNOTATION]: 'with the first ones' });
  await platform.ready();
  await platform.patch({ metadata: { labels: { touched: 'true' } } });
  await reaches(platform, 'False', 'Rotated');
  const first = await platform.credentials();
  assert.equal(first['active-slot'], 'a');
  await request(platform, 'two');
  await reaches(platform, 'False', 'Rotated');
  await until('the second', LIMIT_MS, async () => (await platform.credentials())['active-slot'] === 'b');
  await platform.event('RotationDone', /"two"/);
  await request(platform, 'three');
  await platform.event('RotationDone', /"three"/);
  await platform.ready();
  const third = await platform.credentials();
  assert.deepEqual(Object.keys(third).toSorted(), Object.keys(first).toSorted());
  assert.equal(await loginOf(platform, 'ledger'), 'ledger');
});

void test('keeps the former passwords while hibernation suspends the migration Job', async () => {
  const platform = await cluster.platform('asleep');
  await platform.ready();
  await platform.patch({ spec: { hibernate: true } });
  await platform.until('Ready', 'False', 'Hibernated');
  await request(platform, 'asleep');
  await until('new passwords', LIMIT_MS, async () => (await platform.credentials())['ledger-b-password'] !== undefined);
  await reaches(platform, 'True', 'ReplacingPods');
  assert.ok((await platform.credentials())['postgres-password-former']);
  await platform.patch({ spec: { hibernate: false } });
  await platform.ready();
  await reaches(platform, 'False', 'Rotated');
  assert.equal((await platform.credentials())['postgres-password-former'], undefined);
});
