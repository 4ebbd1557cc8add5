/** A proposed spec in an annotation: planned on a real API server, shown in status, never applied. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { BssPlatformStatus } from '../../api/index.ts';
import { PLAN_ANNOTATION } from './plan-request.ts';
import { Cluster, LIMIT_MS, until, type TestPlatform } from '../testing/cluster.ts';

let cluster: Cluster;
let platform: TestPlatform;

before(async () => {
  cluster = await Cluster.start();
  platform = await cluster.platform('plan', { redis: { enabled: true } });
  await platform.ready();
});
after(() => cluster.stop());

type Plan = NonNullable<BssPlatformStatus['plan']>;

const annotate = (value: string | null) => platform.patch({ metadata: { annotations: { [PLAN_ANNOTATION]: value } } });

/** Lays a proposal over the platform and waits for the plan of it. */
async function propose(value: unknown, holds: (plan: Plan) => boolean = () => true): Promise<Plan> {
  const former = (await platform.status()).plan?.request;
  await annotate(typeof value === 'string' ? value : JSON.stringify(value));
  return until('the plan', LIMIT_MS, async () => {
    const { plan } = await platform.status();
    return plan !== undefined && plan.request !== former && holds(plan) && plan;
  });
}

function changeOf({ changes = [] }: Plan, object: string) {
  const found = changes.find((change) => change.object === object);
  assert.ok(found, `${object} is not among ${JSON.stringify(changes.map((change) => change.object))}`);
  return found;
}

/** Writes of the operator in the platform's namespace; dry runs are in the audit log like any other request. */
async function settledWrites(): Promise<number> {
  return (await cluster.writes()).filter(({ namespace }) => namespace === 'plan').length;
}

void test('plans a proposal exactly, and applies none of it', async () => {
  const earlier = await platform.get();
  const plan = await propose({
    spec: { redis: { enabled: false }, workloads: { gateway: { replicas: 2 }, ledger: { logLevel: 'debug' } } },
  });
  assert.equal(plan.result, 'Changes');
  assert.match(plan.summary, /^1 to create, 3 to change, 4 to delete; the pods of Deployment a-ledger, Deployment a-crm restart$/);
  assert.equal(changeOf(plan, 'Deployment a-redis').action, 'delete');
  assert.match(changeOf(plan, 'Deployment a-gateway').diff ?? '', /^-\s+replicas: 1\n\+\s+replicas: 2$/m);
  assert.equal(changeOf(plan, 'Deployment a-gateway').restarts, undefined);
  assert.deepEqual(changeOf(plan, 'Deployment a-ledger').restarts, ['EnvironmentChanged']);
  assert.match(changeOf(plan, 'Deployment a-crm').diff ?? '', /REDIS_URL/, 'crm loses the second level of its cache');
  assert.equal(plan.observedGeneration, earlier.metadata.generation);

  const later = await platform.get();
  assert.deepEqual(later.spec, earlier.spec);
  assert.ok(await platform.object('Deployment', 'redis'));
  const text = JSON.stringify(plan);
  // One of the values is a letter: which slot is in use.
  const secrets = Object.values(await platform.credentials()).filter((value) => value.length > 1);
  for (const password of secrets) assert.ok(!text.includes(password.trim()), 'no password is shown');
});

void test('sends no write and no dry run for a settled platform with a plan', async () => {
  await platform.ready();
  // Renewals of the Lease tell the time: one every two seconds.
  const calm = (await cluster.leaseRenewals()) + 6;
  await until('the dust to settle', LIMIT_MS, async () => (await cluster.leaseRenewals()) >= calm);
  const earlier = await settledWrites();
  await until('more renewals', LIMIT_MS, async () => (await cluster.leaseRenewals()) >= calm + 8);
  assert.equal((await settledWrites()) - earlier, 0);
});

void test('reports problems of a proposal with the path of the field', async () => {
  const wrong: [unknown, string, RegExp][] = [
    [{ spec: { workloads: { intrest: {} } } }, 'spec.workloads', /intrest/],
    [
      { spec: { workloads: { interest: { autoscaling: { minReplicas: 5, maxReplicas: 2 } } } } },
      'spec.workloads.interest.autoscaling.maxReplicas',
      /^maxReplicas is below minReplicas/,
    ],
    ['{"spec":', `metadata.annotations[${PLAN_ANNOTATION}]`, /^write a merge patch as JSON or YAML/],
  ];
  for (const [value, path, message] of wrong) {
    const plan = await propose(value);
    assert.equal(plan.result, 'Invalid', JSON.stringify(plan));
    const problem = plan.problems?.find((entry) => entry.path === path);
    assert.match(problem?.message ?? '', message, JSON.stringify(plan.problems));
    assert.equal(plan.changes, undefined);
  }
  assert.equal((await platform.ready()).conditions?.find(({ type }) => type === 'SpecValid')?.status, 'True', 'the spec itself is right');
});

