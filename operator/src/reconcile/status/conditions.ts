/** Conditions of a platform. Pure; reasons and messages stay the same while their cause does. */
import type { BssPlatformStatus } from '../../api/index.ts';
import type { Problem as ScaleProblem } from '../../autoscale/index.ts';
import type { ActedOutcome, ComponentState, Outcome, StatusEntry } from './outcome.ts';
import { withoutNewFigures } from './messages.ts';
import { retentionRisk } from './retention.ts';

export type Condition = StatusEntry<'conditions'>;
type Finding = Pick<Condition, 'status' | 'reason' | 'message'> & { type: ConditionType };

const CONDITION_TYPES = [
  'Ready',
  'Progressing',
  'Degraded',
  'Paused',
  'SpecValid',
  'LagUnknown',
  'ScalingLimited',
  'SecretsMissing',
  'TopicsDiffer',
  'Rotating',
  'RetentionAtRisk',
] as const;
export type ConditionType = (typeof CONDITION_TYPES)[number];

/** While a platform is paused, these conditions are about the newest generation; the others are about the applied one. */
const ABOUT_THE_SPEC: string[] = ['Paused', 'SpecValid'];

/**
 * The conditions after a pass. lastTransitionTime changes only with the status of its condition; condition types of other controllers stay.
 * @param at instant of the pass, RFC 3339
 */
export function nextConditions(previous: BssPlatformStatus | undefined, outcome: Outcome, at: string): Condition[] {
  const old = new Map((previous?.conditions ?? []).map((condition) => [condition.type, condition]));
  const own = findings(previous, outcome, at).map((finding) => stamped(finding, old.get(finding.type), outcome, at));
  const found = new Set(own.map((condition) => condition.type));
  return [...own, ...[...old.values()].filter((condition) => !found.has(condition.type))];
}

export function conditionOf(status: BssPlatformStatus | undefined, type: ConditionType): Condition | undefined {
  return status?.conditions?.find((condition) => condition.type === type);
}

function stamped(finding: Finding, old: Condition | undefined, outcome: Outcome, at: string): Condition {
  const kept = outcome.type === 'paused' && !ABOUT_THE_SPEC.includes(finding.type) ? old?.observedGeneration : undefined;
  const lastTransitionTime = old?.status === finding.status ? old.lastTransitionTime : at;
  return { ...finding, observedGeneration: kept ?? outcome.generation, lastTransitionTime };
}

function findings(previous: BssPlatformStatus | undefined, outcome: Outcome, at: string): Finding[] {
  switch (outcome.type) {
    case 'deleting':
      return [no('Ready', 'Deleting', outcome.message), yes('Progressing', 'Deleting', outcome.message)];
    case 'invalid': {
      const message = outcome.problems.map((problem) => `${problem.path}: ${problem.message}`).join('; ');
      return [no('Ready', 'InvalidSpec', message), no('Progressing', 'InvalidSpec', ''), no('SpecValid', 'InvalidSpec', message)];
    }
    case 'acted':
    case 'paused':
      return actedFindings(previous, outcome, at);
  }
}

function actedFindings(previous: BssPlatformStatus | undefined, outcome: ActedOutcome, at: string): Finding[] {
  const summary = summarize(previous, outcome);
  const paused = outcome.type === 'paused';
  return [
    withoutNewFigures({ ...summary.ready, type: 'Ready' }, conditionOf(previous, 'Ready')),
    paused ? no('Progressing', 'Paused', '') : { ...summary.progressing, type: 'Progressing' },
    withoutNewFigures({ ...summary.degraded, type: 'Degraded' }, conditionOf(previous, 'Degraded')),
    paused
      ? yes('Paused', 'PausedByUser', 'the operator changes nothing, replicas included, until spec.paused is false')
      : no('Paused', 'NotPaused', ''),
    yes('SpecValid', 'Valid', ''),
    ...scalingFindings(outcome).map((finding) => withoutNewFigures(finding, conditionOf(previous, finding.type))),
    outcome.missingSecrets.length > 0
      ? yes('SecretsMissing', 'NotFound', outcome.missingSecrets.join('; '))
      : no('SecretsMissing', 'AllFound', ''),
    topicFinding(previous, outcome.topicDifferences),
    rotationFinding(previous, outcome),
    { ...retentionRisk(outcome.spec, hibernatedSince(previous) ?? at, at), type: 'RetentionAtRisk' },
  ];
}

