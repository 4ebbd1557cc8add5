/** The whole operator against a real API server and a real Kafka; a hand plays controllers and nodes. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { Kafka, logLevel } from 'kafkajs';
import { referenceOf, type KubernetesObject } from '../runtime/index.ts';
import { noteRecovery } from '../runtime/testing/harness.ts';
import { Cluster, LIMIT_MS, until } from './testing/cluster.ts';
import { installKeda } from './testing/keda.ts';

let cluster: Cluster;

before(async () => {
  cluster = await Cluster.start();
});
after(() => cluster.stop());

/** Field of an object by a path of keys. */
function at(object: KubernetesObject | undefined, ...path: (string | number)[]): unknown {
  return path.reduce<unknown>((value, key) => (value as Record<string, unknown> | undefined)?.[key], object);
}

/** Takes an object from its platform: without labels and owner reference it counts as foreign. */
const UNOWNED = { labels: { 'app.kubernetes.io/managed-by': null, 'app.kubernetes.io/instance': null }, ownerReferences: null };

const image = (object: KubernetesObject | undefined) => at(object, 'spec', 'template', 'spec', 'containers', 0, 'image');

describe('order by health', () => {
  void test('applies a stage when the earlier ones are healthy, and keeps it when an earlier one becomes unhealthy', async () => {
    cluster.hand.withhold('a-postgres', 'a-ledger');
    const platform = await cluster.platform('order');
    await platform.have('StatefulSet', 'postgres');
    await platform.event('Created', /postgres: created/);
    const waiting = await until('the status', LIMIT_MS, async () => {
      const { components } = await platform.status();
      return components?.find(({ name }) => name === 'gateway');
    });
    assert.match(waiting.message ?? '', /^waits for .*postgres/);
    assert.deepEqual(await platform.migrationJobs(), []);
    assert.equal(await platform.object('Deployment', 'gateway'), undefined);

    await cluster.hand.release('a-postgres');
    await platform.have('Deployment', 'gateway');
    assert.equal((await platform.migrationJobs()).length, 1);
    assert.equal(await platform.object('Deployment', 'kafka-exporter'), undefined, 'observability waits for the ledger');
    await cluster.hand.release('a-ledger');
    const status = await platform.ready();
    assert.equal(status.version, '0.1.0');
    assert.ok(status.components?.every(({ ready, desired }) => ready === desired));

    await cluster.hand.fail(await platform.have('StatefulSet', 'postgres'));
    await platform.until('Ready', 'False', 'NotReady');
    assert.ok(await platform.object('Deployment', 'gateway'), 'what runs is not torn down');
    await cluster.hand.release('a-postgres');
    await platform.ready();
  });

  void test('stops an upgrade at the first component that does not become healthy, and rolls back to the old version', async () => {
    const platform = await cluster.platform('upgrade');
    await platform.ready();
    const [old, older] = [image(await platform.object('Deployment', 'gateway')), await platform.migrationJobs()];
    cluster.hand.withhold('a-ledger');
    await platform.patch({ spec: { version: '0.2.0' } });
    const ledger = await until('the ledger to be changed', LIMIT_MS, async () => {
      const object = await platform.object('Deployment', 'ledger');
      return image(object) !== old && object;
    });
    const overdue = { type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded', message: 'too slow' };
    const status = {
      observedGeneration: ledger.metadata.generation,
      replicas: 2,
      updatedReplicas: 1,
      readyReplicas: 1,
      conditions: [overdue],
    };
    await cluster.client.patch(platform.ref('Deployment', 'ledger'), { status }, { subresource: 'status' });
    const stopped = await platform.until('Degraded', 'True', 'UpgradeStopped');
    const message = stopped.conditions?.find(({ type }) => type === 'Degraded')?.message ?? '';
    assert.match(message, /^the upgrade from 0\.1\.0 to 0\.2\.0 stopped at ledger: .*; set spec\.version to 0\.1\.0 to roll back$/);
    assert.equal(image(await platform.object('Deployment', 'gateway')), old, 'the next component is not touched');
    assert.equal(stopped.version, '0.1.0');

    await platform.patch({ spec: { version: '0.1.0' } });
    await cluster.hand.release('a-ledger');
    await platform.ready();
    assert.equal(image(await platform.object('Deployment', 'ledger')), old);
    assert.deepEqual(await platform.migrationJobs(), older);
    await platform.event('ImageChanged', /Deployment a-ledger/);
  });
});

describe('migration Job', () => {
  void test('retries it without a limit, and also a Job that has failed for good', async () => {
    cluster.hand.withhold('a-migrate-*');
    const platform = await cluster.platform('retry');
    const jobs = () => cluster.client.list({ apiVersion: 'batch/v1', kind: 'Job' }, { namespace: platform.namespace });
    const job = await until('the Job', LIMIT_MS, async () => (await jobs()).items[0]);
    assert.equal(at(job, 'spec', 'backoffLimit'), 2_147_483_647);
    await cluster.client.patch(referenceOf(job), { status: failedStatus(new Date(Date.now() - 120_000)) }, { subresource: 'status' });
    const next = await until('another Job in its place', LIMIT_MS, async () =>
      (await jobs()).items.find(({ metadata }) => metadata.uid !== job.metadata.uid && metadata.deletionTimestamp === undefined),
    );
    assert.equal(next.metadata.name, job.metadata.name);
    await platform.event('JobRetried', /Job a-migrate-\w+ had failed/);
    await cluster.hand.release('a-migrate-*');
    await platform.ready();
  });
});

/** Status of a Job whose pods have failed more often than `backoffLimit`. */
function failedStatus(failedAt: Date): Record<string, unknown> {
  const time = failedAt.toISOString().replace(/\.\d+Z$/, 'Z');
  const reason = 'BackoffLimitExceeded';
  const conditions = ['FailureTarget', 'Failed'].map((type) => ({
    type,
    status: 'True',
    reason,
    lastProbeTime: time,
    lastTransitionTime: time,
  }));
  return { failed: 7, startTime: time, uncountedTerminatedPods: {}, conditions };
}

describe('settled', () => {
  void test('corrects drift: edited, removed, deleted, unlabelled', async (t) => {
    const platform = await cluster.platform('drift');
    await platform.ready();
    const earlier = await platform.have('Deployment', 'gateway');
    const begun = performance.now();
    const containers = [{ name: 'gateway', image: 'evil:1', env: [{ name: 'LOG_LEVEL', value: 'trace' }] }];
    await cluster.client.patch(
      platform.ref('Deployment', 'gateway'),
      { spec: { template: { spec: { containers } } } },
      { type: 'strategic', fieldManager: 'kubectl-edit' },
    );
    await until('the image to be back', LIMIT_MS, async () => image(await platform.object('Deployment', 'gateway')) === image(earlier));
    noteRecovery(t, 'Deployment edited manually', performance.now() - begun);
    await platform.event('DriftCorrected', /kubectl-edit/);

    const removed = performance.now();
    await platform.remove('Service', 'gateway');
    await platform.have('Service', 'gateway');
    noteRecovery(t, 'Service deleted manually', performance.now() - removed);
    await platform.event('Recreated', /Service a-gateway/);
    await platform.remove('ConfigMap', 'pgbouncer');
    await platform.have('ConfigMap', 'pgbouncer');
    await platform.edit('Service', 'ledger', { metadata: UNOWNED });
    // Without labels and owner reference it counts as foreign until it is deleted.
    await platform.until('Ready', 'False', 'ApplyFailed');
    await platform.remove('Service', 'ledger');
    await platform.ready();
    await platform.edit('Service', 'ledger', { metadata: { ownerReferences: null } });
    await until(
      'the owner to be back',
      LIMIT_MS,
      async () => (await platform.object('Service', 'ledger'))?.metadata.ownerReferences?.length === 1,
    );
  });

  void test('rate limits and reports corrections when another manager keeps changing a field', async (t) => {
    const platform = await cluster.platform('fight');
    await platform.ready();
    const edit = (level: number) => {
      const containers = [{ name: 'gateway', env: [{ name: 'LOG_LEVEL', value: `evil-${level}` }] }];
      const patch = { spec: { template: { spec: { containers } } } };
      return cluster.client.patch(platform.ref('Deployment', 'gateway'), patch, { type: 'strategic', fieldManager: 'rival' });
    };
    let edits = 0;
    let fighting = true;
    const fight = async () => {
      while (fighting) await edit((edits += 1));
    };
    const rival = fight();
    try {
      const warned = await until('the warning', LIMIT_MS, async () =>
        (await platform.status()).warnings?.find((text) => text.includes('Deployment a-gateway')),
      );
      assert.match(warned, /another client keeps changing it/);
    } finally {
      fighting = false;
      await rival;
    }
    const corrections = (await cluster.writes()).filter(({ resource, name }) => resource === 'deployments' && name === 'a-gateway').length;
    t.diagnostic(`${edits} edits, ${corrections} writes to the object`);
    await platform.event('DriftCorrected', /rival/);
    await until('peace', LIMIT_MS, async () => {
      const containers = at(await platform.object('Deployment', 'gateway'), 'spec', 'template', 'spec', 'containers', 0, 'env') as {
        name: string;
        value?: string;
      }[];
      return containers.find(({ name }) => name === 'LOG_LEVEL')?.value === 'info' && (await platform.status()).warnings?.length === 0;
    });
  });

  void test('resumes after the operator is killed, and writes only what is missing', async (t) => {
    const platform = await cluster.platform('restart');
    await platform.ready();
    const quiet = await cluster.platform('quiet', { workloads: { interest: { enabled: false } } });
    await quiet.ready();
    const status = await until('the group to be sampled', LIMIT_MS, async () => {
      const seen = await quiet.status();
      return seen.consumerGroups?.every(({ reason }) => reason !== 'Starting') === true && seen;
    });
    const secrets = await platform.credentials();
    await cluster.operator.stop('SIGKILL');
    await platform.remove('Deployment', 'kafka-exporter');
    const [writes, started] = [await cluster.writes(), performance.now()];
    await cluster.startOperator();
    await platform.have('Deployment', 'kafka-exporter');
    noteRecovery(
      t,
      'the only operator killed',
      performance.now() - started,
      'counted from the start of the next, which waits for the Lease to expire',
    );
    assert.deepEqual(await platform.credentials(), secrets);
    await platform.ready();
    // Its first pass may have to wait for all others.
    await until('the passes', LIMIT_MS, async () => (await cluster.passes()) >= 12);
    assert.deepEqual(await quiet.status(), status, 'a condition that flaps at a restart');
    const touched = (await cluster.writes()).slice(writes.length);
    assert.deepEqual(
      touched.filter(({ namespace }) => namespace === 'quiet'),
      [],
    );
    assert.deepEqual(
      touched.filter(({ resource }) => resource !== 'bssplatforms'),
      [{ verb: 'patch', resource: 'deployments', namespace: 'restart', name: 'a-kafka-exporter' }],
    );
  });
});

describe('pruning', () => {
  void test('prunes objects that are no longer desired, and no others', async () => {
    const platform = await cluster.platform('prune', { redis: { enabled: true }, networkPolicies: { enabled: true } });
    await platform.ready();
    await platform.have('Deployment', 'redis');
    await platform.have('NetworkPolicy', 'gateway');
    const labels = (await platform.have('Service', 'redis')).metadata.labels ?? {};
    const stranger: KubernetesObject = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a-mine', namespace: 'prune', labels } };
    await cluster.client.create(stranger);
    await platform.edit('NetworkPolicy', 'ledger', { metadata: UNOWNED });
    await platform.until('Ready', 'False', 'ApplyFailed');
    await platform.patch({ spec: { redis: { enabled: false }, networkPolicies: { enabled: false } } });
    await platform.gone('Deployment', 'redis');
    await platform.gone('Service', 'redis');
    await platform.gone('NetworkPolicy', 'gateway');
    const { inventory } = await platform.ready();
    assert.ok(!inventory?.some(({ name }) => name === 'a-redis'));
    assert.ok(await platform.object('ConfigMap', 'mine'), 'labels alone do not make an object ours to delete');
    assert.ok(await platform.object('NetworkPolicy', 'ledger'), 'what was created for the platform and taken over since is kept');
  });
});

describe('pause, hibernation, deletion', () => {
  void test('validates a paused platform and reports its health, but changes nothing', async () => {
    const platform = await cluster.platform('paused');
    await platform.ready();
    await platform.patch({ spec: { paused: true, workloads: { gateway: { replicas: 3 } } } });
    const status = await platform.until('Paused', 'True');
    assert.equal(status.observedGeneration, 1);
    await platform.remove('Service', 'gateway');
    await cluster.hand.fail(await platform.have('Deployment', 'ledger'));
    await until('the illness to show', LIMIT_MS, async () =>
      (await platform.status()).conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'False'),
    );
    assert.equal(await platform.object('Service', 'gateway'), undefined);
    assert.equal(at(await platform.object('Deployment', 'gateway'), 'spec', 'replicas'), 1);
    await cluster.hand.release('a-ledger');
    await platform.patch({ spec: { paused: false } });
    await platform.have('Service', 'gateway');
    assert.equal((await platform.ready()).observedGeneration, 3);
    assert.equal(at(await platform.object('Deployment', 'gateway'), 'spec', 'replicas'), 3);
    await platform.event('Resumed');
  });

  void test('hibernates workloads before stores, and wakes stores first', async () => {
    const platform = await cluster.platform('hibernate');
    await platform.ready();
    const replicas = async (kind: string, name: string) => at(await platform.object(kind, name), 'spec', 'replicas');
    cluster.hand.withhold('a-interest');
    await platform.patch({ spec: { hibernate: true } });
    await until('the consumers to be asked to stop', LIMIT_MS, async () => (await replicas('Deployment', 'interest')) === 0);
    await platform.until('Ready', 'False', 'Hibernating');
    assert.equal(await replicas('StatefulSet', 'postgres'), 1, 'the store runs while a consumer does');
    await cluster.hand.release('a-interest');
    await platform.until('Ready', 'False', 'Hibernated');
    assert.equal(await replicas('StatefulSet', 'postgres'), 0);
    assert.ok(await platform.object('PersistentVolumeClaim', 'postgres-data'));

    cluster.hand.withhold('a-postgres');
    await platform.patch({ spec: { hibernate: false } });
    await until('the store to be woken', LIMIT_MS, async () => (await replicas('StatefulSet', 'postgres')) === 1);
    assert.equal(await replicas('Deployment', 'ledger'), 0, 'workloads wait for their store');
    await cluster.hand.release('a-postgres');
    await platform.ready();
    assert.equal(await replicas('Deployment', 'interest'), 1);
    await platform.event('Waking');
  });

  void test('keeps volumes and passwords of a deleted platform, and a new platform of the name adopts them', async () => {
    const platform = await cluster.platform('keep');
    await platform.ready();
    const [secrets, volume] = [await platform.credentials(), await platform.have('PersistentVolumeClaim', 'postgres-data')];
    await platform.delete();
    assert.equal(await platform.object('Deployment', 'gateway'), undefined);
    assert.equal(await platform.object('StatefulSet', 'postgres'), undefined);
    assert.ok(await platform.object('PersistentVolumeClaim', 'postgres-data'));
    await platform.create();
    await platform.ready();
    assert.deepEqual(await platform.credentials(), secrets);
    assert.equal((await platform.have('PersistentVolumeClaim', 'postgres-data')).metadata.uid, volume.metadata.uid);
  });

  void test('deletes everything with deletionPolicy: delete, even if it was set just before', async () => {
    const platform = await cluster.platform('delete');
    await platform.ready();
    await platform.patch({ spec: { deletionPolicy: 'delete' } });
    await platform.delete();
    // The API server itself holds a claim back until no pod uses it; no controller of the test removes that finalizer.
    await until('the claim to be asked to go', LIMIT_MS, async () => {
      const claim = await platform.object('PersistentVolumeClaim', 'postgres-data');
      return claim === undefined || claim.metadata.deletionTimestamp !== undefined;
    });
    assert.equal(await platform.object('Secret', 'credentials'), undefined);
    assert.equal(await platform.object('Service', 'gateway'), undefined);
  });

  void test('deletes consumers before the stores that they drain through, which wait for the last pod', async () => {
    const platform = await cluster.platform('drain');
    await platform.ready();
    const { labels = {} } = (await platform.have('Deployment', 'interest')).metadata;
    const pod = { apiVersion: 'v1', kind: 'Pod', name: 'draining', namespace: 'drain' };
    const spec = { containers: [{ name: 'interest', image: 'interest:1' }], serviceAccountName: 'a', automountServiceAccountToken: false };
    await cluster.client.create({ apiVersion: 'v1', kind: 'Pod', metadata: { name: pod.name, namespace: pod.namespace, labels }, spec });
    await cluster.client.delete(platform.reference, { propagation: 'Background' });
    const waiting = await platform.until('Ready', 'False', 'Deleting');
    assert.match(waiting.conditions?.find(({ type }) => type === 'Ready')?.message ?? '', /waits for 1 pod to terminate/);
    await platform.gone('Deployment', 'interest');
    for (const [kind, name] of [
      ['Deployment', 'pgbouncer'],
      ['StatefulSet', 'postgres'],
    ] as const)
      assert.equal((await platform.have(kind, name)).metadata.deletionTimestamp, undefined, name);
    await cluster.client.delete(pod, { gracePeriodSeconds: 0 });
    await until('the platform to be gone', LIMIT_MS, async () => (await cluster.client.find(platform.reference)) === undefined);
    await platform.gone('Deployment', 'pgbouncer');
  });

  void test('adopts orphaned objects when a platform of the same name is created', async () => {
    const platform = await cluster.platform('adopt');
    await platform.ready();
    const earlier = await platform.have('Deployment', 'gateway');
    await cluster.client.delete(platform.reference, { propagation: 'Orphan' });
    // There is no garbage collector here: the test does its part.
    await until('our finalizer to go', LIMIT_MS, async () => (await platform.get()).metadata.finalizers?.join() === 'orphan');
    await platform.patch({ metadata: { finalizers: null } });
    await until('the platform to be gone', LIMIT_MS, async () => (await cluster.client.find(platform.reference)) === undefined);
    await platform.create();
    await platform.ready();
    const later = await platform.have('Deployment', 'gateway');
    assert.equal(later.metadata.uid, earlier.metadata.uid);
    assert.equal(later.metadata.ownerReferences?.[0]?.uid, (await platform.get()).metadata.uid);
  });
});

