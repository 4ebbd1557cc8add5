import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { BssPlatformStatus } from '../../api/index.ts';
import { parseSpec, type BssPlatformSpec } from '../../platform/index.ts';
import type { ConsumerGroupStatus } from '../../autoscale/index.ts';
import { conditionOf, type ConditionType } from './conditions.ts';
import type { ActedOutcome, ComponentState, Outcome } from './outcome.ts';
import { difference, nextStatus, statusPatch } from './status.ts';
import { transitions } from './transitions.ts';

const NOW = Date.parse('2026-01-01T12:00:00Z');
const MINUTE = 60_000;

function specOf(raw: object): BssPlatformSpec {
  const parsed = parseSpec(raw);
  assert.ok(parsed.ok);
  return parsed.spec;
}

const healthy = { healthy: true, failing: false, ready: 1, desired: 1, message: '' };
const well = (name: string): ComponentState => ({ name, kind: 'Deployment', health: healthy, state: 'applied' });
const starting = (name: string): ComponentState => ({
  ...well(name),
  health: { ...healthy, healthy: false, ready: 0, message: 'pod is starting' },
});
const failing = (name: string): ComponentState => ({
  ...well(name),
  health: { ...healthy, healthy: false, failing: true, ready: 0, message: 'crashes' },
});
const held = (name: string): ComponentState => ({ ...starting(name), state: 'held' });
const refused = (name: string): ComponentState => ({ ...starting(name), state: 'refused' });

function acted(changes: Partial<ActedOutcome> & { raw?: object } = {}): ActedOutcome {
  const { raw = {}, ...rest } = changes;
  return {
    type: 'acted',
    generation: 1,
    spec: specOf(raw),
    components: [well('kafka'), well('gateway')],
    rotation: { underWay: false, request: undefined, waitsFor: [] },
    missingSecrets: [],
    topicDifferences: [],
    groups: undefined,
    alerts: undefined,
    warnings: [],
    endpoints: [{ name: 'gateway', address: 'http://a' }],
    secretName: 'a-credentials',
    inventory: [],
    ...rest,
  };
}

const after = (outcome: Outcome, previous?: BssPlatformStatus, now = NOW) => nextStatus(previous, outcome, now);
const ready = after(acted());

const rotation = (underWay: boolean, ...waitsFor: string[]) => ({ underWay, request: 'one', waitsFor });
const introducing = after(acted({ rotation: rotation(true, 'migrate'), components: [starting('migrate'), held('gateway')] }), ready);
const replacing = after(acted({ rotation: rotation(true, 'gateway'), components: [well('migrate'), starting('gateway')] }), introducing);
const locking = after(acted({ rotation: rotation(false, 'migrate'), components: [starting('migrate'), held('gateway')] }), replacing);
const rotated = after(acted({ rotation: rotation(false) }), locking);

interface Row {
  name: string;
  previous?: BssPlatformStatus;
  outcome: Outcome;
  conditions: Partial<Record<ConditionType, [status: string, reason: string, message?: string]>>;
}