/** The migration Job updates the logins in database and poolers: it adds the new ones first, and locks the former ones at the end. */
function rotationFinding(previous: BssPlatformStatus | undefined, outcome: ActedOutcome): Finding {
  const old = conditionOf(previous, 'Rotating');
  const migrated = outcome.components.every(({ name, state, health }) => name !== MIGRATE || (state === 'applied' && health.healthy));
  const { underWay, request, waitsFor } = outcome.rotation;
  if (outcome.type === 'paused' && old !== undefined) return { ...old, type: 'Rotating' };
  if (underWay && !migrated) return yes('Rotating', 'IntroducingNew', 'setting the new passwords in the database and PgBouncer');
  const shown = [...waitsFor.slice(0, 4), ...(waitsFor.length > 4 ? [`${waitsFor.length - 4} more`] : [])].join(', ');
  const waits = shown && `; waiting for ${shown}`;
  if (underWay) return yes('Rotating', 'ReplacingPods', `pods still use the former passwords, which stay valid${waits}`);
  if (waitsFor.length > 0 && old?.status === 'True') return yes('Rotating', 'LockingFormer', `locking the former logins${waits}`);
  return request === undefined ? no('Rotating', 'NotRequested', '') : no('Rotating', 'Rotated', `rotation "${request}" is complete`);
}

/** The component of the migration Job. */
const MIGRATE = 'migrate';

function topicFinding(previous: BssPlatformStatus | undefined, differences: string[] | undefined): Finding {
  const old = conditionOf(previous, 'TopicsDiffer');
  if (differences === undefined && old !== undefined) return { ...old, type: 'TopicsDiffer' };
  if (!differences?.length) return no('TopicsDiffer', 'InSync', '');
  return yes('TopicsDiffer', 'PartitionsCannotShrink', differences.join('; '));
}

/** The condition is true from the start of a hibernation to its end. */
function hibernatedSince(previous: BssPlatformStatus | undefined): string | undefined {
  const old = conditionOf(previous, 'RetentionAtRisk');
  return old?.status === 'True' ? old.lastTransitionTime : undefined;
}

interface Summary {
  ready: Omit<Finding, 'type'>;
  progressing: Omit<Finding, 'type'>;
  degraded: Omit<Finding, 'type'>;
}

function summarize(previous: BssPlatformStatus | undefined, outcome: ActedOutcome): Summary {
  const unhealthy = outcome.components.filter((part) => part.state !== 'held' && !part.health.healthy);
  const stuck = unhealthy.filter((part) => part.state === 'refused' || part.health.failing);
  const settled = outcome.components.every((part) => part.health.healthy && part.state === 'applied');
  const message = describe(unhealthy.length > 0 ? unhealthy : outcome.components.filter((part) => part.state === 'held'));
  if (outcome.spec.hibernate) return hibernation(settled, stuck, message);
  if (settled) {
    const settledFinding = { status: 'False', reason: 'Settled', message: '' } as const;
    const standstill = stalledGroups(outcome);
    if (standstill !== '') {
      return {
        ready: { status: 'False', reason: NO_PROGRESS, message: standstill },
        progressing: settledFinding,
        degraded: { status: 'True', reason: NO_PROGRESS, message: standstill },
      };
    }
    return {
      ready: { status: 'True', reason: 'Running', message: 'every component is healthy' },
      progressing: settledFinding,
      degraded: notDegraded(),
    };
  }
  const reason = stuck.length > 0 ? stuckReason(stuck) : waitingReason(previous, outcome);
  const degraded = stuck.length > 0 ? degradation(previous, outcome, stuck) : notDegraded();
  const progressing = { status: stuck.length > 0 ? 'False' : 'True', reason, message } as const;
  return { ready: { status: 'False', reason, message }, progressing, degraded };
}

