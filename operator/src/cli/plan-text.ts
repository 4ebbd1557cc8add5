/** A plan as text. Pure. */
import { countChanges, diffLines, isRelabelled, VERSION_LABEL, type PlannedChange } from '../reconcile/plan/planned.ts';
import { count, type Paint } from './output.ts';

export interface Plan {
  namespace: string;
  name: string;
  /** Change of the resource itself; undefined when its spec does not change. */
  spec?: PlannedChange;
  changes: PlannedChange[];
  warnings: string[];
}

const SIGN = { create: '+', change: '~', replace: '±', delete: '-', keep: '=', refused: '!' } as const;
const STYLE = { create: 'green', change: 'yellow', replace: 'yellow', delete: 'red', keep: 'dim', refused: 'red' } as const;

export function hasChanges({ spec, changes }: Plan): boolean {
  return spec !== undefined || changes.some(({ action }) => action !== 'keep');
}

/** Summary, then each change with its diff. */
export function describePlan(plan: Plan, paint: Paint): string {
  const title = paint('bold', `BssPlatform ${plan.namespace}/${plan.name}`);
  if (!hasChanges(plan)) return [`${title}: no changes`, ...warnings(plan, paint)].join('\n');
  const all = [...(plan.spec ? [plan.spec] : []), ...plan.changes];
  const relevant = all.filter((change) => !isRelabelled(change));
  const relabelled = all.length - relevant.length;
  const rest = relabelled === 0 ? [] : [paint('yellow', `~ ${count(relabelled, 'more object')}: only the label ${VERSION_LABEL}`)];
  const changes = relevant.flatMap((change) => describeChange(change, paint));
  return [title, ...changes, ...rest, '', `Plan: ${countChanges(plan.changes)}.`, ...restarts(plan, paint), ...warnings(plan, paint)].join(
    '\n',
  );
}

export function describeChange(change: PlannedChange, paint: Paint): string[] {
  const { action, kind, name, restarts: reasons, refusal } = change;
  const notes = {
    keep: ' (kept with its data)',
    refused: `: ${refusal ?? ''}`,
    replace: ' (a field is immutable: the object is recreated)',
    create: '',
    change: '',
    delete: '',
  };
  const restart = reasons.length > 0 ? `  restarts: ${reasons.join(', ')}` : '';
  const head = paint(STYLE[action], `${SIGN[action]} ${kind} ${name}${notes[action]}`) + paint('cyan', restart);
  return [head, ...diff(change, paint)];
}

const INDENT = '    ';

function diff(change: PlannedChange, paint: Paint): string[] {
  return diffLines(change).map((line) => INDENT + colourLine(line, paint));
}

function colourLine(line: string, paint: Paint): string {
  if (line.startsWith('+')) return paint('green', line);
  if (line.startsWith('-')) return paint('red', line);
  return line.startsWith('@@') ? paint('dim', line) : line;
}

function restarts({ changes }: Plan, paint: Paint): string[] {
  const list = changes.filter((change) => change.restarts.length > 0);
  if (list.length === 0) return ['No pod restarts.'];
  return [
    `The pods of ${count(list.length, 'object')} restart, in this order:`,
    ...list.map(({ kind, name, restarts: reasons }) => paint('cyan', `  ${kind} ${name}: ${reasons.join(', ')}`)),
  ];
}

function warnings({ warnings: list }: Plan, paint: Paint): string[] {
  return list.map((warning) => paint('yellow', `Warning: ${warning}`));
}