const rows: Row[] = [
  {
    name: 'everything healthy',
    outcome: acted(),
    conditions: {
      Ready: ['True', 'Running', 'every component is healthy'],
      Progressing: ['False', 'Settled'],
      Degraded: ['False', 'AsExpected'],
    },
  },
  {
    name: 'starting',
    outcome: acted({ components: [starting('kafka'), held('gateway')] }),
    conditions: {
      Ready: ['False', 'Starting', 'kafka: pod is starting'],
      Progressing: ['True', 'Starting'],
      Degraded: ['False', 'AsExpected'],
    },
  },
  {
    name: 'became unhealthy',
    previous: ready,
    outcome: acted({ components: [starting('kafka'), well('gateway')] }),
    conditions: { Ready: ['False', 'NotReady'], Progressing: ['True', 'NotReady'] },
  },
  {
    name: 'still unhealthy',
    previous: after(acted({ components: [starting('kafka'), well('gateway')] }), ready),
    outcome: acted({ components: [starting('kafka'), well('gateway')] }),
    conditions: { Ready: ['False', 'NotReady'] },
  },
  {
    name: 'rolling a change out',
    previous: ready,
    outcome: acted({ generation: 2, components: [starting('kafka'), well('gateway')] }),
    conditions: { Ready: ['False', 'RollingOut'] },
  },
  {
    name: 'upgrading',
    previous: ready,
    outcome: acted({ generation: 2, raw: { version: '0.2.0' }, components: [well('kafka'), starting('gateway')] }),
    conditions: { Ready: ['False', 'Upgrading', 'gateway: pod is starting'], Degraded: ['False', 'AsExpected'] },
  },
  {
    name: 'upgrade that stops',
    previous: ready,
    outcome: acted({ generation: 2, raw: { version: '0.2.0' }, components: [well('kafka'), failing('gateway')] }),
    conditions: {
      Ready: ['False', 'ComponentFailing'],
      Progressing: ['False', 'ComponentFailing'],
      Degraded: [
        'True',
        'UpgradeStopped',
        'the upgrade from 0.1.0 to 0.2.0 stopped at gateway: crashes; set spec.version to 0.1.0 to roll back',
      ],
    },
  },
  {
    name: 'refused by the API server',
    outcome: acted({ components: [refused('kafka'), held('gateway')] }),
    conditions: { Ready: ['False', 'ApplyFailed'], Degraded: ['True', 'ApplyFailed'] },
  },
  {
    name: 'hibernating',
    previous: ready,
    outcome: acted({ raw: { hibernate: true }, components: [starting('gateway'), held('kafka')] }),
    conditions: { Ready: ['False', 'Hibernating'], Progressing: ['True', 'Hibernating'], Degraded: ['False', 'AsExpected'] },
  },
  {
    name: 'hibernated',
    previous: ready,
    outcome: acted({ raw: { hibernate: true } }),
    conditions: { Ready: ['False', 'Hibernated'], Progressing: ['False', 'Hibernated'] },
  },
  {
    name: 'invalid',
    previous: ready,
    outcome: { type: 'invalid', generation: 2, problems: [{ path: 'spec.x', message: 'remove it' }], alerts: undefined },
    conditions: { Ready: ['False', 'InvalidSpec', 'spec.x: remove it'], SpecValid: ['False', 'InvalidSpec', 'spec.x: remove it'] },
  },
  {
    name: 'paused',
    previous: ready,
    outcome: acted({ type: 'paused', generation: 2 }),
    conditions: { Ready: ['True', 'Running'], Progressing: ['False', 'Paused'], Paused: ['True', 'PausedByUser'] },
  },
  {
    name: 'topics cannot shrink',
    outcome: acted({ topicDifferences: ['topic a has 12 partitions'] }),
    conditions: { Ready: ['True', 'Running'], TopicsDiffer: ['True', 'PartitionsCannotShrink', 'topic a has 12 partitions'] },
  },
  {
    name: 'a Secret that the spec names is missing',
    outcome: acted({ missingSecrets: ['Secret a does not exist'], components: [starting('gateway')] }),
    conditions: { SecretsMissing: ['True', 'NotFound', 'Secret a does not exist'], Ready: ['False', 'Starting'] },
  },
];

