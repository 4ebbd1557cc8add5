/** Status of a ConsumerAutoscaler: pure, from the previous status and the outcome of a pass. */
import { isDeepStrictEqual } from 'node:util';
import { consumerAutoscalerStatusSchema, type ConsumerAutoscalerSpec, type ConsumerAutoscalerStatus } from '../../api/index.ts';
import { nextGroups, onlyFiguresDiffer, type GroupEntry } from '../scaling/groups.ts';
import { instant, validFields } from '../status/status.ts';
import { autoscalerConditions, type AutoscalerOutcome } from './conditions.ts';

/** The valid fields of a status. */
export function readAutoscalerStatus(raw: unknown): ConsumerAutoscalerStatus | undefined {
  return validFields(consumerAutoscalerStatusSchema, raw);
}

/** What the figures in status are about: those of another group or object are not its own. */
export function subjectOf({ group, topics, scaleTargetRef: { kind, name } }: ConsumerAutoscalerSpec): string {
  return `${group} (${topics.join(', ')}) of ${kind} ${name}`;
}

/** The status after a pass. Without a sample the figures stay; those of another group go. @param now epoch milliseconds */
export function nextAutoscalerStatus(
  previous: ConsumerAutoscalerStatus | undefined,
  outcome: AutoscalerOutcome,
  now: number,
): ConsumerAutoscalerStatus {
  const conditions = autoscalerConditions(previous, outcome, instant(now));
  const figures = outcome.type === 'measured' ? nextFigures(previous, outcome) : aboutSubject(previous);
  return { observedGeneration: outcome.generation, conditions, ...figures };
}

type Figures = Omit<GroupEntry, 'name' | 'topics'>;

type Measured = Extract<AutoscalerOutcome, { type: 'measured' }>;

function nextFigures(previous: ConsumerAutoscalerStatus | undefined, { subject, group }: Measured): AboutSubject {
  const { name, topics } = group;
  const old = previous?.subject === subject ? [{ name, topics, ...figuresOf(previous) }] : undefined;
  const [next] = nextGroups(old, [group]);
  return { subject, ...(next === undefined ? {} : figuresOf(next)) };
}

type AboutSubject = Figures & Pick<ConsumerAutoscalerStatus, 'subject'>;

function aboutSubject(status: ConsumerAutoscalerStatus | undefined): AboutSubject {
  return { ...(status?.subject === undefined ? {} : { subject: status.subject }), ...figuresOf(status) };
}

/** What status shows of the group. */
function figuresOf(status: Partial<GroupEntry> & Partial<ConsumerAutoscalerStatus> = {}): Figures {
  const { name: _name, topics: _topics, conditions: _conditions, observedGeneration: _generation, subject: _subject, ...figures } = status;
  return figures;
}

/** How two statuses differ: not at all, only in the figures of the group, or in more. */
export function autoscalerDifference(
  old: ConsumerAutoscalerStatus | undefined,
  next: ConsumerAutoscalerStatus,
): 'none' | 'figures' | 'more' {
  if (isDeepStrictEqual(old, next)) return 'none';
  const told = ({ conditions, observedGeneration, subject }: ConsumerAutoscalerStatus) => ({ conditions, observedGeneration, subject });
  const entry = (status: ConsumerAutoscalerStatus): GroupEntry => ({ name: '', topics: [], ...figuresOf(status) });
  if (old === undefined || !isDeepStrictEqual(told(old), told(next))) return 'more';
  return onlyFiguresDiffer(entry(old), entry(next)) ? 'figures' : 'more';
}
