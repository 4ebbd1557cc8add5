/** The results as a Markdown page. */
import { DEFAULT_POLICY } from '../policy.ts';
import { MEASURED, simulateMeasured } from './calibration.ts';
import { costOf, nameOf, POLICIES, settingsFor, THRESHOLDS, WINDOWS } from './compare.ts';
import type { Comparison } from './compare.ts';
import { dominates, geometricMean, lagAt, podsAt } from './frontier.ts';
import type { Result } from './run.ts';
import { CHANGING_TRACES, TRACES } from './traces.ts';
import { WORLDS } from './worlds.ts';

/** Everything that the page shows. */
export interface Results {
  /** Every trace in every world that it was compared in. */
  named: readonly Comparison[];
  /** Loads that nothing was tuned on. */
  random: readonly Comparison[];
  /** The measure of the first comparison: KEDA's least product of lag and pods on each of its fourteen traces. */
  former: { lag: number; pods: number };
  seconds: number;
}

/** Less than this is not told apart from zero by a handful of seeds, seconds. */
const NONE_SECONDS = 0.5;
const SLACK = 1.1;

/** Figures of the builtin policy relative to KEDA's frontier and to the fewest pods possible. */
export interface Ratios {
  /** Pods at the lag that the builtin policy has. */
  podsAtEqualLag: number;
  /** Lag at the pods that it has; null when every setting of KEDA on the frontier takes more pods. */
  lagAtEqualPods: number | null;
  /** Pods of KEDA's cheapest setting that keeps maxDelay; null when none does. */
  podsAtGoal: number | null;
  keepUp: number;
}

/** @param result of the builtin policy */
export function ratiosOf({ frontier, keptGoal, keepUp }: Comparison, result: Result): Ratios {
  const { lag, pods } = costOf(result);
  return {
    podsAtEqualLag: pods / podsAt(frontier, lag),
    lagAtEqualPods: pods < (frontier[0]?.pods ?? 0) ? null : lag / lagAt(frontier, pods),
    podsAtGoal: keptGoal === null ? null : pods / keptGoal.pods,
    keepUp: pods / keepUp,
  };
}

/** Settings of KEDA with less lag and fewer pods than the builtin policy. */
export function dominating(comparison: Comparison): string[] {
  const ours = costOf(comparison.ours);
  return comparison.frontier.filter((one) => dominates(one, ours)).map(({ settings }) => nameOf(settings));
}

/** Seconds above maxDelay that enough replicas from the beginning would have spared. */
function avoidable({ ours, unavoidable }: Comparison): number {
  return ours.secondsAboveMaxDelay - unavoidable;
}

/** The whole page. */
export function report(results: Results): string {
  return [
    '# Autoscaling simulator: results',
    '',
    '`make simulate` writes this page; the same seeds give the same figures.',
    '',
    ...method(results),
    ...goals(results),
    ...formerGoals(results),
    ...traceTable(results.named),
    ...randomTable(results.random),
    ...figureTable(results.named),
    ...calibrationTable(),
    '## Charts',
    '',
    'Lag integral over pod-seconds, both logarithmic. Grey: every setting of KEDA. Red: the settings that no other one beats in both. Green: the',
    'builtin policy, with its one default. Dotted: the fewest pod-seconds that carry the load.',
    '',
    ...traceNames(results.named).flatMap((trace) => [
      `![${trace}: frontier](${frontierChartName(trace)})`,
      `![${trace}](${chartName(trace)})`,
    ]),
    '',
  ].join('\n');
}

/** File names of a trace's charts. */
export function chartName(trace: string): string {
  return `autoscale-${trace.replaceAll(' ', '-')}.svg`;
}

export function frontierChartName(trace: string): string {
  return `autoscale-${trace.replaceAll(' ', '-')}-frontier.svg`;
}

export function traceNames(comparisons: readonly Comparison[]): string[] {
  return [...new Set(comparisons.map(({ trace }) => trace))];
}