describe('conditions', () => {
  for (const { name, previous, outcome, conditions } of rows) {
    void test(name, () => {
      const status = after(outcome, previous);
      for (const [type, [value, reason, message]] of Object.entries(conditions)) {
        const condition = conditionOf(status, type as ConditionType);
        assert.deepEqual([condition?.status, condition?.reason], [value, reason], type);
        if (message !== undefined) assert.equal(condition?.message, message);
      }
    });
  }

  void test('changes lastTransitionTime only with the status', () => {
    const later = after(acted({ generation: 2 }), ready, NOW + MINUTE);
    assert.equal(conditionOf(later, 'Ready')?.lastTransitionTime, '2026-01-01T12:00:00Z');
    const unhealthy = after(acted({ components: [starting('kafka')] }), ready, NOW + MINUTE);
    assert.equal(conditionOf(unhealthy, 'Ready')?.lastTransitionTime, '2026-01-01T12:01:00Z');
    assert.equal(conditionOf(unhealthy, 'Paused')?.lastTransitionTime, '2026-01-01T12:00:00Z');
  });

  void test('keeps conditions of other controllers', () => {
    const foreign = { type: 'Audited', status: 'True' as const, reason: 'x', message: '', lastTransitionTime: '2026-01-01T00:00:00Z' };
    const status = after(acted(), { conditions: [foreign] });
    assert.deepEqual(
      status.conditions?.find(({ type }) => type === 'Audited'),
      foreign,
    );
  });

  void test('keeps TopicsDiffer while topics are not checked', () => {
    const differing = after(acted({ topicDifferences: ['topic a has 12 partitions'] }));
    const later = after(acted({ topicDifferences: undefined }), differing);
    assert.equal(conditionOf(later, 'TopicsDiffer')?.status, 'True');
  });
});

describe('status', () => {
  void test('changes nothing in a second pass with the same outcome', () => {
    for (const { outcome, previous } of rows) {
      const first = after(outcome, previous);
      assert.equal(difference(first, after(outcome, first, NOW + MINUTE)), 'none');
    }
  });

  void test('keeps observedGeneration, version and inventory of a paused platform', () => {
    const before = after(acted({ inventory: [{ apiVersion: 'v1', kind: 'Service', name: 'a' }] }));
    const paused = after(acted({ type: 'paused', generation: 5, raw: { version: '0.2.0' }, inventory: undefined }), before);
    assert.equal(paused.observedGeneration, 1);
    assert.equal(paused.version, '0.1.0');
    assert.deepEqual(paused.inventory, before.inventory);
    assert.equal(conditionOf(paused, 'Ready')?.observedGeneration, 1);
    assert.equal(conditionOf(paused, 'Paused')?.observedGeneration, 5);
  });

  void test('changes the version when every component is healthy', () => {
    const next = acted({ generation: 2, raw: { version: '0.2.0' }, components: [starting('gateway')] });
    assert.equal(after(next, ready).version, '0.1.0');
    assert.equal(after({ ...next, components: [well('gateway')] }, ready).version, '0.2.0');
  });

  void test('shows components without pods only while they are unhealthy', () => {
    const base = { ...well('base'), kind: '' };
    assert.deepEqual(after(acted({ components: [base] })).components, []);
    assert.equal(after(acted({ components: [{ ...refused('base'), kind: '' }] })).components?.length, 1);
  });

  void test('replaces lists and removes fields by a merge patch', () => {
    const { version: _version, ...without } = ready;
    assert.equal(statusPatch(ready, without).status['version'], null);
    assert.deepEqual(statusPatch(undefined, ready).status['conditions'], ready.conditions);
  });
});

