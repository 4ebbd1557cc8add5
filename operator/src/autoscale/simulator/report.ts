/** The results as a Markdown page. */
import { DEFAULT_POLICY } from '../policy.ts';
import { MEASURED, simulateMeasured } from './calibration.ts';
import { CALIBRATED } from './model.ts';
import type { Result } from './run.ts';
import { geometricMean, OTHER_SEEDS, THRESHOLDS, WINDOWS } from './search.ts';
import type { Comparison, KedaRun } from './search.ts';
import { TRACES } from './traces.ts';

/** Mean ratios to KEDA's best settings. */
export interface Ratios {
  lag: number;
  pods: number;
}

/** One row of the sensitivity table. */
export interface Sensitivity {
  inFlight: number;
  ratios: Ratios;
}

/** Traces on which ours has more than 5 % more of either, in words. */
function worseOn(comparisons: readonly Comparison[], pick: (one: Comparison) => { ours: Result; keda: Result }): string {
  const worse = comparisons.flatMap((one) => {
    const { ours, keda } = pick(one);
    const lag = ours.lagIntegral / keda.lagIntegral;
    const pods = ours.podSeconds / keda.podSeconds;
    return [
      ...(lag > 1.05 ? [`lag on "${one.trace}" (${lag.toFixed(2)}×)`] : []),
      ...(pods > 1.05 ? [`pod-seconds on "${one.trace}" (${pods.toFixed(2)}×)`] : []),
    ];
  });
  return worse.length === 0 ? 'no trace is more than 5 % worse on either' : `more than 5 % worse: ${worse.join(', ')}`;
}

/** Geometric means over the traces of our figures divided by those of the setting with the best product. */
export function ratiosOf(comparisons: readonly Comparison[], pick: (one: Comparison) => Result = ({ ours }) => ours): Ratios {
  return {
    lag: geometricMean(comparisons.map((one) => pick(one).lagIntegral / one.bestProduct.result.lagIntegral)),
    pods: geometricMean(comparisons.map((one) => pick(one).podSeconds / one.bestProduct.result.podSeconds)),
  };
}

/** The whole page. */
export function report(
  comparisons: readonly Comparison[],
  sensitivity: readonly Sensitivity[],
  speed: { days: number; seconds: number; workers: number },
): string {
  return [
    '# Autoscaling simulator: results',
    '',
    'Written by `node operator/src/autoscale/simulator/main.ts --out docs/results`; the same seeds give the same figures.',
    '',
    ...method(),
    ...summary(comparisons),
    ...ratioTable(comparisons),
    ...figureTable(comparisons),
    ...calibrationTable(),
    ...sensitivityTable(sensitivity),
    '## Speed',
    '',
    `${speed.days} simulated days of the trace "day" under the builtin policy, sampled every 5 s, took ${speed.seconds.toFixed(0)} s on ${speed.workers} cores.`,
    '',
    '## Charts',
    '',
    ...comparisons.map(({ trace }) => `![${trace}](${chartName(trace)})`),
    '',
  ].join('\n');
}

/** File name of a trace's chart. */
export function chartName(trace: string): string {
  return `autoscale-${trace.replaceAll(' ', '-')}.svg`;
}

function method(): string[] {
  const { startup, pause, inFlight } = CALIBRATED;
  return [
    '## What is compared',
    '',
    `- **builtin**: one default policy for every trace (maxDelay ${DEFAULT_POLICY.maxDelaySeconds} s, window ${DEFAULT_POLICY.scaleDownWindowSeconds} s), starting without a learnt rate.`,
    `- **KEDA**: 2.21 with the HPA v2, tried on each trace with every lagThreshold of ${THRESHOLDS.join(', ')} and every scale-down window of ${WINDOWS.join(', ')} s, averaged over the phases of the HPA's cycle. "Best" is the setting with the least product of lag integral and pod-seconds on that very trace.`,
    '- **fixed**: as many replicas as the highest load needs.',
    `- Every pod does 200 messages/s, takes ${startup.join(' to ')} s to start, and a change of members stops the group for ${pause.join(' to ')} s. Arrivals wait ${inFlight} s on average for their commit even when replicas keep up.`,
    '- Lag integral in message-seconds; pods count from their creation until they are gone. Seeds: 1 to 5 (1 and 2 for the day), each with another phase of our samples and of the HPA.',
    '',
    '| trace | what happens |',
    '|---|---|',
    ...TRACES.map(({ name, about }) => `| ${name} | ${about} |`),
    '',
  ];
}

function summary(comparisons: readonly Comparison[]): string[] {
  const cold = ratiosOf(comparisons);
  const warm = ratiosOf(comparisons, ({ oursWarm }) => oursWarm);
  const elsewhere = (pick: (result: Result) => number) =>
    geometricMean(comparisons.map((one) => pick(one.elsewhere.ours) / pick(one.elsewhere.keda))).toFixed(2);
  return [
    '## Summary',
    '',
    `Geometric means against KEDA's best setting for each trace: **${cold.lag.toFixed(2)}× lag integral, ${cold.pods.toFixed(2)}× pod-seconds** (goal: 0.70× and 0.70×); ${worseOn(comparisons, (one) => ({ ours: one.ours, keda: one.bestProduct.result }))}. With the rate of one replica known from before, as after any restart: ${warm.lag.toFixed(2)}× and ${warm.pods.toFixed(2)}×.`,
    '',
    `The policy was tuned on these seeds. With ${OTHER_SEEDS} added to each, which neither side was tuned on: ${elsewhere(({ lagIntegral }) => lagIntegral)}× and ${elsewhere(({ podSeconds }) => podSeconds)}×; ${worseOn(comparisons, (one) => one.elsewhere)}.`,
    '',
    `No more lag than KEDA's least-lag setting: ${count(comparisons, (one) => one.ours.lagIntegral <= one.leastLag.result.lagIntegral)}. No more pod-seconds than its cheapest one: ${count(comparisons, (one) => one.ours.podSeconds <= one.cheapest.result.podSeconds)} (the cheapest ones let events wait for up to ${Math.max(...comparisons.map(({ cheapest }) => cheapest.result.worstDelay))} s).`,
    '',
  ];
}

