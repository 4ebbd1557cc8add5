/**
 * Every `for` and every window of a rule, in one table. Tests and demonstrations divide them, so that an alert fires in seconds: see `timing()`.
 */

/** Seconds for which a condition must hold before its alert fires, by kind of condition. */
const FOR = {
  /** A target, a store or a member is gone. */
  down: 60,
  /** Critical errors, latency, or consumers that stand still. */
  critical: 120,
  /** Warnings of the same kinds. */
  warning: 300,
  /** Clients wait for a connection. */
  poolExhausted: 60,
  /** Records wait for a consumer group. */
  lag: 300,
  /** CPU, heap, memory of a cache. */
  resources: 600,
  /** A controller that makes no progress. */
  control: 600,
  /** A file system that is short of space. */
  disk: 900,
  /** A forecast. */
  forecast: 3600,
} as const;

/** Seconds of the ranges that rules look back over. */
const WINDOW = {
  /** Rates and ratios of what happens now. */
  rate: 300,
  /** Events that are rare, and that one occurrence of is worth an alert. */
  event: 600,
  /** The age from which a reading counts as old. */
  stale: 30,
  /** Use of a file system over which its course is fitted. */
  trend: 21_600,
  /** How far ahead a file system that fills up is announced. */
  forecast: 345_600,
} as const;

/** Seconds by which Alertmanager gathers and repeats notifications. */
const NOTIFY = {
  /** For further alerts of the same group before the first notification. */
  groupWait: 10,
  /** Between two notifications of a group that changed. */
  groupInterval: 60,
  repeatCritical: 3600,
  repeatWarning: 14_400,
  /** Of the watchdog: a receiver that misses two of them raises the alarm. */
  repeatWatchdog: 300,
} as const;

/**
 * Burn rates of an error budget of 30 days, after the Site Reliability Workbook, chapter 5: an alert fires when the budget burns `factor` times
 * as fast as it may over both windows; the short one ends the alert soon after the cause has ended.
 */
export const BURN_RATES = [
  { severity: 'critical', factor: 14.4, long: 3600, short: 300, for: 120 },
  { severity: 'critical', factor: 6, long: 21_600, short: 1800, for: 900 },
  { severity: 'warning', factor: 3, long: 86_400, short: 7200, for: 3600 },
  { severity: 'warning', factor: 1, long: 259_200, short: 21_600, for: 10_800 },
] as const;

export type BurnRate = (typeof BURN_RATES)[number];

/** Windows over which SLO ratios are recorded, in seconds, ascending. */
export const SLO_WINDOWS: readonly number[] = [...new Set(BURN_RATES.flatMap(({ long, short }) => [short, long]))].toSorted(
  (a, b) => a - b,
);

/** Shorter ranges would hold fewer than the four samples that a rate needs to survive a lost scrape, at 5 s a scrape. */
const LEAST_RANGE = 20;

/** Durations of one set of rules, as Prometheus writes them. */
export interface Timing {
  readonly for: (kind: keyof typeof FOR) => string;
  readonly range: (kind: keyof typeof WINDOW) => string;
  /** Half of such a range. */
  readonly half: (kind: keyof typeof WINDOW) => string;
  /** The same as a number of seconds. */
  readonly seconds: (kind: keyof typeof WINDOW) => number;
  readonly notify: (kind: keyof typeof NOTIFY) => string;
  /** `for` of a burn rate. */
  readonly hold: (rate: BurnRate) => string;
  /** An SLO window as a range. */
  readonly window: (seconds: number) => string;
}

/** @param divisor 1 in production; all durations are divided by it */
export function timing(divisor: number): Timing {
  const shortened = (seconds: number): number => Math.max(Math.round(seconds / divisor), LEAST_RANGE);
  const range = (seconds: number): string => duration(shortened(seconds));
  return {
    for: (kind) => duration(FOR[kind] / divisor),
    range: (kind) => range(WINDOW[kind]),
    half: (kind) => duration(shortened(WINDOW[kind]) / 2),
    seconds: (kind) => shortened(WINDOW[kind]),
    notify: (kind) => duration(NOTIFY[kind] / divisor),
    hold: (rate) => duration(rate.for / divisor),
    window: range,
  };
}

const UNITS = [
  ['d', 86_400],
  ['h', 3600],
  ['m', 60],
  ['s', 1],
] as const;

/** @returns whole seconds in the largest unit that divides them, at least 1 s: `5m`, `90s` */
export function duration(seconds: number): string {
  const whole = Math.max(1, Math.round(seconds));
  const [unit, size] = UNITS.find(([, length]) => whole % length === 0) ?? ['s', 1];
  return `${whole / size}${unit}`;
}