describe('alerts', () => {
  const none = { summary: 'none', critical: 0, warning: 0, muted: 0, firing: [], lastRead: '2026-01-01T12:00:00Z' };
  const unknown = { ...none, summary: 'unknown', message: 'why' };
  const before = after(acted({ alerts: unknown }), ready);

  void test('shows them while the platform acts, is paused, and has an invalid spec; they do not change a condition', () => {
    const invalid: Outcome = { type: 'invalid', generation: 2, problems: [], alerts: none };
    for (const outcome of [acted({ alerts: none }), acted({ type: 'paused', alerts: none }), invalid])
      assert.deepEqual(after(outcome, before).alerts, none, outcome.type);
    assert.deepEqual(before.conditions, ready.conditions);
  });

  void test('keeps them until they are read, and removes them with Prometheus', () => {
    assert.deepEqual(after(acted(), before).alerts, unknown);
    for (const raw of [{ hibernate: true }, { prometheus: { enabled: false } }]) {
      const next = after(acted({ raw, alerts: unknown }), before);
      assert.equal('alerts' in next, false);
      assert.equal(statusPatch(before, next).status['alerts'], null);
    }
  });

  void test('writes nothing when only the time of the read differs, and removes the message by a merge patch', () => {
    const later = after(acted({ alerts: { ...unknown, lastRead: '2026-01-01T13:00:00Z' } }), before);
    assert.equal(difference(before, later), 'none');
    const next = after(acted({ alerts: none }), before);
    assert.equal(difference(before, next), 'more');
    assert.deepEqual(statusPatch(before, next).status['alerts'], { ...none, message: null });
  });
});

const sampled: ConsumerGroupStatus = {
  name: 'interest-batch',
  topics: ['t'],
  namespace: 'n',
  deployment: 'a-interest',
  unusable: null,
  lag: 1000,
  delaySeconds: 10.4,
  arrivalRate: 123.4,
  throughput: 100,
  ratePerReplica: 51.7,
  partitions: 12,
  members: 2,
  groupState: 'Stable',
  replicas: 2,
  readyReplicas: 2,
  desiredReplicas: 2,
  reason: 'Steady',
  message: 'lag 1000',
  problems: [],
  learned: { ratePerReplica: 51.7, startupSeconds: 4.2, observations: 9 },
  season: '1.1000.x',
  lastSampleTime: NOW,
  lastScaleTime: null,
  counters: { samples: 1, unusableSamples: 0, scaleUps: 0, scaleDowns: 0, scaleErrors: 0 },
};

