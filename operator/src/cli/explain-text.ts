/** Output of `bss explain-scaling`. Pure. Times are UTC. */
import type { GroupRecording, ScalePolicy } from '../autoscale/index.ts';
import { boundBy } from '../autoscale/bound.ts';
import type { Replay, ReplayFigures, ReplayRow } from '../autoscale/simulator/replay.ts';
import type { DecisionRecord } from '../autoscale/index.ts';
import { columns, count, type Paint } from './output.ts';

/** Length of the recording in seconds. */
const HOUR_SECONDS = 3600;
/** Maximum rows of a replay. */
const REPLAY_ROWS = 24;

/** The group, its policy, the start of the recording and the last decisions. @param since epoch milliseconds */
export function describeDecisions(platform: string, since: number, recording: GroupRecording, last: number, paint: Paint): string {
  const { group, deployment, policy, decisions } = recording;
  const shown = decisions.slice(-last);
  const rows = shown.map((decision) => decisionRow(decision, policy));
  const table = columns([DECISION_HEAD, ...rows]).map((line, index) =>
    index === 0 ? paint('dim', line) : coloured(line, shown[index - 1], paint),
  );
  return [
    `${paint('bold', `${platform} ${group}`)}  scales ${deployment}: ${policyText(policy)}`,
    recordedSince(since, decisions),
    ...(rows.length === 0 ? [] : ['', ...table, '', because(shown.at(-1), paint)]),
  ].join('\n');
}

const DECISION_HEAD = ['TIME (UTC)', 'LAG', 'DELAY', 'ARRIVALS/S', 'PROCESSED/S', 'PER REPLICA/S', 'REPLICAS', 'REASON', 'BOUND BY'];

function decisionRow(decision: DecisionRecord, policy: ScalePolicy): string[] {
  const { at, usable, lag, delaySeconds, arrivalRate, throughput, ratePerReplica, from, to, reason } = decision;
  return [
    clock(at),
    usable ? whole(lag) : '?',
    usable && delaySeconds !== null ? `${delaySeconds.toFixed(0)} s` : '?',
    usable ? whole(arrivalRate) : '?',
    usable ? whole(throughput) : '?',
    ratePerReplica === null ? '?' : whole(ratePerReplica),
    from === to ? `${to}` : `${from} -> ${to}`,
    reason,
    boundBy(decision, policy) ?? '',
  ];
}

function coloured(line: string, decision: DecisionRecord | undefined, paint: Paint): string {
  if (decision === undefined) return line;
  if (!decision.usable) return paint('red', line);
  return decision.from === decision.to ? line : paint('green', line);
}

/** The recording does not survive a restart of the operator. */
function recordedSince(since: number, decisions: readonly DecisionRecord[]): string {
  const [first] = decisions;
  const start = `the operator's start at ${instant(since)}`;
  if (first === undefined) return `no decision since ${start}`;
  const full = first.at - since > (HOUR_SECONDS / 10) * 1000;
  return `${count(decisions.length, 'decision')} since ${full ? `${instant(first.at)} (the recording keeps one hour)` : `${start} (earlier decisions are not kept)`}`;
}

/** The message of the last decision. */
function because(last: DecisionRecord | undefined, paint: Paint): string {
  return last === undefined ? '' : `${paint('cyan', 'now')} ${last.message}`;
}

export function policyText(policy: ScalePolicy): string {
  const { mode, minReplicas, maxReplicas, maxDelaySeconds, lagPerReplica, scaleDownWindowSeconds, scaleToZero } = policy;
  return [
    ...(mode === 'builtin' ? [] : [`mode ${mode}`]),
    `maxDelay ${maxDelaySeconds} s`,
    `${minReplicas} to ${maxReplicas} replicas`,
    `window ${scaleDownWindowSeconds} s`,
    ...(lagPerReplica === undefined ? [] : [`lagPerReplica ${lagPerReplica}`]),
    ...(scaleToZero ? ['to zero when idle'] : []),
  ].join(', ');
}

/** The replay as figures and as a thinned table. */
export function describeReplay({ policy: recordedPolicy }: GroupRecording, result: Replay, paint: Paint): string {
  const { rows, recorded, modelled, replayed, policy, seconds } = result;
  const summary = columns([
    ['', 'LAG INTEGRAL', 'WORST LAG', 'WORST DELAY', 'POD-SECONDS', 'SCALE ACTIONS'],
    ['recorded', ...figures(recorded)],
    ['the same, modelled', ...figures(modelled)],
    ['replayed', ...figures(replayed)],
    ['replayed : modelled', ...ratios(replayed, modelled)],
  ]);
  const table = columns([['TIME (UTC)', 'ARRIVALS/S', 'LAG', 'REPLAYED', 'REPLICAS', 'REPLAYED'], ...thinned(rows).map(replayRow)]);
  const dimmed = ([head = '', ...body]: string[]) => [paint('dim', head), ...body];
  return [
    `${paint('bold', 'replay')} of ${whole(seconds)} s under: ${policyText(policy)}`,
    `recorded under:          ${policyText(recordedPolicy)}`,
    'Arrivals are as recorded, pods are modelled: compare "replayed" with "modelled".',
    '',
    ...dimmed(summary),
    '',
    ...dimmed(table),
  ].join('\n');
}

function figures({ lagIntegral, worstLag, worstDelay, podSeconds, scaleActions }: ReplayFigures): string[] {
  const delay = worstDelay === null ? '?' : `${worstDelay.toFixed(0)} s`;
  return [whole(lagIntegral), whole(worstLag), delay, whole(podSeconds), `${scaleActions}`];
}

function ratios(one: ReplayFigures, other: ReplayFigures): string[] {
  const ratio = (a: number, b: number) => (b > 0 ? `${(a / b).toFixed(2)}x` : '');
  return [ratio(one.lagIntegral, other.lagIntegral), '', '', ratio(one.podSeconds, other.podSeconds), ''];
}

/** Rows where replicas changed, and evenly spaced others, up to REPLAY_ROWS. */
function thinned(rows: readonly ReplayRow[]): ReplayRow[] {
  const every = Math.max(1, Math.ceil(rows.length / REPLAY_ROWS));
  const changed = (index: number) => {
    const [row, before] = [rows[index], rows[index - 1]];
    return before !== undefined && row !== undefined && replicasOf(row) !== replicasOf(before);
  };
  const changes = rows.filter((_, index) => changed(index)).length;
  return rows.filter((_, index) => index % every === 0 || index === rows.length - 1 || (changes <= REPLAY_ROWS && changed(index)));
}

function replicasOf({ recorded, replayed }: ReplayRow): string {
  return `${recorded.replicas} ${replayed.replicas}`;
}

function replayRow({ at, arrivals, recorded, replayed }: ReplayRow): string[] {
  const lag = recorded.lag === null ? '?' : whole(recorded.lag);
  return [clock(at), whole(arrivals), lag, whole(replayed.lag), `${recorded.replicas}`, `${replayed.replicas}`];
}

function clock(at: number): string {
  return new Date(at).toISOString().slice(11, 19);
}

function instant(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19)}Z`;
}

function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}