describe('credentials and topics', () => {
  void test('generates passwords once, restores deleted or edited keys, and accepts an edited administrator password', async () => {
    const platform = await cluster.platform('credentials');
    await platform.ready();
    const made = await platform.credentials();
    assert.ok((made['postgres-password']?.length ?? 0) >= 24);
    await platform.edit('Secret', 'credentials', { data: { 'ledger-password': null } });
    await until('the key to be back', LIMIT_MS, async () => (await platform.credentials())['ledger-password'] === made['ledger-password']);
    await platform.remove('Secret', 'credentials');
    assert.deepEqual(await platform.credentials(), made);
    const another = Buffer.from('another-password').toString('base64');
    await platform.edit('Secret', 'credentials', { data: { 'interest-password': another } });
    await until('the edit to be put back', LIMIT_MS, async () => isDeepStrictEqual(await platform.credentials(), made));
    await platform.event('CredentialsCompleted', /missing or edited keys/);
    const jobs = await platform.migrationJobs();
    await platform.edit('Secret', 'credentials', { data: { 'postgres-password': another } });
    // The migration updates the database; after that the former password is removed.
    await until('another migration', LIMIT_MS, async () => (await platform.migrationJobs()).some((name) => !jobs.includes(name)));
    await until('the edit to be all that is left', LIMIT_MS, async () =>
      isDeepStrictEqual(await platform.credentials(), { ...made, 'postgres-password': 'another-password' }),
    );
    assert.ok(!cluster.operator.log.includes(made['postgres-password'] ?? '?'), 'no password in the log');
    await platform.ready();
  });

  void test('creates, extends and configures topics, and reports that partitions cannot shrink', async () => {
    const topic = (changes: object) => ({ spec: { topics: [{ name: 'test.topics', partitions: 2, ...changes }] } });
    const platform = await cluster.platform('topics', topic({}).spec);
    await platform.ready();
    const admin = new Kafka({ brokers: cluster.brokers, logLevel: logLevel.NOTHING }).admin();
    await admin.connect();
    try {
      const partitions = async () => (await admin.fetchTopicMetadata({ topics: ['test.topics'] })).topics[0]?.partitions.length;
      assert.equal(await partitions(), 2);
      await platform.patch(topic({ partitions: 4, retention: '1h' }));
      await until('four partitions', LIMIT_MS, async () => (await partitions()) === 4);
      await platform.event('TopicsChanged', /extended test\.topics to 4 partitions, changed the settings of test\.topics/);
      await platform.ready();
      await platform.patch(topic({ partitions: 3, retention: '1h' }));
      const status = await platform.until('TopicsDiffer', 'True', 'PartitionsCannotShrink');
      assert.match(status.conditions?.find(({ type }) => type === 'TopicsDiffer')?.message ?? '', /set partitions to 4 instead of 3/);
      await platform.ready();
    } finally {
      await admin.disconnect();
    }
  });
});

