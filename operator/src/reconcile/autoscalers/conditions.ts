/**
 * Conditions of a ConsumerAutoscaler. Ready, Reconciling and Stalled have the meaning that kstatus gives them, and with it kubectl, Flux and Argo CD:
 * Reconciling while the operator retries by itself, Stalled when somebody has to act. Pure.
 */
import type { ConsumerAutoscalerStatus, Problem } from '../../api/index.ts';
import type { ConsumerGroupStatus, Problem as ScaleProblem } from '../../autoscale/index.ts';
import { withoutNewFigures } from '../status/messages.ts';

/** Outcome of one pass. */
export type AutoscalerOutcome =
  | { type: 'invalid'; generation: number; problems: Problem[] }
  | { type: 'secretsMissing'; generation: number; missing: string[] }
  | { type: 'measured'; generation: number; fixed: boolean; object: string; subject: string; group: ConsumerGroupStatus };

export type AutoscalerCondition = NonNullable<ConsumerAutoscalerStatus['conditions']>[number];
type Finding = Pick<AutoscalerCondition, 'type' | 'status' | 'reason' | 'message'>;

/** Why the operator does not scale on the lag. `stalled`: no retry helps. */
interface Obstacle {
  reason: string;
  message: string;
  stalled: boolean;
}

/** Problems that keep the operator from scaling, the most telling first. */
const OBSTACLES: ScaleProblem['type'][] = [
  'PolicyInvalid',
  'ForeignScaler',
  'CredentialsRefused',
  'UnknownGroup',
  'LagUnknown',
  'ScalersUnknown',
  'ScaleFailed',
];
/** Reasons that somebody has to remove. What may come by itself, such as a topic or the object, is waited for. */
const STALLED = new Set(['PolicyInvalid', 'ForeignScaler', 'CredentialsRefused', 'NotAuthorized']);

/** The conditions after a pass. lastTransitionTime changes only with the status of its condition. @param at RFC 3339 */
export function autoscalerConditions(
  previous: ConsumerAutoscalerStatus | undefined,
  outcome: AutoscalerOutcome,
  at: string,
): AutoscalerCondition[] {
  const old = new Map((previous?.conditions ?? []).map((condition) => [condition.type, condition]));
  if (isStillUnseen(outcome) && old.get('Ready')?.observedGeneration === outcome.generation) return previous?.conditions ?? [];
  return findings(outcome).map((finding) => {
    const before = old.get(finding.type);
    const lastTransitionTime = before?.status === finding.status ? before.lastTransitionTime : at;
    return { ...withoutNewFigures(finding, before), observedGeneration: outcome.generation, lastTransitionTime };
  });
}

/** A restart of the operator is no news: the conditions are those of the last sample. */
function isStillUnseen(outcome: AutoscalerOutcome): boolean {
  if (outcome.type !== 'measured') return false;
  const { lastSampleTime, unusable, problems } = outcome.group;
  return lastSampleTime === null && unusable === null && problems.length === 0;
}

function findings(outcome: AutoscalerOutcome): Finding[] {
  if (isStillUnseen(outcome)) return starting();
  const obstacle = obstacleOf(outcome);
  return [...(obstacle === undefined ? scaling(outcome) : prevented(obstacle)), limited(outcome)];
}

function starting(): Finding[] {
  const message = 'the group has not been sampled yet';
  return [no('Ready', 'Starting', message), yes('Reconciling', 'Starting', message), no('Stalled', 'NotStalled', ''), notLimited()];
}

function scaling(outcome: AutoscalerOutcome): Finding[] {
  const settled = [no('Reconciling', 'Settled', ''), no('Stalled', 'NotStalled', '')];
  if (outcome.type !== 'measured') return settled;
  const { object, fixed, group } = outcome;
  return [
    fixed
      ? yes('Ready', 'NotScaled', `mode is fixed: the lag of ${group.name} is measured, and ${object} keeps its replicas`)
      : yes('Ready', 'Scaling', `scales ${object} on the lag of ${group.name}`),
    ...settled,
  ];
}

function prevented({ reason, message, stalled }: Obstacle): Finding[] {
  return [
    no('Ready', reason, message),
    stalled ? no('Reconciling', reason, '') : yes('Reconciling', reason, message),
    stalled ? yes('Stalled', reason, message) : no('Stalled', 'NotStalled', ''),
  ];
}

function obstacleOf(outcome: AutoscalerOutcome): Obstacle | undefined {
  switch (outcome.type) {
    case 'invalid':
      return {
        reason: 'InvalidSpec',
        message: outcome.problems.map(({ path, message }) => `${path}: ${message}`).join('; '),
        stalled: true,
      };
    case 'secretsMissing':
      return { reason: 'SecretsMissing', message: outcome.missing.join('; '), stalled: false };
    case 'measured':
      return obstacleOfGroup(outcome.group);
  }
}

function obstacleOfGroup({ problems, unusable }: ConsumerGroupStatus): Obstacle | undefined {
  const found = OBSTACLES.flatMap((type) => problems.filter((problem) => problem.type === type))[0];
  if (found === undefined) return undefined;
  const reason = found.type === 'LagUnknown' ? (unusable ?? found.type) : found.type;
  return { reason, message: found.message, stalled: STALLED.has(reason) };
}

/** Problems beside which the operator scales. */
function limited(outcome: AutoscalerOutcome): Finding {
  const problems = outcome.type === 'measured' ? outcome.group.problems.filter(({ type }) => !OBSTACLES.includes(type)) : [];
  const [first] = problems;
  return first === undefined ? notLimited() : yes('ScalingLimited', first.type, problems.map(({ message }) => message).join('; '));
}

const notLimited = (): Finding => no('ScalingLimited', 'NotLimited', '');

function yes(type: string, reason: string, message: string): Finding {
  return { type, status: 'True', reason, message };
}

function no(type: string, reason: string, message: string): Finding {
  return { type, status: 'False', reason, message };
}
