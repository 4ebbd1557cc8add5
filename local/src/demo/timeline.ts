/** The demo's record of lag and replicas over time, and how it is shown. Pure: samples in, text out. */

export interface TimelineSample {
  /** Seconds since the demo began to send events. */
  readonly at: number;
  /** Messages waiting; undefined when it could not be read. */
  readonly lag: number | undefined;
  /** Records that the group is done with, counted from the demo's start. */
  readonly applied: number;
  readonly wanted: number;
  readonly ready: number;
}

export interface ScaleAction {
  readonly at: number;
  readonly from: number;
  readonly to: number;
}

/** Every change of the wanted replicas, in order. */
export function scaleActions(samples: readonly TimelineSample[]): ScaleAction[] {
  const actions: ScaleAction[] = [];
  for (const [index, sample] of samples.entries()) {
    const before = samples[index - 1];
    if (before !== undefined && before.wanted !== sample.wanted) actions.push({ at: sample.at, from: before.wanted, to: sample.wanted });
  }
  return actions;
}

/** Records per second between the two samples around the last `windowSeconds`; 0 while there are not two. */
export function appliedRate(samples: readonly TimelineSample[], windowSeconds: number): number {
  const last = samples.at(-1);
  if (last === undefined) return 0;
  const first = samples.find((sample) => sample.at >= last.at - windowSeconds);
  if (first === undefined || first.at === last.at) return 0;
  return (last.applied - first.applied) / (last.at - first.at);
}

/** The highest rate over any stretch of about `windowSeconds`, records per second. */
export function peakRate(samples: readonly TimelineSample[], windowSeconds: number): number {
  return samples.reduce((peak, _, index) => Math.max(peak, appliedRate(samples.slice(0, index + 1), windowSeconds)), 0);
}

/** The largest lag seen. */
export function worstLag(samples: readonly TimelineSample[]): number {
  return samples.reduce((worst, sample) => Math.max(worst, sample.lag ?? 0), 0);
}

const BAR_WIDTH = 32;

/** One line of the live view: time, a bar for the lag, the figures. */
export function formatSample(samples: readonly TimelineSample[], scale: number): string {
  const sample = samples.at(-1);
  if (sample === undefined) return '';
  const filled = scale <= 0 ? 0 : Math.min(BAR_WIDTH, Math.round(((sample.lag ?? 0) / scale) * BAR_WIDTH));
  const bar = '█'.repeat(filled).padEnd(BAR_WIDTH, '·');
  const lag = sample.lag === undefined ? 'unknown' : formatCount(sample.lag);
  const replicas = sample.ready === sample.wanted ? `${sample.wanted}` : `${sample.ready}->${sample.wanted}`;
  const pods = '▮'.repeat(sample.ready) + '▯'.repeat(Math.max(0, sample.wanted - sample.ready));
  return [
    `${String(Math.round(sample.at)).padStart(4)} s`,
    `lag ${lag.padStart(9)} ${bar}`,
    `${formatCount(Math.round(appliedRate(samples, 6))).padStart(7)}/s`,
    `replicas ${replicas.padEnd(4)} ${pods}`,
  ].join('  ');
}

/** 1234567 -> "1,234,567". */
export function formatCount(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 0 });
}