function method({ seconds, random }: Results): string[] {
  const count = settingsFor({ minReplicas: 1 } as never).length;
  return [
    '## What is compared',
    '',
    `- **builtin**: one default policy for every load (window ${DEFAULT_POLICY.scaleDownWindowSeconds} s; bounds and maxDelay are those of the load), starting without a learnt rate.`,
    `- **KEDA** 2.21 with the HPA v2: ${count} settings for each load. Thresholds ${THRESHOLDS.join(', ')}; scale-down windows ${WINDOWS.join(', ')} s; scale-up by the HPA's default and ${POLICIES.length - 1} policy without a limit; and no \`behavior\` at all, where the HPA goes to the most that it has recommended in five minutes. A poll of 5 and 30 s where a group may stop. Averaged over the phases of the HPA's cycle.`,
    '- **Frontier**: the settings that no other one beats in both lag integral and pod-seconds. Between two of them it counts as a straight line in logarithms, as if there were settings between them.',
    '- **Keep-up**: the pod-seconds of somebody who knows the future and starts and stops the fewest useful replicas in no time.',
    '- Every run goes on after the end of its load until nothing is left, and is charged for that.',
    '- Consumers, named by the mean time from arrival to commit, which is all the lag that KEDA sees of a group that keeps up:',
    ...WORLDS.map(({ name, about }) => `  - **${name}**: ${about}.`),
    `- A pod takes 2 to 4 s to start, and processes 200 messages/s where the load does not say otherwise. The random loads (${random.length} seeds) vary all of this.`,
    '- Cooperative rebalancing stops only the partitions that move; it lies between the first kind of consumers and the others and is not modelled by itself.',
    `- This page took ${Math.ceil(seconds / 60)} minutes of two cores.`,
    '',
    '| load | what happens |',
    '|---|---|',
    ...[...TRACES, ...CHANGING_TRACES].map(({ name, about }) => `| ${name} | ${about} |`),
    '',
  ];
}

function goals({ named, random }: Results): string[] {
  const rows = [
    dominanceRow('named loads', named),
    dominanceRow('random loads', random),
    meanRow('pods at equal lag, named loads', named, ({ podsAtEqualLag }) => podsAtEqualLag, 0.7),
    meanRow('pods at equal lag, random loads', random, ({ podsAtEqualLag }) => podsAtEqualLag, 0.7),
    meanRow('lag at equal pods, named loads', named, ({ lagAtEqualPods }) => lagAtEqualPods, 0.5),
    meanRow('lag at equal pods, random loads', random, ({ lagAtEqualPods }) => lagAtEqualPods, 0.5),
    keepUpRow('named loads', named),
    keepUpRow('random loads', random),
    avoidableRow('named loads', named),
    avoidableRow('random loads', random),
  ];
  return ['## Goals', '', '| goal | aim | result | |', '|---|---|---|---|', ...rows, ''];
}

function goalRow(goal: string, aim: string, result: string, met: boolean): string {
  return `| ${goal} | ${aim} | ${result} | ${met ? 'met' : '**missed**'} |`;
}

function dominanceRow(which: string, comparisons: readonly Comparison[]): string {
  const beaten = comparisons.filter((one) => dominating(one).length > 0);
  const text = beaten.length === 0 ? `none of ${comparisons.length}` : `${beaten.length} of ${comparisons.length}: ${namesOf(beaten)}`;
  return goalRow(`a setting of KEDA has less lag and fewer pods, ${which}`, 'none', text, beaten.length === 0);
}

function meanRow(goal: string, comparisons: readonly Comparison[], pick: (ratios: Ratios) => number | null, aim: number): string {
  const values = (result: (one: Comparison) => Result) => comparisons.flatMap((one) => pick(ratiosOf(one, result(one))) ?? []);
  const [tuned, unseen] = [geometricMean(values(({ ours }) => ours)), geometricMean(values(({ unseen: other }) => other))];
  const beyond = comparisons.length - values(({ ours }) => ours).length;
  const note = beyond === 0 ? '' : `; on ${beyond} of ${comparisons.length} no setting of KEDA is as cheap`;
  const text = `${tuned.toFixed(2)}; other seeds ${unseen.toFixed(2)}${note}`;
  return goalRow(`${goal} (geometric mean)`, `≤ ${aim}`, text, tuned <= aim && unseen <= aim);
}

