/** Defaults, profiles and checks of the spec, without a cluster. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { parse } from 'yaml';
import { parseSpec, type BssPlatformSpec } from './spec.ts';
import { MISTAKES } from '../api/mistakes.ts';

function specOf(raw: unknown): BssPlatformSpec {
  const parsed = parseSpec(raw);
  assert.ok(parsed.ok, JSON.stringify(parsed));
  return parsed.spec;
}

interface Row {
  reason: string;
  raw: unknown;
  /** Path and value in the parsed spec. */
  expected: [path: string, value: unknown][];
}

const GROUP = { name: 'reports', topics: ['orders'], deployment: 'reports' };

const defaults: Record<string, Row> = {
  'nothing at all': {
    reason: 'an empty spec is a small platform with stores of its own',
    raw: undefined,
    expected: [
      ['profile', 'small'],
      ['kafka.managed.heap', '384Mi'],
      ['kafka.external', undefined],
      ['workloads.interest.autoscaling.mode', 'builtin'],
      ['workloads.interest.autoscaling.minReplicas', 1],
      ['topics.0.name', 'ledger.entry.v1'],
      ['topics.0.retention', 'unlimited'],
      ['topics.1.name', 'interest.transaction.v1'],
      ['topics.2.partitions', 1],
      ['workloads.orchestrator.enabled', undefined],
    ],
  },
  'two groups on one Deployment, one of them only measured': {
    reason: 'one of them scales it',
    raw: { consumerGroups: [GROUP, { ...GROUP, name: 'audit', autoscaling: { mode: 'fixed' } }] },
    expected: [
      ['consumerGroups.0.autoscaling.mode', 'builtin'],
      ['consumerGroups.1.autoscaling.mode', 'fixed'],
    ],
  },
  'production profile': {
    reason: 'a profile changes defaults',
    raw: { profile: 'production' },
    expected: [
      ['workloads.gateway.replicas', 2],
      ['workloads.interest.autoscaling.maxReplicas', 12],
      ['prometheus.retentionSize', '50G'],
      ['telemetry.samplePercent', undefined],
      ['collector.samplePercent', 10],
    ],
  },
  'production profile with fields of its own': {
    reason: 'every field overrides its profile alone',
    raw: { profile: 'production', workloads: { gateway: { replicas: 5 }, interest: { resources: { limits: { memory: '2Gi' } } } } },
    expected: [
      ['workloads.gateway.replicas', 5],
      ['workloads.interest.resources.limits.memory', '2Gi'],
      ['workloads.interest.resources.requests.memory', '384Mi'],
      ['workloads.ledger.replicas', 2],
    ],
  },
  'a minimum above the default maximum': {
    reason: 'the maximum follows, in each profile from its own default',
    raw: { workloads: { interest: { autoscaling: { minReplicas: 9 } } }, consumerGroups: [{ ...GROUP, autoscaling: { safeReplicas: 6 } }] },
    expected: [
      ['workloads.interest.autoscaling.maxReplicas', 9],
      ['consumerGroups.0.autoscaling.maxReplicas', 6],
    ],
  },
  'a minimum below the default maximum': {
    reason: 'the maximum stays',
    raw: { profile: 'production', workloads: { interest: { autoscaling: { minReplicas: 9 } } }, consumerGroups: [GROUP] },
    expected: [
      ['workloads.interest.autoscaling.maxReplicas', 12],
      ['consumerGroups.0.autoscaling.maxReplicas', 4],
    ],
  },
  'a group that may be scaled to zero': {
    reason: 'its minimum is zero',
    raw: {
      workloads: { interest: { autoscaling: { scaleToZero: true } } },
      consumerGroups: [{ ...GROUP, autoscaling: { scaleToZero: true } }],
    },
    expected: [
      ['workloads.interest.autoscaling.minReplicas', 0],
      ['consumerGroups.0.autoscaling.minReplicas', 0],
    ],
  },
  'a limit below the default request': {
    reason: 'the request follows, or the pod would be refused',
    raw: { workloads: { interest: { resources: { limits: { cpu: '50m', memory: 134217728 } } } } },
    expected: [
      ['workloads.interest.resources.requests.cpu', '50m'],
      ['workloads.interest.resources.requests.memory', '134217728'],
    ],
  },
  'a request above the default limit': {
    reason: 'the limit follows',
    raw: { workloads: { interest: { resources: { requests: { cpu: 3 } } } } },
    expected: [['workloads.interest.resources.limits.cpu', '3']],
  },
  'an external store': {
    reason: 'the profile does not bring the managed one back',
    raw: { kafka: { external: { brokers: ['k:9092'] } } },
    expected: [
      ['kafka.managed', undefined],
      ['kafka.external.tls.enabled', false],
    ],
  },
  'nulls, as kubectl edit leaves them': {
    reason: 'a null is an absent field',
    raw: { kafka: null, workloads: { interest: { resources: null, autoscaling: null } } },
    expected: [['workloads.interest.autoscaling.maxReplicas', 4]],
  },
  'replicas alone': {
    reason: 'a number without a mode is a fixed number',
    raw: { workloads: { interest: { replicas: 3 } } },
    expected: [['workloads.interest.autoscaling.mode', 'fixed']],
  },
  'scaleToZero alone': {
    reason: 'it brings the least number of zero',
    raw: { workloads: { interest: { autoscaling: { scaleToZero: true } } } },
    expected: [['workloads.interest.autoscaling.minReplicas', 0]],
  },
  'settings for a topic of the platform, and one more topic': {
    reason: "the platform's own topics are always there, first, with the user's settings",
    raw: { topics: [{ name: 'audit' }, { name: 'interest.transaction.v1', partitions: 24 }] },
    expected: [
      ['topics.1.name', 'interest.transaction.v1'],
      ['topics.1.partitions', 24],
      ['topics.1.retention', '7d'],
      ['topics.2.name', 'interest.transaction.v1.dlq'],
      ['topics.6.name', 'audit'],
      ['topics.length', 7],
    ],
  },
};