void test('reports what the API server would refuse', async () => {
  const plan = await propose({ spec: { postgres: { managed: { storage: { size: '20Gi' } } } } });
  assert.equal(plan.result, 'Refused', JSON.stringify(plan));
  const refused = changeOf(plan, 'PersistentVolumeClaim a-postgres-data');
  assert.deepEqual([refused.action, refused.diff], ['refused', undefined]);
  assert.match(refused.message ?? '', /spec/);
});

void test('reports a volume that would shrink', async () => {
  // The size was left out so far, so that no rule can know that this one is smaller than the volume, which keeps its size.
  const plan = await propose({ spec: { postgres: { managed: { storage: { size: '1Gi' } } } } });
  assert.equal(plan.result, 'NoChanges', JSON.stringify(plan));
  assert.match(
    plan.warnings?.join('\n') ?? '',
    /PersistentVolumeClaim a-postgres-data: it requests 5Gi, and the spec 1Gi: .*a volume cannot shrink/,
  );
  await platform.patch({ spec: { postgres: { managed: { storage: { size: '5Gi' } } } } });
  const wrong = await until('the rule to know', LIMIT_MS, async () => {
    const { plan: next } = await platform.status();
    return next?.result === 'Invalid' && next;
  });
  assert.equal(wrong.problems?.[0]?.path, 'spec.postgres.managed.storage.size');
  assert.match(wrong.problems[0].message, /a volume cannot shrink/);
});

void test('reports the message of an admission policy that denies the change', async () => {
  const api = 'admissionregistration.k8s.io/v1';
  const rule = { apiGroups: ['bss-platform.io'], apiVersions: ['*'], operations: ['CREATE', 'UPDATE'], resources: ['bssplatforms'] };
  const validations = [{ expression: "object.spec.version != '0.9.0'", message: 'version 0.9.0 is withdrawn' }];
  const spec = { failurePolicy: 'Fail', matchConstraints: { resourceRules: [rule] }, validations };
  await cluster.client.create({ apiVersion: api, kind: 'ValidatingAdmissionPolicy', metadata: { name: 'withdrawn' }, spec });
  const binding = { policyName: 'withdrawn', validationActions: ['Deny'] };
  await cluster.client.create({
    apiVersion: api,
    kind: 'ValidatingAdmissionPolicyBinding',
    metadata: { name: 'withdrawn' },
    spec: binding,
  });
  const withdrawn = { spec: { version: '0.9.0' } };
  await until('the policy to be in force', LIMIT_MS, () =>
    cluster.client.patch(platform.reference, withdrawn, { dryRun: true }).then(
      () => false,
      (error: Error) => error.message.includes('withdrawn'),
    ),
  );
  const plan = await propose(withdrawn);
  assert.equal(plan.result, 'Invalid', JSON.stringify(plan));
  assert.match(plan.summary, /version 0\.9\.0 is withdrawn/);
});

void test('applies what it planned, and then plans no changes', async () => {
  const proposal = { spec: { version: '0.2.0' } };
  const plan = await propose(proposal);
  const job = plan.changes?.find(({ action, object }) => action === 'create' && object.startsWith('Job a-migrate-'))?.object;
  assert.ok(job, JSON.stringify(plan.changes));
  await platform.patch(proposal);
  await platform.ready();
  assert.deepEqual(
    (await platform.migrationJobs()).map((name) => `Job ${name}`),
    [job],
  );
  const { generation } = (await platform.get()).metadata;
  const settled = await until('the plan of what is there now', LIMIT_MS, async () => {
    const { plan: next } = await platform.status();
    return next?.result === 'NoChanges' && next;
  });
  assert.deepEqual([settled.observedGeneration, settled.summary, settled.changes], [generation, 'no changes', undefined]);
});

void test('plans a paused platform', async () => {
  await platform.patch({ spec: { paused: true } });
  await platform.until('Paused', 'True');
  const plan = await propose('spec:\n  workloads:\n    gateway:\n      replicas: 3\n');
  assert.match(changeOf(plan, 'Deployment a-gateway').diff ?? '', /^\+\s+replicas: 3$/m);
  assert.match(plan.warnings?.join() ?? '', /spec\.paused is true: the operator makes none of these changes/);
  await platform.patch({ spec: { paused: false } });
});

void test('removes the plan with its annotation', async () => {
  await annotate(null);
  await until('the plan to go', LIMIT_MS, async () => (await platform.status()).plan === undefined);
  await platform.ready();
});
