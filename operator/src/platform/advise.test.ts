import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DEFINITIONS } from './components/index.ts';
import { adviseSpec, parseSpec, type BssPlatformSpec } from './index.ts';
import type { ComponentDefinition } from './definition.ts';
import { databasePools, serverConnections } from './pools.ts';

function specOf(raw: unknown): BssPlatformSpec {
  const parsed = parseSpec(raw);
  assert.ok(parsed.ok, JSON.stringify(parsed));
  return parsed.spec;
}

const interest = (fields: object) => ({ workloads: { interest: fields } });

const REPLICATED = {
  profile: 'production',
  kafka: { external: { brokers: ['kafka:9092'] } },
  postgres: { external: { host: 'db', adminSecret: { name: 'db' } } },
};

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
  'production that answers anybody': {
    raw: {
      profile: 'production',
      kafka: { external: { brokers: ['kafka:9092'] } },
      postgres: { external: { host: 'db', adminSecret: { name: 'db' } } },
      workloads: { gateway: { auth: { anonymousScopes: ['ledger:read'] } } },
    },
    paths: ['spec.workloads.gateway.auth.anonymousScopes'],
    reason: 'customer data without a credential',
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
    raw: { pgbouncer: { replicas: 3 }, workloads: { ledger: { replicas: 8 }, interest: { autoscaling: { maxReplicas: 10 } } } },
    paths: ['spec.postgres.managed.maxConnections'],
    reason: '80 connections of the ledger and 40 of the consumers are more than 90',
  },
  'poolers alone': {
    raw: { pgbouncer: { replicas: 2 } },
    paths: [],
    reason: 'a role uses a connection of the server for each of its clients at most, whichever pooler they use',
  },
  'an outbox that nothing reads': {
    raw: { workloads: { outboxRelay: { enabled: false } } },
    paths: ['spec.workloads.outboxRelay.enabled'],
    reason: 'it grows until the disk is full',
  },
  'more projections than partitions': {
    raw: { workloads: { outboxRelay: { enabled: true }, readModel: { enabled: true, replicas: 13 } } },
    paths: ['spec.workloads.readModel.replicas'],
    reason: 'the thirteenth has nothing to read',
  },
  'samples beyond the disk': {
    raw: { prometheus: { retentionSize: '10Gi' } },
    paths: ['spec.prometheus.retentionSize'],
    reason: 'the volume has 5Gi',
  },
  'settings of what mode existing does not run': {
    raw: {
      observability: { mode: 'existing' },
      prometheus: { retention: '30d', scrapeInterval: '30s', nodeSelector: { a: 'b' }, storage: { size: '9Gi' } },
      alertmanager: { labels: { a: 'b' } },
      grafana: { resources: { limits: { memory: '1Gi' } } },
    },
    paths: ['spec.prometheus.retention', 'spec.alertmanager.labels', 'spec.grafana.resources'],
    reason: 'the interval and the placement of the exporters have an effect, and a volume may be kept',
  },
  'mode existing in production': {
    raw: { ...REPLICATED, observability: { mode: 'existing' } },
    paths: [],
    reason: 'the defaults of the profile are nobody’s settings',
  },
  'settings for a Prometheus that mode managed does not use': {
    raw: { observability: { labels: { release: 'stack' } } },
    paths: ['spec.observability.labels'],
    reason: 'the mode was forgotten',
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
  'generated customers in production': {
    raw: { ...REPLICATED, workloads: { crm: { seed: { enabled: true } } } },
    paths: ['spec.workloads.crm.seed.enabled'],
    reason: 'they are among the real ones',
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
    assert.deepEqual(Object.keys(sizes), ['ledger', 'relay', 'orchestrator', 'interest', 'readmodel', 'accounts', 'crm']);
    assert.ok(Object.values(sizes).every((size) => size >= 1));
  }
});

/** The other components that use a database. */
const ALONE = Object.fromEntries(['outboxRelay', 'orchestrator', 'readModel', 'accounts', 'crm'].map((name) => [name, { enabled: false }]));
const entry = (raw: object, name: string): object => (raw as Record<string, object>)[name] ?? {};

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
  await test(`pool sizes: ${name}`, () => {
    const pools = databasePools(specOf({ ...raw, workloads: { ...ALONE, ...entry(raw, 'workloads') } }), DEFINITIONS);
    const { ledger, interest: consumers } = pools.sizes;
    assert.deepEqual({ ...pools, sizes: { ledger, interest: consumers } }, { sizes, demanded, available }, reason);
  });

/** Components with databases of their own, each with two replicas. */
function more(count: number): ComponentDefinition[] {
  return Array.from({ length: count }, (_each, index) => ({
    name: `more-${index}`,
    stage: 'workloads' as const,
    database: { name: `more${index}`, role: `more${index}`, pool: { most: 10, size: () => undefined, replicas: () => 2 } },
    manifests: () => [],
  }));
}

const total = (limits: Record<string, number>) => Object.values(limits).reduce((sum, limit) => sum + limit, 0);

await test('connections to the server: without a limit where the demand fits, or where the limit is not known', () => {
  for (const raw of [{}, { profile: 'production' }, REPLICATED]) {
    const { demanded, available = Infinity, limits } = serverConnections(specOf(raw), DEFINITIONS);
    assert.ok(demanded > 0 && demanded <= available, `${demanded} of ${available}`);
    assert.deepEqual(limits, {});
  }
});

for (const count of [1, 5, 10, 20]) {
  for (const profile of ['small', 'production']) {
    await test(`connections to the server: ${count} more roles in the profile ${profile} never exceed max_connections`, () => {
      const spec = specOf({ profile, pgbouncer: { maxClientConnections: 1000 } });
      const { demanded, available = 0, limits } = serverConnections(spec, [...DEFINITIONS, ...more(count)]);
      assert.equal(available, profile === 'small' ? 89 : 188, 'ten are spare, and each replica of crm has one past the poolers');
      if (demanded <= available) return assert.deepEqual(limits, {});
      assert.ok(total(limits) * spec.pgbouncer.replicas <= available, `${total(limits)} a pooler of ${available}`);
      assert.ok(total(limits) * spec.pgbouncer.replicas > available - spec.pgbouncer.replicas, 'the budget is used');
      for (let role = 0; role < count; role += 1) assert.ok((limits[`more${role}`] ?? 0) >= 1, `more${role} has a connection`);
      assert.ok((limits['ledger'] ?? 0) > (limits['more0'] ?? 0), 'a share follows the demand');
    });
  }
}

await test('connections to the server: the status says when they do not fit', () => {
  const definitions = [...DEFINITIONS, ...more(10)];
  const said = DEFINITIONS.flatMap(({ advise }) => advise?.(specOf({ pgbouncer: { maxClientConnections: 1000 } }), definitions) ?? []);
  assert.deepEqual(
    said.flatMap((one) => (one ? [one.path] : [])),
    ['spec.postgres.managed.maxConnections'],
  );
});