function entry(node: unknown, key: string): unknown {
  return typeof node === 'object' && node !== null ? Object.entries(node).find(([name]) => name === key)?.[1] : undefined;
}

function at(value: unknown, path: string): unknown {
  return path.split('.').reduce<unknown>((node, key) => (Array.isArray(node) && key === 'length' ? node.length : entry(node, key)), value);
}

for (const [name, { reason, raw, expected }] of Object.entries(defaults)) {
  await test(`defaults: ${name}`, () => {
    const spec = specOf(raw);
    for (const [path, value] of expected) assert.deepEqual(at(spec, path), value, `${path}: ${reason}`);
  });
}

await test('a parsed spec parses to itself', () => {
  for (const raw of [{}, { profile: 'production' }, { workloads: { interest: { replicas: 3 } } }]) {
    const spec = specOf(raw);
    assert.deepEqual(specOf(spec), spec, 'defaults that the API server wrote into an object change nothing');
  }
});

for (const { what, spec, before, name } of MISTAKES) {
  if (before || name !== undefined) continue;
  await test(`refused without an API server too: ${what}`, () => {
    const parsed = parseSpec(spec);
    assert.equal(parsed.ok, false, 'what the API server refuses, the CLI refuses');
    if (before) assert.ok(parseSpec(before).ok, 'it was right before');
  });
}

await test('reports values that are not a spec as problems, without an exception', () => {
  for (const raw of [
    3,
    'text',
    [],
    true,
    { topics: 'x' },
    { workloads: { interest: 'x' } },
    { workloads: [] },
    { kafka: { external: 3 } },
  ]) {
    const parsed = parseSpec(raw);
    assert.equal(parsed.ok, false, JSON.stringify(raw));
  }
});

await test('the problem names the path of the field', () => {
  const parsed = parseSpec({ topics: [{ name: 'a' }, { name: 'b', partitions: 0 }] });
  assert.ok(!parsed.ok);
  assert.match(parsed.problems[0]?.path ?? '', /^spec\.topics\[\d\]\.partitions$/);
});

await test('an object stored by 0.1.0 still loads', async () => {
  const stored: { spec: unknown } = parse(await readFile(new URL('../api/testdata/stored-0.1.0.yaml', import.meta.url), 'utf8'));
  const spec = specOf(stored.spec);
  assert.equal(spec.workloads.interest.autoscaling.maxReplicas, 4);
});