function count(comparisons: readonly Comparison[], holds: (one: Comparison) => boolean): string {
  return `on ${comparisons.filter(holds).length} of ${comparisons.length} traces`;
}

function ratioTable(comparisons: readonly Comparison[]): string[] {
  const rows = comparisons.map((one) => {
    const ratio = (pick: (result: Result) => number, run: KedaRun) => (pick(one.ours) / pick(run.result)).toFixed(2);
    const lag = ({ lagIntegral }: Result) => lagIntegral;
    const pods = ({ podSeconds }: Result) => podSeconds;
    return `| ${one.trace} | ${settingOf(one.bestProduct)} | ${ratio(lag, one.bestProduct)} | ${ratio(pods, one.bestProduct)} | ${settingOf(one.leastLag)} | ${ratio(lag, one.leastLag)} | ${settingOf(one.cheapest)} | ${ratio(pods, one.cheapest)} |`;
  });
  return [
    '## The builtin policy divided by KEDA',
    '',
    '| trace | KEDA best | lag | pods | KEDA least lag | lag | KEDA cheapest | pods |',
    '|---|---|---|---|---|---|---|---|',
    ...rows,
    '',
  ];
}

function figureTable(comparisons: readonly Comparison[]): string[] {
  const rows = comparisons.flatMap((one) => {
    const seconds = TRACES.find(({ name }) => name === one.trace)?.seconds ?? 0;
    return [
      row(one.trace, 'builtin', one.ours, seconds),
      row('', `KEDA best ${settingOf(one.bestProduct)}`, one.bestProduct.result, seconds),
      row('', `KEDA default ${settingOf(one.untuned)}`, one.untuned.result, seconds),
      row('', 'fixed', one.fixed, seconds),
    ];
  });
  return [
    '## Figures',
    '',
    '| trace | policy | lag integral | time above maxDelay | worst delay s | pod-seconds | scale actions | rebalances | rebalance pause s |',
    '|---|---|---|---|---|---|---|---|---|',
    ...rows,
    '',
  ];
}

function row(trace: string, policy: string, result: Result, seconds: number): string {
  const above = `${((100 * result.secondsAboveMaxDelay) / seconds).toFixed(1)} %`;
  const cells = [trace, policy, figure(result.lagIntegral), above, result.worstDelay, figure(result.podSeconds)];
  return `| ${[...cells, result.scaleActions.toFixed(1), result.rebalances.toFixed(1), result.pauseSeconds.toFixed(0)].join(' | ')} |`;
}

function calibrationTable(): string[] {
  const rows = MEASURED.map((measured) => {
    const simulated = simulateMeasured(measured);
    const error = simulated.lagIntegral / measured.lagIntegral - 1;
    const pair = (a: number, b: number) => `${figure(a)} / ${figure(b)}`;
    return `| ${settingOf(measured)} | ${pair(measured.lagIntegral, simulated.lagIntegral)} | ${(100 * error).toFixed(1)} % | ${pair(measured.worstLag, simulated.worstLag)} | ${measured.worstDelay} / ${simulated.worstDelay} | ${pair(measured.podSeconds, simulated.podSeconds)} | ${measured.scaleActions} / ${simulated.scaleActions.toFixed(1)} |`;
  });
  return [
    '## Calibration',
    '',
    'KEDA 2.21 as really run on a one-node Kubernetes 1.36.3, and the model in the same phase of the HPA (measured / simulated). Load: 100/s, from second 60 to 240 1,600/s, then 100/s; twelve partitions; one to twelve replicas. The worst lag is the worst of twelve seeds.',
    '',
    '| KEDA | lag integral | error | worst lag | worst delay s | pod-seconds | scale actions |',
    '|---|---|---|---|---|---|---|',
    ...rows,
    '',
  ];
}

function sensitivityTable(sensitivity: readonly Sensitivity[]): string[] {
  return [
    '## How much hangs on one assumption',
    '',
    'How long arrivals wait for their commit when replicas keep up was not measured. It is the only lag that KEDA sees then, so with a low threshold it works as a measure of the rate. The same comparison for other values, without the two longest traces (the day and the thousand partitions):',
    '',
    '| seconds in flight | lag | pods |',
    '|---|---|---|',
    ...sensitivity.map(({ inFlight, ratios }) => `| ${inFlight} | ${ratios.lag.toFixed(2)} | ${ratios.pods.toFixed(2)} |`),
    '',
  ];
}

function settingOf({ settings }: Pick<KedaRun, 'settings'>): string {
  return `${settings.threshold}/${settings.window} s`;
}

function figure(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}