describe('consumer groups', () => {
  const before = after(acted({ groups: [sampled] }));
  const then = (changes: Partial<ConsumerGroupStatus>, previous = before) =>
    after(acted({ groups: [{ ...sampled, ...changes }] }), previous);

  void test('rounds figures', () => {
    const group = before.consumerGroups?.[0];
    assert.deepEqual([group?.lag, group?.delaySeconds, group?.arrivalRate, group?.ratePerReplica], [1000, 10, 120, 52]);
    assert.deepEqual(group?.learned, { ratePerReplica: 51.7, startupSeconds: 4, observations: 9 });
  });

  const near: [string, Partial<ConsumerGroupStatus>, ReturnType<typeof difference>][] = [
    ['a small move of the figures', { lag: 1050, delaySeconds: 10.9, message: 'lag 1050' }, 'none'],
    ['one more observation of the same', { learned: { ratePerReplica: 52, startupSeconds: 5, observations: 10 } }, 'none'],
    ['a large move', { lag: 2000, message: 'lag 2000' }, 'figures'],
    ['a season of less than an hour later', { season: '1.1011.y' }, 'none'],
    ['a season of an hour later', { season: '1.1012.y' }, 'figures'],
    ['no season since a restart', { season: null }, 'none'],
    ['the lag is gone', { lag: 0, delaySeconds: 0 }, 'figures'],
    ['the lag is not known any more', { lag: null }, 'more'],
    ['another number of replicas', { desiredReplicas: 3 }, 'more'],
    ['another reason', { reason: 'Backlog' }, 'more'],
    ['not sampled again since a restart', { lag: null, lastSampleTime: null, reason: 'Starting', learned: null }, 'none'],
  ];
  for (const [name, changes, expected] of near) {
    void test(`${name}: ${expected}`, () => assert.equal(difference(before, then(changes)), expected));
  }

  void test('a group that makes no progress degrades the platform until it does', () => {
    const stalled = then({ problems: [{ type: 'NoProgress', message: '8,000 wait and none of 2 members processes anything' }] });
    const [isReady, degraded] = [conditionOf(stalled, 'Ready'), conditionOf(stalled, 'Degraded')];
    assert.deepEqual([isReady?.status, isReady?.reason], ['False', 'NoProgress']);
    assert.deepEqual([degraded?.status, degraded?.reason], ['True', 'NoProgress']);
    assert.match(degraded?.message ?? '', /^interest-batch: 8,000 wait/);
    const longer = then({ problems: [{ type: 'NoProgress', message: '9,100 wait and none of 2 members processes anything' }] }, stalled);
    assert.equal(difference(stalled, longer), 'none', 'the figures of the message change with every sample');
    const again = then({ problems: [] }, longer);
    assert.deepEqual([conditionOf(again, 'Ready')?.status, conditionOf(again, 'Degraded')?.status], ['True', 'False']);
  });

  void test('reports a problem as a condition whose message ignores new figures', () => {
    const lost = then({ problems: [{ type: 'LagUnknown', message: 'no answer for 10 s' }] });
    assert.equal(conditionOf(lost, 'LagUnknown')?.message, 'interest-batch: no answer for 10 s');
    const longer = then({ problems: [{ type: 'LagUnknown', message: 'no answer for 15 s' }] }, lost);
    assert.equal(difference(lost, longer), 'none');
    const stranger = then({ problems: [{ type: 'UnknownGroup', message: 'is that its name?' }] });
    assert.deepEqual(
      [conditionOf(stranger, 'LagUnknown')?.reason, conditionOf(stranger, 'ScalingLimited')?.status],
      ['UnknownGroup', 'False'],
      'what is not known is the lag',
    );
    const limited = then({ problems: [{ type: 'HotPartition', message: 'partition 3 has it all' }] });
    assert.deepEqual(
      [conditionOf(limited, 'ScalingLimited')?.reason, conditionOf(limited, 'LagUnknown')?.status],
      ['HotPartition', 'False'],
    );
  });

  void test('keeps only the learned rate and the season in hibernation', () => {
    const group = after(acted({ raw: { hibernate: true } }), before).consumerGroups?.[0];
    assert.deepEqual([group?.lag, group?.replicas, group?.learned?.observations, group?.season], [undefined, 0, 9, '1.1000.x']);
  });

  void test('keeps groups unchanged while they are not sampled', () => {
    assert.deepEqual(after(acted({ groups: undefined }), before).consumerGroups, before.consumerGroups);
  });
});

describe('rotation', () => {
  const steps: [string, BssPlatformStatus, Partial<Record<ConditionType, [status: string, reason: string, message?: string]>>][] = [
    ['never asked for', ready, { Rotating: ['False', 'NotRequested'], Ready: ['True', 'Running'] }],
    ['introducing', introducing, { Rotating: ['True', 'IntroducingNew'], Ready: ['False', 'Rotating'], Degraded: ['False', 'AsExpected'] }],
    [
      'replacing',
      replacing,
      {
        Rotating: ['True', 'ReplacingPods', 'pods still use the former passwords, which stay valid; waiting for gateway'],
        Ready: ['False', 'Rotating'],
      },
    ],
    ['locking', locking, { Rotating: ['True', 'LockingFormer'], Ready: ['False', 'Rotating'] }],
    ['done', rotated, { Rotating: ['False', 'Rotated', 'rotation "one" is complete'], Ready: ['True', 'Running'] }],
    [
      'became unhealthy later',
      after(acted({ rotation: rotation(false, 'migrate'), components: [starting('migrate')] }), rotated),
      { Rotating: ['False', 'Rotated'] },
    ],
    [
      'paused in the middle',
      after(acted({ type: 'paused', rotation: rotation(true) }), introducing),
      { Rotating: ['True', 'IntroducingNew'] },
    ],
  ];
  for (const [name, status, conditions] of steps) {
    void test(name, () => {
      for (const [type, [value, reason, message]] of Object.entries(conditions)) {
        const found = conditionOf(status, type as ConditionType);
        assert.deepEqual([found?.status, found?.reason], [value, reason], type);
        if (message !== undefined) assert.equal(found?.message, message);
      }
    });
  }
});