describe('Secrets of users, and optional kinds', () => {
  void test('applies a changed password of an external store within seconds', async (t) => {
    const secret = (password: string): KubernetesObject => ({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'database', namespace: 'external' },
      stringData: { username: 'admin', password },
    });
    const reference = { apiVersion: 'v1', kind: 'Secret', name: 'database', namespace: 'external' };
    const postgres = { external: { host: 'db.example.com', adminSecret: { name: 'database' } } };
    const platform = await cluster.platform('external', { postgres });
    await cluster.client.create(secret('first'));
    await platform.ready();
    const jobs = await platform.migrationJobs();
    const begun = performance.now();
    await cluster.client.patch(reference, { stringData: { password: 'second' } });
    // The migration runs as the administrator: with another password it is another Job.
    await until('another migration', 10_000, async () => (await platform.migrationJobs()).some((name) => !jobs.includes(name)));
    noteRecovery(t, 'password of an external store changed', performance.now() - begun);
    await platform.ready();
    await cluster.client.patch(reference, { metadata: { labels: { touched: 'true' } } });
    await platform.ready();
    const lists = (await cluster.audit()).filter(({ verb, requestURI }) => verb === 'list' && /fieldSelector=type/.test(requestURI));
    assert.equal(lists.length, 1, 'one watch for all');
  });

  void test('finds KEDA when it is installed after the operator', async (t) => {
    const platform = await cluster.platform('keda', { workloads: { interest: { autoscaling: { mode: 'keda' } } } });
    const waiting = await platform.until('Degraded', 'True', 'ApplyFailed');
    assert.match(waiting.conditions?.find(({ type }) => type === 'Degraded')?.message ?? '', /ScaledObject/);
    const begun = performance.now();
    await installKeda(cluster.client);
    await platform.have('ScaledObject', 'interest');
    noteRecovery(t, 'KEDA installed after the operator', performance.now() - begun, 'discovery every 20 s');
    await platform.ready();
    await cluster.watched('ScaledObject');
    await platform.remove('ScaledObject', 'interest');
    await platform.have('ScaledObject', 'interest');
  });
});

