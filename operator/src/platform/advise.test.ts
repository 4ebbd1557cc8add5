import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFINITIONS } from './components/index.ts';
import { adviseSpec, parseSpec, type BssPlatformSpec } from './index.ts';
import { databasePools } from './pools.ts';

function specOf(raw: unknown): BssPlatformSpec {
  const parsed = parseSpec(raw);
  assert.ok(parsed.ok, JSON.stringify(parsed));
  return parsed.spec;
}

const interest = (fields: object) => ({ workloads: { interest: fields } });

const rows: Record<string, { raw: unknown; paths: string[]; reason: string }> = {
  small: { raw: {}, paths: [], reason: 'the profiles themselves give no reason for advice' },
  production: {
    raw: { profile: 'production' },
    paths: ['spec.kafka.managed', 'spec.postgres.managed'],
    reason: 'a managed store is a single instance: the status says what one node can lose',
  },
  'production with external stores': {
    raw: {
      profile: 'production',
      kafka: { external: { brokers: ['kafka:9092'] } },
      postgres: { external: { host: 'db', adminSecret: { name: 'db' } } },
    },
    paths: [],
    reason: 'they are replicated, or somebody else answers for them',
  },
  'more consumers than partitions': {
    raw: interest({ autoscaling: { maxReplicas: 13 } }),
    paths: ['spec.workloads.interest.autoscaling.maxReplicas'],
    reason: 'the thirteenth has nothing to read',
  },
  'more fixed consumers than partitions': {
    raw: interest({ replicas: 13 }),
    paths: ['spec.workloads.interest.replicas'],
    reason: 'the field that the user wrote is named',
  },
  'as many consumers as partitions': {
    raw: { ...interest({ autoscaling: { maxReplicas: 24 } }), topics: [{ name: 'interest.transaction.v1', partitions: 24 }] },
    paths: [],
    reason: 'each has one',
  },
  'pools beyond the clients that PgBouncer accepts': {
    raw: interest({ databasePool: 30 }),
    paths: ['spec.pgbouncer.maxClientConnections'],
    reason: 'a size that the user set is kept, with a warning',
  },
  'pools beyond the server': {
    raw: { pgbouncer: { replicas: 3 } },
    paths: ['spec.postgres.managed.maxConnections'],
    reason: 'three poolers have three times the pools',
  },
  'samples beyond the disk': {
    raw: { prometheus: { retentionSize: '10Gi' } },
    paths: ['spec.prometheus.retentionSize'],
    reason: 'the volume has 5Gi',
  },
  'heap beyond the limit': { raw: { kafka: { managed: { heap: '1Gi' } } }, paths: ['spec.kafka.managed.heap'], reason: 'the limit is 1Gi' },
  'cache beyond the limit': {
    raw: { redis: { managed: { maxMemory: '1Gi' } } },
    paths: ['spec.redis.managed.maxMemory'],
    reason: 'the limit is 128Mi',
  },
  'seed endpoint in production': {
    raw: { profile: 'production', workloads: { gateway: { debugSeed: { enabled: true } } } },
    paths: ['spec.kafka.managed', 'spec.postgres.managed', 'spec.workloads.gateway.debugSeed.enabled'],
    reason: 'it creates money',
  },
};

for (const [name, { raw, paths, reason }] of Object.entries(rows)) {
  await test(`advice: ${name}`, () => {
    const advice = adviseSpec(specOf(raw));
    assert.deepEqual(
      advice.map(({ path }) => path),
      paths,
      reason,
    );
    for (const { message } of advice) assert.match(message, /lower|raise|keep|turn|set/, 'the message names an action');
  });
}

await test('pool sizes shrink so that all replicas together stay below the limit', () => {
  for (const maxReplicas of [1, 4, 12, 20]) {
    const { sizes, demanded, available } = databasePools(specOf(interest({ autoscaling: { maxReplicas } })), DEFINITIONS);
    assert.ok(demanded <= available, `${maxReplicas} replicas: ${demanded} of ${available}`);
    assert.deepEqual(Object.keys(sizes), ['ledger', 'interest']);
    assert.ok(Object.values(sizes).every((size) => size >= 1));
  }
});

const few = { maxClientConnections: 25 };
const POOLS: Record<string, { raw: object; sizes: object; demanded: number; available: number; reason: string }> = {
  'enough connections': {
    raw: {},
    sizes: { ledger: 10, interest: 4 },
    demanded: 26,
    available: 95,
    reason: 'each replica gets its most; five of the 100 connections are for the exporter and an administrator',
  },
  'several poolers': {
    raw: { pgbouncer: { replicas: 2 } },
    sizes: { ledger: 10, interest: 4 },
    demanded: 26,
    available: 190,
    reason: 'each pooler accepts its own connections and keeps five',
  },
  'few connections': {
    raw: { pgbouncer: few },
    sizes: { ledger: 7, interest: 3 },
    demanded: 19,
    available: 20,
    reason: 'all shrink alike',
  },
  'few connections, and a size that the user set': {
    raw: { pgbouncer: few, workloads: { ledger: { databasePool: 10 } } },
    sizes: { ledger: 10, interest: 2 },
    demanded: 18,
    available: 20,
    reason: 'the set size is kept, and the others share what it leaves',
  },
  'few connections, and no consumers': {
    raw: { pgbouncer: few, ...interest({ enabled: false }) },
    sizes: { ledger: 10, interest: 4 },
    demanded: 10,
    available: 20,
    reason: 'a component that is switched off needs none',
  },
};

for (const [name, { raw, sizes, demanded, available, reason }] of Object.entries(POOLS))
  await test(`pool sizes: ${name}`, () =>
    assert.deepEqual(databasePools(specOf(raw), DEFINITIONS), { sizes, demanded, available }, reason));
