/** A platform as a text tree. Pure. */
import type { BssPlatformStatus } from '../api/index.ts';
import { conditionOf } from '../reconcile/status/conditions.ts';
import type { PlatformObject } from '../reconcile/ownership/ownership.ts';
import { readStatus } from '../reconcile/status/status.ts';
import { columns, type Paint } from './output.ts';

interface Branch {
  title: string;
  lines: string[];
}

export function describeStatus(platform: PlatformObject, paint: Paint): string {
  const status = readStatus(platform.status);
  if (status?.conditions === undefined) return `${title(platform, paint)}  ${paint('yellow', 'not reconciled yet: run bss doctor')}`;
  const branches = [
    components(status, paint),
    groups(status),
    alerts(status, paint),
    notable(status, paint),
    warnings(status, paint),
    planned(status, paint),
    endpoints(status),
  ].filter((branch) => branch.lines.length > 0);
  return [
    headline(platform, status, paint),
    ...branches.flatMap((branch, index) => tree(branch, index === branches.length - 1, paint)),
  ].join('\n');
}

function title({ metadata: { namespace, name } }: PlatformObject, paint: Paint): string {
  return paint('bold', `${namespace}/${name}`);
}

function headline(platform: PlatformObject, status: BssPlatformStatus, paint: Paint): string {
  const ready = conditionOf(status, 'Ready');
  const { generation = 0 } = platform.metadata;
  const behind = (ready?.observedGeneration ?? 0) < generation ? paint('yellow', '  (the newest generation is not reconciled yet)') : '';
  const version = status.version === undefined ? '' : `  version ${status.version}`;
  const paused = conditionOf(status, 'Paused')?.status === 'True' ? paint('yellow', '  paused') : '';
  const state = ready?.status === 'True' ? paint('green', ready.reason) : paint('red', ready?.reason ?? 'Unknown');
  return `${title(platform, paint)}  ${state}${version}${paused}${behind}`;
}

function tree({ title: name, lines }: Branch, last: boolean, paint: Paint): string[] {
  const [fork, bar] = last ? ['└─', '  '] : ['├─', '│ '];
  const branches = lines.map((line, index) => `${paint('dim', `${bar} ${index === lines.length - 1 ? '└─' : '├─'}`)} ${line}`);
  return [`${paint('dim', fork)} ${name}`, ...branches];
}

function components({ components: list = [] }: BssPlatformStatus, paint: Paint): Branch {
  const rows = list.map(({ name, kind, ready, desired, message = '' }) => [
    mark(ready >= desired, desired),
    name,
    `${ready}/${desired}`,
    kind,
    message,
  ]);
  const lines = columns(rows).map(
    (line) => (line.startsWith('✓') ? paint('green', '✓') : paint(line.startsWith('✗') ? 'red' : 'dim', line.slice(0, 1))) + line.slice(1),
  );
  return { title: 'components', lines };
}

function mark(healthy: boolean, desired: number): string {
  if (desired === 0) return '○';
  return healthy ? '✓' : '✗';
}

function groups({ consumerGroups = [] }: BssPlatformStatus): Branch {
  const lines = consumerGroups.map((group) => {
    const { name, reason = '', message = '' } = group;
    return `${name}  ${figuresText(group)}, replicas ${replicasText(group)}  ${reason}${message === '' ? '' : `: ${message}`}`;
  });
  return { title: 'consumer groups', lines };
}

type Figures = Partial<Pick<NonNullable<BssPlatformStatus['consumerGroups']>[number], 'lag' | 'delaySeconds' | ReplicaFigures>>;
type ReplicaFigures = 'replicas' | 'readyReplicas' | 'desiredReplicas';

/** `lag 1,200, delay 4 s`. */
export function figuresText({ lag, delaySeconds }: Figures): string {
  return `lag ${lag === undefined ? 'unknown' : lag.toLocaleString('en-US')}, delay ${delaySeconds === undefined ? 'unknown' : `${delaySeconds} s`}`;
}

/** `2/3 → 4`: ready, wanted by the object, decided. */
export function replicasText({ replicas, readyReplicas, desiredReplicas }: Figures): string {
  const wanted = desiredReplicas !== undefined && desiredReplicas !== replicas ? ` → ${desiredReplicas}` : '';
  return `${readyReplicas ?? '?'}/${replicas ?? '?'}${wanted}`;
}

/** Firing alerts; nothing while none fires. */
function alerts({ alerts: seen }: BssPlatformStatus, paint: Paint): Branch {
  const { summary = '', firing = [], critical = 0, warning = 0, muted = 0, message } = seen ?? {};
  const rows = firing.map(({ severity, name, since, summary: what, runbook }) => [severity, name, `since ${since}`, what, runbook]);
  const lines = columns(rows).map((line) => paint(line.startsWith('critical') ? 'red' : 'yellow', line));
  const more = critical + warning - firing.length;
  const notes = [
    ...(more > 0 ? [`and ${more} more`] : []),
    ...(muted > 0 ? [`${muted} silenced or inhibited`] : []),
    ...(message === undefined ? [] : [paint('yellow', message)]),
  ];
  return { title: `alerts: ${summary}`, lines: [...lines, ...notes] };
}

/** Conditions that differ from their normal status, each message once. */
function notable(status: BssPlatformStatus, paint: Paint): Branch {
  const list = (status.conditions ?? []).filter(({ type, status: value }) => value !== (POSITIVE.has(type) ? 'True' : 'False'));
  const shown = list.filter(({ message }, index) => message === '' || list.findIndex((other) => other.message === message) === index);
  const lines = shown.map(({ type, status: value, reason, message }) => {
    const name = paint('yellow', `${type}=${value}`);
    return `${name} ${reason}${message === '' ? '' : `: ${message}`}`;
  });
  return { title: 'conditions', lines };
}

const POSITIVE = new Set(['Ready', 'SpecValid']);

function warnings({ warnings: list = [] }: BssPlatformStatus, paint: Paint): Branch {
  return { title: 'warnings', lines: list.map((warning) => paint('yellow', warning)) };
}

/** Plan of the spec that the annotation proposes; status has all details. */
function planned({ plan }: BssPlatformStatus, paint: Paint): Branch {
  const branch = (lines: string[]): Branch => ({ title: 'plan (proposed, not applied)', lines });
  if (plan === undefined) return branch([]);
  const { summary, changes = [], problems = [], omitted = 0 } = plan;
  const lines = changes.map(({ action, object, restarts = [], message }) => {
    const notes = [...restarts.map((reason) => `restarts: ${reason}`), ...(message === undefined ? [] : [message])];
    return `${action} ${object}${notes.length > 0 ? `  ${paint('cyan', notes.join(', '))}` : ''}`;
  });
  const rest = omitted > 0 ? [`and ${omitted} more`] : [];
  const wrong = problems.map(({ path, message }) => paint('red', `${path}: ${message}`));
  return branch([...(problems.length > 0 ? wrong : [summary]), ...lines, ...rest]);
}

function endpoints({ endpoints: list = [], secretName }: BssPlatformStatus): Branch {
  const secret = secretName === undefined ? [] : [['passwords', `Secret ${secretName}`]];
  return { title: 'addresses', lines: columns([...list.map(({ name, address }) => [name, address]), ...secret]) };
}