describe('bad input', () => {
  void test('reports a foreign object with a desired name, and does not change it', async () => {
    const taken: KubernetesObject = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'a-gateway', namespace: 'taken' },
      spec: { ports: [{ port: 1 }] },
    };
    await cluster.client.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'other' } });
    const platform = await cluster.platform('taken', { workloads: { gateway: { enabled: false } } });
    await cluster.client.create(taken);
    await platform.ready();
    await platform.patch({ spec: { workloads: { gateway: { enabled: true } } } });
    const status = await platform.until('Degraded', 'True', 'ApplyFailed');
    assert.match(
      status.conditions?.find(({ type }) => type === 'Degraded')?.message ?? '',
      /Service a-gateway exists and has another owner/,
    );
    assert.equal(at(await platform.object('Service', 'gateway'), 'spec', 'ports', 0, 'port'), 1);
    await platform.remove('Service', 'gateway');
    await platform.ready();
  });

  void test('restores status after another client changes it', async () => {
    const platform = await cluster.platform('status');
    const earlier = await platform.ready();
    const garbage = [{ type: 'Ready', status: 'False', reason: 'Evil', message: 'x', lastTransitionTime: '2020-01-01T00:00:00Z' }];
    await platform.patch({ status: { conditions: garbage, components: null, inventory: null } }, 'status');
    const status = await platform.ready();
    assert.deepEqual(status.components, earlier.components);
    assert.deepEqual(status.inventory, earlier.inventory);
  });

  void test('reports an invalid resource of any shape as a condition with the path, and continues', async () => {
    const definition = { apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition', name: 'bssplatforms.bss-platform.io' };
    const permissive = [
      {
        op: 'replace',
        path: '/spec/versions/0/schema/openAPIV3Schema',
        value: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
      },
    ];
    const platform = await cluster.platform('hostile');
    await platform.ready();
    await cluster.client.patch(definition, permissive, { type: 'json' });
    for (const [index, spec] of HOSTILE.entries()) {
      await until(`the API server to take hostile spec ${index}`, LIMIT_MS, async () => {
        const patch = [{ op: 'replace', path: '/spec', value: spec }];
        const patched = await cluster.client.patch(platform.reference, patch, { type: 'json' }).catch(() => undefined);
        return isDeepStrictEqual(patched?.['spec'], spec);
      });
      const status = await platform.until('SpecValid', 'False');
      assert.match(
        status.conditions?.find(({ type }) => type === 'SpecValid')?.message ?? '',
        /^(spec|metadata)[^:]*: ./,
        JSON.stringify(spec).slice(0, 100),
      );
    }
    assert.ok(await platform.object('Deployment', 'gateway'), 'running components are kept');
    await platform.patch({ status: { conditions: 'garbage', components: [null], consumerGroups: [7], inventory: { a: 1 } } }, 'status');
    await platform.until('SpecValid', 'False');
    assert.ok(cluster.operator.running);
    const good = {
      kafka: { external: { brokers: cluster.brokers } },
      redis: { enabled: false },
      prometheus: { enabled: false },
      networkPolicies: { enabled: false },
    };
    await cluster.client.patch(platform.reference, [{ op: 'replace', path: '/spec', value: good }], { type: 'json' });
    await platform.ready();
  });
});

/** Specs that no schema would let through: an older or edited definition does. */
const HOSTILE: unknown[] = [
  42,
  'text',
  [],
  { kafka: 'none' },
  { kafka: { managed: {}, external: {} } },
  { topics: [null] },
  { topics: { name: 'x' } },
  { topics: [{ name: '../../etc', partitions: -1 }] },
  { workloads: { interest: { autoscaling: { minReplicas: 5, maxReplicas: 2 } } } },
  { workloads: { interest: { autoscaling: { maxDelay: 'soon' } } } },
  { workloads: { gateway: { replicas: 1e99 } } },
  { workloads: { gateway: { env: [{ name: 'A=B', value: {} }] } } },
  { pgbouncer: { resources: { limits: { memory: 'lots' } } } },
  { version: 'x'.repeat(100_000) },
  { deletionPolicy: { toString: 'x' } },
  { unknown: { deep: Array.from({ length: 100 }, () => ({ a: [[[]]] })) } },
];