function keepUpRow(which: string, comparisons: readonly Comparison[]): string {
  const over = comparisons.filter((one) => ratiosOf(one, one.ours).keepUp > SLACK);
  const mean = geometricMean(comparisons.map((one) => ratiosOf(one, one.ours).keepUp));
  const worst = comparisons.toSorted((a, b) => ratiosOf(b, b.ours).keepUp - ratiosOf(a, a.ours).keepUp)[0];
  const text = worst === undefined ? '' : `; most ${ratiosOf(worst, worst.ours).keepUp.toFixed(2)} on ${labelOf(worst)}`;
  return goalRow(
    `pods, times keep-up, ${which}`,
    `≤ ${SLACK} on each`,
    `mean ${mean.toFixed(2)}; above it ${over.length} of ${comparisons.length}${text}`,
    over.length === 0,
  );
}

function avoidableRow(which: string, comparisons: readonly Comparison[]): string {
  const late = comparisons.filter((one) => avoidable(one) > NONE_SECONDS && one.unavoidable <= NONE_SECONDS);
  const text = late.length === 0 ? `none of ${comparisons.length}` : `${late.length} of ${comparisons.length}: ${namesOf(late)}`;
  return goalRow(`an event waits above maxDelay although capacity allows otherwise, ${which}`, 'none', text, late.length === 0);
}

function namesOf(comparisons: readonly Comparison[]): string {
  const most = 8;
  const names = comparisons.slice(0, most).map(labelOf).join(', ');
  return comparisons.length > most ? `${names} and ${comparisons.length - most} more` : names;
}

function labelOf({ trace, world }: Comparison): string {
  return `"${trace}" at ${world}`;
}

function formerGoals({ former, named }: Results): string[] {
  const calibrated = named.filter(({ world, trace }) => world === WORLDS[0]?.name && TRACES.some(({ name }) => name === trace));
  const least = calibrated.filter(({ ours, frontier }) => ours.lagIntegral <= Math.min(...frontier.map(({ lag }) => lag))).length;
  return [
    '## The goals of the first comparison',
    '',
    'The first comparison knew fourteen loads, commits after each record, and KEDA\'s setting with the least product of lag and pods among thresholds of 10 to 10,000, windows of 0 to 300 s and the default scale-up policy. The column "now" is the same measure with the same settings (each with a `behavior`); the first comparison modelled the HPA without `behavior` as if it never went up to its five-minute maximum.',
    '',
    '| measure | aim | first comparison | now |',
    '|---|---|---|---|',
    `| lag integral, geometric mean | 0.70 | 0.69 | ${former.lag.toFixed(2)} |`,
    `| pod-seconds, geometric mean | 0.70 | 0.70 | ${former.pods.toFixed(2)} |`,
    `| no more lag than KEDA's least-lag setting | | 8 of 14 | ${least} of ${calibrated.length} |`,
    '',
  ];
}

function traceTable(named: readonly Comparison[]): string[] {
  const rows = named.map((one) => {
    const ratios = ratiosOf(one, one.ours);
    const goal = ratios.podsAtGoal === null ? 'no setting' : ratios.podsAtGoal.toFixed(2);
    const beaten = dominating(one);
    return `| ${one.trace} | ${one.world} | ${ratios.podsAtEqualLag.toFixed(2)} | ${ratios.lagAtEqualPods?.toFixed(2) ?? 'none as cheap'} | ${goal} | ${ratios.keepUp.toFixed(2)} | ${one.ours.secondsAboveMaxDelay.toFixed(0)} (${one.unavoidable.toFixed(0)}) | ${beaten.length === 0 ? '' : beaten.slice(0, 2).join(', ')} |`;
  });
  return [
    '## Load by load',
    '',
    'Pods at the lag of the builtin policy, lag at its pods, pods of the cheapest setting with which no event waits above maxDelay: the builtin policy divided by KEDA. Then its pods divided by keep-up, its seconds above maxDelay (those that no number of replicas avoids), and settings of KEDA that are better in both.',
    '',
    '| load | in flight | pods at equal lag | lag at equal pods | pods at the goal | keep-up | s above maxDelay | better |',
    '|---|---|---|---|---|---|---|---|',
    ...rows,
    '',
  ];
}

