/** Volumes of stores that something else enlarges, and volumes that grow by the spec. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { KubernetesObject } from '../runtime/index.ts';
import { Cluster, LIMIT_MS, until, type TestPlatform } from './testing/cluster.ts';

let cluster: Cluster;

before(
  async () => {
    cluster = await Cluster.start();
    for (const [name, allowVolumeExpansion] of Object.entries({ growing: true, fixed: false })) {
      const metadata = { name };
      await cluster.client.create({
        apiVersion: 'storage.k8s.io/v1',
        kind: 'StorageClass',
        metadata,
        provisioner: 'example.com/none',
        allowVolumeExpansion,
      });
    }
  },
  { timeout: 900_000 },
);

after(async () => {
  await cluster?.stop();
});

const spec = (storageClass: string, size: string, replicas = 1) => ({
  postgres: { managed: { storage: { size, storageClass } } },
  workloads: { gateway: { replicas } },
});

/** What the volume controller does: binds the claim, and grows the volume to what the claim requests. */
async function provision(platform: TestPlatform): Promise<void> {
  const capacity = { storage: await sizeOf(platform) };
  await cluster.client.patch(
    platform.ref('PersistentVolumeClaim', 'postgres-data'),
    { status: { phase: 'Bound', capacity } },
    { subresource: 'status' },
  );
}

async function sizeOf(platform: TestPlatform): Promise<string> {
  const claim = (await platform.have('PersistentVolumeClaim', 'postgres-data')) as KubernetesObject & {
    spec: { resources: { requests: { storage: string } } };
  };
  return claim.spec.resources.requests.storage;
}

async function isScaledTo(platform: TestPlatform, replicas: number): Promise<boolean> {
  const gateway = (await platform.have('Deployment', 'gateway')) as KubernetesObject & { spec: { replicas: number } };
  return gateway.spec.replicas === replicas;
}

async function settledWithWarning(platform: TestPlatform, pattern: RegExp): Promise<void> {
  await until(`the warning ${pattern}`, LIMIT_MS, async () => (await platform.status()).warnings?.some((one) => pattern.test(one)));
  await platform.ready();
}

void test('a volume that something else enlarged is kept and reported, and blocks nothing', { timeout: 300_000 }, async () => {
  const platform = await cluster.platform('enlarged', spec('growing', '5Gi'));
  await platform.ready();
  await provision(platform);
  await platform.edit('PersistentVolumeClaim', 'postgres-data', { spec: { resources: { requests: { storage: '8Gi' } } } });
  await provision(platform);
  await platform.patch({ spec: spec('growing', '5Gi', 2) });
  await until('a later stage to change', LIMIT_MS, () => isScaledTo(platform, 2));
  await settledWithWarning(platform, /^PersistentVolumeClaim a-postgres-data: it requests 8Gi, and the spec 5Gi: .* set the size to 8Gi$/);
  assert.equal(await sizeOf(platform), '8Gi');

  await platform.patch({ spec: spec('growing', '12Gi') });
  await until('the volume to grow by the spec', LIMIT_MS, async () => (await sizeOf(platform)) === '12Gi');
  await provision(platform);
  await until('no warning', LIMIT_MS, async () => !(await platform.status()).warnings?.some((one) => /postgres-data/.test(one)));
  await platform.ready();
});

void test('a volume whose class cannot expand keeps its size, is reported, and blocks nothing', { timeout: 300_000 }, async () => {
  const platform = await cluster.platform('fixed', spec('fixed', '5Gi'));
  await platform.ready();
  await provision(platform);
  await platform.patch({ spec: spec('fixed', '6Gi', 2) });
  await until('a later stage to change', LIMIT_MS, () => isScaledTo(platform, 2));
  await settledWithWarning(platform, /^PersistentVolumeClaim a-postgres-data: it cannot grow from 5Gi to 6Gi: .*allowVolumeExpansion/);
  assert.equal(await sizeOf(platform), '5Gi');
});

const OFF = { enabled: false };
const WITHOUT_DATABASE = { gateway: OFF, ledger: OFF, interest: OFF };

void test('a platform whose workloads use no database has none; its volume outlives it', { timeout: 300_000 }, async () => {
  const platform = await cluster.platform('unused', { workloads: WITHOUT_DATABASE, redis: OFF, prometheus: OFF });
  const bare = await platform.ready();
  assert.deepEqual(bare.components?.map(({ name }) => name).toSorted(), ['kafka-exporter', 'topics']);
  await platform.patch({ spec: { workloads: { ledger: { enabled: true } } } });
  const claim = await platform.have('PersistentVolumeClaim', 'postgres-data');
  await platform.ready();
  await platform.patch({ spec: { workloads: WITHOUT_DATABASE } });
  await platform.gone('StatefulSet', 'postgres');
  await platform.ready();
  const { metadata } = await platform.have('PersistentVolumeClaim', 'postgres-data');
  assert.deepEqual([metadata.uid, metadata.deletionTimestamp], [claim.metadata.uid, undefined]);
});
