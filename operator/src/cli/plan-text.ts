/** A plan as text: pure. */
import { createTwoFilesPatch } from 'diff';
import { stringify } from 'yaml';
import { withoutBookkeeping, type KubernetesObject } from '../runtime/index.ts';
import { count, withoutSecrets, type Paint } from './output.ts';

export interface PlannedChange {
  action: 'create' | 'change' | 'replace' | 'delete' | 'keep' | 'refused';
  kind: string;
  name: string;
  before?: KubernetesObject | undefined;
  after?: KubernetesObject | undefined;
  /** Why its pods are replaced; empty when they are not. */
  restarts: string[];
  /** Why it cannot be applied. */
  refusal?: string;
}

export interface Plan {
  namespace: string;
  name: string;
  /** The resource itself; undefined when its spec stays as it is. */
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
  if (!hasChanges(plan)) return [`${title}: nothing would change`, ...warnings(plan, paint)].join('\n');
  const all = [...(plan.spec ? [plan.spec] : []), ...plan.changes];
  const telling = all.filter((change) => !isRelabelled(change));
  const relabelled = all.length - telling.length;
  const rest = relabelled === 0 ? [] : [paint('yellow', `~ ${count(relabelled, 'more object')}: only the label ${VERSION_LABEL}`)];
  const changes = telling.flatMap((change) => describeChange(change, paint));
  return [title, ...changes, ...rest, '', summary(plan), ...restarts(plan, paint), ...warnings(plan, paint)].join('\n');
}

const VERSION_LABEL = 'app.kubernetes.io/version';

/** The version is a label of every object, so that an upgrade changes them all: what nobody needs to read. */
function isRelabelled({ action, before, after }: PlannedChange): boolean {
  return action === 'change' && yaml(before) === yaml(after);
}

function describeChange(change: PlannedChange, paint: Paint): string[] {
  const { action, kind, name, restarts: reasons, refusal } = change;
  const notes = {
    keep: ' (kept with its data)',
    refused: `: ${refusal ?? ''}`,
    replace: ' (cannot be changed in place: made anew)',
    create: '',
    change: '',
    delete: '',
  };
  const restart = reasons.length > 0 ? `  restarts: ${reasons.join(', ')}` : '';
  const head = paint(STYLE[action], `${SIGN[action]} ${kind} ${name}${notes[action]}`) + paint('cyan', restart);
  return [head, ...(action === 'change' || action === 'replace' ? diff(change, paint) : [])];
}

const INDENT = '    ';

function diff({ before, after }: PlannedChange, paint: Paint): string[] {
  const patch = createTwoFilesPatch('', '', yaml(before), yaml(after), '', '', { context: 2 });
  // The first lines name the two files.
  const lines = patch
    .split('\n')
    .slice(4)
    .filter((line) => line !== '' && !line.startsWith('\\'));
  return lines.map((line) => INDENT + colourLine(line, paint));
}

function colourLine(line: string, paint: Paint): string {
  if (line.startsWith('+')) return paint('green', line);
  if (line.startsWith('-')) return paint('red', line);
  return line.startsWith('@@') ? paint('dim', line) : line;
}

/** What a person compares: without status, version label and what the server notes down. */
function yaml(object: KubernetesObject | undefined): string {
  if (object === undefined) return '';
  const { status: _status, metadata, ...rest } = withoutBookkeeping(withoutSecrets(object));
  const { uid: _uid, creationTimestamp: _time, labels = {}, ...kept } = metadata;
  const { [VERSION_LABEL]: _version, ...telling } = labels;
  return stringify({ ...rest, metadata: { ...kept, labels: telling } }, { sortMapEntries: true, lineWidth: 0 });
}

function summary({ changes }: Plan): string {
  const number = (...actions: PlannedChange['action'][]) => changes.filter(({ action }) => actions.includes(action)).length;
  const parts = [`${number('create')} to create`, `${number('change', 'replace')} to change`, `${number('delete')} to delete`];
  const refused = number('refused');
  return `Plan: ${[...parts, ...(refused > 0 ? [`${refused} refused`] : [])].join(', ')}.`;
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