function randomTable(random: readonly Comparison[]): string[] {
  const of = (pick: (ratios: Ratios) => number | null) => {
    const values = random.flatMap((one) => pick(ratiosOf(one, one.ours)) ?? []).toSorted((a, b) => a - b);
    const at = (share: number) => (values[Math.min(values.length - 1, Math.floor(share * values.length))] ?? NaN).toFixed(2);
    return `${at(0)} | ${at(0.1)} | ${at(0.5)} | ${at(0.9)} | ${at(1)}`;
  };
  return [
    `## ${random.length} random loads`,
    '',
    '| builtin divided by | least | 10 % | median | 90 % | most |',
    '|---|---|---|---|---|---|',
    `| KEDA's pods at equal lag | ${of(({ podsAtEqualLag }) => podsAtEqualLag)} |`,
    `| KEDA's lag at equal pods | ${of(({ lagAtEqualPods }) => lagAtEqualPods)} |`,
    `| keep-up | ${of(({ keepUp }) => keepUp)} |`,
    '',
  ];
}

function figureTable(named: readonly Comparison[]): string[] {
  const rows = named.flatMap((one) => {
    const cheapest = one.frontier[0];
    const quickest = one.frontier.at(-1);
    return [
      row(one.trace, one.world, 'builtin', one.ours),
      ...(quickest === undefined ? [] : [row('', '', `least lag: ${nameOf(quickest.settings)}`, quickest.result)]),
      ...(cheapest === undefined ? [] : [row('', '', `cheapest: ${nameOf(cheapest.settings)}`, cheapest.result)]),
      ...(one.keptGoal === null ? [] : [row('', '', `keeps maxDelay: ${nameOf(one.keptGoal.settings)}`, one.keptGoal.result)]),
    ];
  });
  return [
    '## Figures',
    '',
    '| load | in flight | policy | lag integral | worst delay s | pod-seconds | scale actions | rebalances |',
    '|---|---|---|---|---|---|---|---|',
    ...rows,
    '',
  ];
}

function row(trace: string, world: string, policy: string, result: Result): string {
  const cells = [trace, world, policy, figure(result.lagIntegral), result.worstDelay, figure(result.podSeconds)];
  return `| ${[...cells, result.scaleActions.toFixed(1), result.rebalances.toFixed(1)].join(' | ')} |`;
}

function calibrationTable(): string[] {
  const rows = MEASURED.map((measured) => {
    const simulated = simulateMeasured(measured);
    const error = simulated.lagIntegral / measured.lagIntegral - 1;
    const pair = (a: number, b: number) => `${figure(a)} / ${figure(b)}`;
    return `| ${measured.settings.threshold}/${measured.settings.window} s | ${pair(measured.lagIntegral, simulated.lagIntegral)} | ${(100 * error).toFixed(1)} % | ${pair(measured.worstLag, simulated.worstLag)} | ${measured.worstDelay} / ${simulated.worstDelay} | ${pair(measured.podSeconds, simulated.podSeconds)} | ${measured.scaleActions} / ${simulated.scaleActions.toFixed(1)} |`;
  });
  return [
    '## Calibration',
    '',
    'KEDA 2.21 as really run on a one-node Kubernetes 1.36.3, and the model in the same phase of the HPA (measured / simulated). Load: 100/s, from second 60 to 240 1,600/s, then 100/s; twelve partitions; one to twelve replicas. A window of 300 s is no `behavior`. The worst lag is the worst of twelve seeds.',
    '',
    '| KEDA | lag integral | error | worst lag | worst delay s | pod-seconds | scale actions |',
    '|---|---|---|---|---|---|---|',
    ...rows,
    '',
  ];
}

function figure(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}
