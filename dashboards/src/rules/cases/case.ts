/** Cases for promtool: series as they would be scraped, and what the rules must make of them. */

/** Seconds between two samples, and between two evaluations. */
export const INTERVAL = 15;

export interface AlertCase {
  readonly alert: string;
  /** Values in promtool's notation, by series. */
  readonly series: Readonly<Record<string, string>>;
  /** Minute at which it fires; at the evaluation before it must not. */
  readonly fires: number;
  /** Minute at which it has resolved. Absent for what never resolves. */
  readonly resolved?: number;
  /** Labels beyond alertname, severity and team. */
  readonly labels: Readonly<Record<string, string>>;
  /** With the values of that moment. */
  readonly description: string;
  /** Seconds between samples and evaluations, for windows of days; 15 by default. */
  readonly interval?: number;
}

export interface RecordCase {
  readonly record: string;
  readonly series: Readonly<Record<string, string>>;
  /** Minute of the query. */
  readonly at: number;
  /** Results, by labels as PromQL writes them. */
  readonly values: Readonly<Record<string, number>>;
  readonly interval?: number;
}

/** [until which minute, value]; null: the series is gone. */
type Segment = readonly [until: number, value: number | null];

/** Samples of a gauge that has each value up to a minute. */
export function gauge(...segments: Segment[]): string {
  return gaugeEvery(INTERVAL, ...segments);
}

/** The same with another time between samples, in seconds. */
export function gaugeEvery(interval: number, ...segments: Segment[]): string {
  return every(interval, segments, (value) => value);
}

/** Samples of a counter that grows at each rate a second up to a minute. */
export function counter(...segments: Segment[]): string {
  return counterEvery(INTERVAL, ...segments);
}

/** The same with another time between samples, in seconds. */
export function counterEvery(interval: number, ...segments: Segment[]): string {
  let total = 0;
  return every(interval, segments, (rate) => {
    const value = total;
    total += rate * interval;
    return value;
  });
}

function every(interval: number, segments: Segment[], next: (value: number) => number): string {
  const samples: string[] = [];
  for (const [until, value] of segments) {
    const gone = samples.length;
    while (samples.length * interval < until * 60) {
      if (value === null) samples.push(samples.length === gone ? 'stale' : '_');
      else samples.push(String(next(value)));
    }
  }
  return samples.join(' ');
}

/** A series of platform `demo` in namespace `bss`. */
export function demo(metric: string, labels = ''): string {
  return `${metric}{namespace="bss",platform="demo"${labels === '' ? '' : `,${labels}`}}`;
}

/** Labels of an alert that keeps those of its series. */
export const DEMO = { namespace: 'bss', platform: 'demo' } as const;