describe('transitions', () => {
  const reasons = (old: BssPlatformStatus | undefined, next: BssPlatformStatus) => transitions(old, next).map(({ reason }) => reason);
  const hibernated = after(acted({ raw: { hibernate: true } }), ready);
  const paused = after(acted({ type: 'paused' }), ready);
  const moves: [string, BssPlatformStatus | undefined, BssPlatformStatus, string[]][] = [
    ['nothing happened', ready, ready, []],
    ['ready at first', undefined, ready, ['Ready']],
    ['became unhealthy', ready, after(acted({ components: [starting('kafka')] }), ready), ['NotReady']],
    ['was paused', ready, paused, ['Paused']],
    ['resumes', paused, after(acted(), paused), ['Resumed']],
    ['goes to sleep', ready, after(acted({ raw: { hibernate: true }, components: [starting('gateway')] }), ready), ['Hibernating']],
    ['wakes', hibernated, after(acted({ components: [starting('kafka')] }), hibernated), ['Waking']],
    ['begins to rotate', ready, introducing, ['RotationBegun']],
    ['continues the rotation', introducing, replacing, []],
    ['has rotated', locking, rotated, ['Ready', 'RotationDone']],
    ['is invalid', ready, after({ type: 'invalid', generation: 2, problems: [], alerts: undefined }, ready), ['InvalidSpec']],
    ['was upgraded', ready, after(acted({ raw: { version: '0.2.0' } }), ready), ['Upgraded']],
  ];
  for (const [name, old, next, expected] of moves) void test(name, () => assert.deepEqual(reasons(old, next), expected));
});

void describe('hibernation and retention', () => {
  const raw = { hibernate: true, topics: [{ name: 'interest.transaction.v1', retention: '2d' }] };
  const hibernated = (now: number, previous?: BssPlatformStatus) =>
    after(acted({ raw, components: [well('kafka'), well('gateway')] }), previous, now);
  const risk = (status: BssPlatformStatus) => conditionOf(status, 'RetentionAtRisk');
  const first = hibernated(NOW, ready);

  void test('warns from the start until when the platform must wake', () => {
    assert.equal(risk(ready)?.status, 'False');
    assert.deepEqual([risk(first)?.status, risk(first)?.reason], ['True', 'Hibernated']);
    assert.match(risk(first)?.message ?? '', /^topic interest\.transaction\.v1 keeps events for 2d, .*before 2026-01-03T12:00:00Z/);
  });

  void test('does not change with time before the deadline, and reports that it has passed', () => {
    const later = hibernated(NOW + 2 * 24 * 60 * MINUTE - 1, first);
    assert.deepEqual(risk(later), risk(first));
    const past = hibernated(NOW + 2 * 24 * 60 * MINUTE, later);
    assert.deepEqual([risk(past)?.status, risk(past)?.reason], ['True', 'RetentionExceeded']);
    assert.match(risk(past)?.message ?? '', /since 2026-01-03T12:00:00Z Kafka may delete events/);
    assert.deepEqual(risk(hibernated(NOW + 3 * 24 * 60 * MINUTE, past)), risk(past));
  });

  void test('ends when the platform wakes, and the next hibernation has a deadline of its own', () => {
    const awake = after(acted(), first, NOW + MINUTE);
    assert.deepEqual([risk(awake)?.status, risk(awake)?.reason], ['False', 'NotHibernated']);
    assert.match(risk(hibernated(NOW + 60 * MINUTE, awake))?.message ?? '', /before 2026-01-03T13:00:00Z/);
  });

  void test('does not warn when nothing reads the topics', () => {
    const none = { ...raw, workloads: { interest: { enabled: false } } };
    assert.equal(risk(after(acted({ raw: none }), ready))?.reason, 'NoConsumers');
  });
});
