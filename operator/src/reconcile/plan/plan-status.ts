/** A plan as status shows it. Pure; its size is bounded. */
import type { BssPlatformStatus, Problem } from '../../api/index.ts';
import type { PlannedChanges } from './plan.ts';
import { countChanges, diffLines, isRelabelled, VERSION_LABEL, type PlannedChange } from './planned.ts';

export type PlanEntry = NonNullable<BssPlatformStatus['plan']>;
type ChangeEntry = NonNullable<PlanEntry['changes']>[number];
/** The request and generation of a plan. */
export type About = Pick<PlanEntry, 'request' | 'observedGeneration'>;

/** In characters; an object may have 1.5 MiB in all. */
const DIFF_LENGTH = 2_000;
const ALL_DIFFS_LENGTH = 48_000;
const TEXT_LENGTH = 500;
const MOST_CHANGES = 150;
const MOST_PROBLEMS = 20;

/** For an invalid proposal. */
export function invalidPlan(about: About, problems: Problem[]): PlanEntry {
  const shown = problems.slice(0, MOST_PROBLEMS).map(({ path, message }) => ({ path: cut(path), message: cut(message) }));
  const first = shown[0];
  const rest = problems.length > 1 ? `, and ${problems.length - 1} more` : '';
  return {
    ...about,
    result: 'Invalid',
    summary: `the proposed spec is invalid: ${first?.path ?? ''}: ${first?.message ?? ''}${rest}`,
    problems: shown,
  };
}

export function planEntry(about: About, { changes, warnings }: PlannedChanges): PlanEntry {
  const relevant = changes.filter((change) => !isRelabelled(change));
  const shown = entries(relevant.slice(0, MOST_CHANGES));
  const omitted = relevant.length - shown.length;
  return {
    ...about,
    result: resultOf(changes),
    summary: summaryOf(changes),
    ...(shown.length > 0 ? { changes: shown } : {}),
    ...(omitted > 0 ? { omitted } : {}),
    ...(warnings.length > 0 ? { warnings: warnings.map(cut) } : {}),
  };
}

function resultOf(changes: PlannedChange[]): PlanEntry['result'] {
  if (changes.some(({ action }) => action === 'refused')) return 'Refused';
  return changes.some(({ action }) => action !== 'keep') ? 'Changes' : 'NoChanges';
}

function summaryOf(changes: PlannedChange[]): string {
  if (resultOf(changes) === 'NoChanges') return 'no changes';
  const relabelled = changes.filter((change) => isRelabelled(change)).length;
  const label = relabelled > 0 ? ` (${relabelled} of them only in the label ${VERSION_LABEL})` : '';
  const restarted = changes.filter(({ restarts }) => restarts.length > 0).map(({ kind, name }) => `${kind} ${name}`);
  const restarts = restarted.length > 0 ? `the pods of ${restarted.join(', ')} restart` : 'no pod restarts';
  return cut(`${countChanges(changes)}${label}; ${restarts}`);
}

/** Every change is named; diffs are included until ALL_DIFFS_LENGTH is used up. */
function entries(changes: PlannedChange[]): ChangeEntry[] {
  let room = ALL_DIFFS_LENGTH;
  return changes.map((change) => {
    const { action, kind, name, restarts, refusal } = change;
    const diff = cutDiff(diffLines(change), Math.min(DIFF_LENGTH, room));
    room -= diff.length;
    return {
      action,
      object: `${kind} ${name}`,
      ...(restarts.length > 0 ? { restarts } : {}),
      ...(refusal === undefined ? {} : { message: cut(refusal) }),
      ...(diff === '' ? {} : { diff }),
    };
  });
}

/** Whole lines up to `length`, and the number of omitted ones. */
function cutDiff(lines: string[], length: number): string {
  let used = 0;
  const kept = lines.findIndex((line) => (used += line.length + 1) > length);
  if (kept < 0) return lines.join('\n');
  return [...lines.slice(0, kept), `... ${lines.length - kept} more lines: see bss plan`].join('\n');
}

function cut(text: string): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length <= TEXT_LENGTH ? line : `${line.slice(0, TEXT_LENGTH - 3)}...`;
}