/** Reason of Ready and Degraded while every component is healthy and a consumer group processes nothing of its lag. */
export const NO_PROGRESS = 'NoProgress';

/** The groups that make no progress, with their messages; empty when there are none. */
function stalledGroups({ groups }: ActedOutcome): string {
  const stalled = (groups ?? []).flatMap(({ name, problems }) =>
    problems.flatMap(({ type, message }) => (type === NO_PROGRESS ? [`${name}: ${message}`] : [])),
  );
  return stalled.join('; ');
}

function notDegraded() {
  return { status: 'False', reason: 'AsExpected', message: '' } as const;
}

function hibernation(settled: boolean, stuck: ComponentState[], message: string): Summary {
  const reason = settled ? 'Hibernated' : 'Hibernating';
  const hibernated = 'all pods are stopped and the data is kept; set spec.hibernate to false to wake the platform';
  return {
    ready: { status: 'False', reason, message: settled ? hibernated : message },
    progressing: { status: settled ? 'False' : 'True', reason, message: settled ? '' : message },
    degraded: stuck.length > 0 ? { status: 'True', reason: stuckReason(stuck), message: describe(stuck) } : notDegraded(),
  };
}

function stuckReason(stuck: ComponentState[]): string {
  return stuck.some((part) => part.state === 'refused') ? 'ApplyFailed' : 'ComponentFailing';
}

/** First installation, upgrade, rotation, change of the spec, or a component that became unhealthy. */
function waitingReason(previous: BssPlatformStatus | undefined, { spec, generation, rotation }: ActedOutcome): string {
  if (previous?.version === undefined) return 'Starting';
  if (previous.version !== spec.version) return 'Upgrading';
  if (rotation.underWay || conditionOf(previous, 'Rotating')?.status === 'True') return 'Rotating';
  const ready = conditionOf(previous, 'Ready');
  const becameUnhealthy = ready?.observedGeneration === generation && (ready.status === 'True' || ready.reason === 'NotReady');
  return becameUnhealthy ? 'NotReady' : 'RollingOut';
}

function degradation(previous: BssPlatformStatus | undefined, { spec }: ActedOutcome, stuck: ComponentState[]): Omit<Finding, 'type'> {
  const from = previous?.version;
  if (from === undefined || from === spec.version) return { status: 'True', reason: stuckReason(stuck), message: describe(stuck) };
  const message = `the upgrade from ${from} to ${spec.version} stopped at ${describe(stuck)}; set spec.version to ${from} to roll back`;
  return { status: 'True', reason: 'UpgradeStopped', message };
}

/** Names and messages of the first four components, and the number of the others. */
function describe(parts: ComponentState[]): string {
  const shown = parts.slice(0, 4).map((part) => `${part.name}: ${part.health.message}`);
  return [...shown, ...(parts.length > shown.length ? [`and ${parts.length - shown.length} more`] : [])].join('; ');
}

const LAG_PROBLEMS: ScaleProblem['type'][] = ['LagUnknown', 'CredentialsRefused', 'UnknownGroup'];

function scalingFindings({ groups }: ActedOutcome): Finding[] {
  const all = (groups ?? []).flatMap((group) => group.problems.map((problem) => ({ ...problem, group: group.name })));
  const [lag, rest] = [all.filter((one) => LAG_PROBLEMS.includes(one.type)), all.filter((one) => !LAG_PROBLEMS.includes(one.type))];
  const joined = (list: typeof all) => list.map((one) => `${one.group}: ${one.message}`).join('; ');
  return [
    lag[0] ? yes('LagUnknown', lag[0].type, joined(lag)) : no('LagUnknown', 'LagKnown', ''),
    rest[0] ? yes('ScalingLimited', rest[0].type, joined(rest)) : no('ScalingLimited', 'NotLimited', ''),
  ];
}

function yes(type: ConditionType, reason: string, message: string): Finding {
  return { type, status: 'True', reason, message };
}

function no(type: ConditionType, reason: string, message: string): Finding {
  return { type, status: 'False', reason, message };
}
