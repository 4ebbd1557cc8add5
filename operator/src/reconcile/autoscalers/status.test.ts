import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConsumerAutoscalerStatus } from '../../api/index.ts';
import type { ConsumerGroupStatus, Problem } from '../../autoscale/index.ts';
import type { AutoscalerOutcome } from './conditions.ts';
import { autoscalerDifference, nextAutoscalerStatus, readAutoscalerStatus } from './status.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');

const group = (fields: Partial<ConsumerGroupStatus> = {}): ConsumerGroupStatus => ({
  name: 'g',
  topics: ['t'],
  namespace: 'n',
  deployment: 'd',
  lag: 100,
  unusable: null,
  delaySeconds: 3,
  arrivalRate: 10,
  throughput: 10,
  ratePerReplica: 5,
  partitions: 4,
  members: 2,
  groupState: 'Stable',
  replicas: 2,
  readyReplicas: 2,
  desiredReplicas: 2,
  reason: 'Steady',
  message: '10/s arrive',
  problems: [],
  learned: null,
  season: null,
  lastSampleTime: NOW,
  lastScaleTime: null,
  counters: { samples: 1, unusableSamples: 0, scaleUps: 0, scaleDowns: 0, scaleErrors: 0 },
  ...fields,
});

const measured = (fields: Partial<ConsumerGroupStatus> = {}, more: object = {}): AutoscalerOutcome => ({
  type: 'measured',
  generation: 2,
  fixed: false,
  object: 'Deployment d',
  subject: 'g (t) of Deployment d',
  group: group(fields),
  ...more,
});

const UNSEEN = { lastSampleTime: null, lag: null, delaySeconds: null };
const problem = (type: Problem['type']) => ({ problems: [{ type, message: 'what is wrong' }] });

/** Statuses of Ready, Reconciling, Stalled and ScalingLimited, in this order. */
const CASES: Record<string, { outcome: AutoscalerOutcome; conditions: string; ready: string; reason: string }> = {
  'a group that is scaled': { outcome: measured(), conditions: 'True False False False', ready: 'Scaling', reason: 'kstatus: Current' },
  'mode fixed': {
    outcome: measured({}, { fixed: true }),
    conditions: 'True False False False',
    ready: 'NotScaled',
    reason: 'it does what was asked',
  },
  'no sample yet': {
    outcome: measured(UNSEEN),
    conditions: 'False True False False',
    ready: 'Starting',
    reason: 'kstatus: InProgress',
  },
  'an invalid spec': {
    outcome: { type: 'invalid', generation: 2, problems: [{ path: 'spec.brokers', message: 'write one' }] },
    conditions: 'False False True False',
    ready: 'InvalidSpec',
    reason: 'kstatus: Failed, as only a change of the spec helps',
  },
  'a missing Secret': {
    outcome: { type: 'secretsMissing', generation: 2, missing: ['Secret s does not exist'] },
    conditions: 'False True False False',
    ready: 'SecretsMissing',
    reason: 'another controller may create it: waited for',
  },
  'brokers that do not answer': {
    outcome: measured({ ...UNSEEN, unusable: 'BrokerAway', ...problem('LagUnknown') }),
    conditions: 'False True False False',
    ready: 'BrokerAway',
    reason: 'retried',
  },
  'a login that the brokers refuse': {
    outcome: measured({ ...UNSEEN, unusable: 'CredentialsRefused', ...problem('CredentialsRefused') }),
    conditions: 'False False True False',
    ready: 'CredentialsRefused',
    reason: 'somebody has to correct it',
  },
  'missing rights in Kafka': {
    outcome: measured({ ...UNSEEN, unusable: 'NotAuthorized', ...problem('LagUnknown') }),
    conditions: 'False False True False',
    ready: 'NotAuthorized',
    reason: 'somebody has to grant them',
  },
  'another scaler': {
    outcome: measured(problem('ForeignScaler')),
    conditions: 'False False True False',
    ready: 'ForeignScaler',
    reason: 'somebody has to delete one of the two',
  },
  'a maximum that is reached': {
    outcome: measured(problem('AtMaximum')),
    conditions: 'True False False True',
    ready: 'Scaling',
    reason: 'the operator scales, within bounds',
  },
};

const TYPES = ['Ready', 'Reconciling', 'Stalled', 'ScalingLimited'];

for (const [name, { outcome, conditions, ready, reason }] of Object.entries(CASES))
  await test(`conditions: ${name}`, () => {
    const status = nextAutoscalerStatus(undefined, outcome, NOW);
    const found = TYPES.map((type) => status.conditions?.find((one) => one.type === type));
    assert.equal(found.map((one) => one?.status).join(' '), conditions, reason);
    assert.equal(found[0]?.reason, ready);
    assert.equal(status.observedGeneration, 2);
    assert.deepEqual(readAutoscalerStatus(status), status, 'the definition admits every field');
  });

await test('a restart of the operator changes nothing until the first sample', () => {
  const before = nextAutoscalerStatus(undefined, measured(), NOW);
  assert.equal(autoscalerDifference(before, nextAutoscalerStatus(before, measured(UNSEEN), NOW + 1000)), 'none');
  const edited = nextAutoscalerStatus(before, measured(UNSEEN, { generation: 3 }), NOW + 1000);
  assert.equal(edited.conditions?.[0]?.reason, 'Starting', 'of a new spec nothing is known');
});

await test('figures of another group or object are dropped', () => {
  const learned = { ratePerReplica: 5, startupSeconds: 3, observations: 4 };
  const before: ConsumerAutoscalerStatus = nextAutoscalerStatus(undefined, measured({ learned }), NOW);
  assert.equal(before.learned?.ratePerReplica, 5);
  const after = nextAutoscalerStatus(before, measured(UNSEEN, { subject: 'h (t) of Deployment d', generation: 3 }), NOW);
  assert.deepEqual([after.lag, after.learned, after.subject], [undefined, undefined, 'h (t) of Deployment d']);
});

await test('small changes of figures, and numbers in messages, are no change of the status', () => {
  const before = nextAutoscalerStatus(undefined, measured({ problems: [{ type: 'HotPartition', message: 'partition 3 has 80 %' }] }), NOW);
  const next = (fields: Partial<ConsumerGroupStatus>) => nextAutoscalerStatus(before, measured(fields), NOW + 5000);
  const problems: Problem[] = [{ type: 'HotPartition', message: 'partition 3 has 81 %' }];
  assert.equal(autoscalerDifference(before, next({ lag: 101, problems })), 'none');
  assert.equal(autoscalerDifference(before, next({ lag: 500, problems })), 'figures');
  assert.equal(autoscalerDifference(before, next({ replicas: 3, problems })), 'more');
});
