/** Rows of benchmarks as a table, and figures over rounds. Pure. */

export interface Row {
  readonly name: string;
  readonly events: number;
  readonly seconds: number;
}

/**
 * Share of a backlog whose rate is measured. At its end, a fetch waits up to half a second for its minimum size. The shorter the backlog, the more
 * that lowers the rate.
 */
export const STEADY_SHARE = 0.95;

/** Events per second. */
export const rate = ({ events, seconds }: Row): number => events / seconds;

/** Markdown, one line a row; the last column is the rate as a ratio of the first row's. */
export function table(rows: readonly Row[]): string {
  const reference = rows[0];
  const lines = rows.map((row) => {
    const ratio = reference ? rate(row) / rate(reference) : 1;
    return `| ${row.name} | ${row.events.toLocaleString('en')} | ${row.seconds.toFixed(1)} | ${Math.round(rate(row)).toLocaleString('en')} | ${ratio < 0.1 ? ratio.toFixed(3) : ratio.toFixed(2)} |`;
  });
  return ['| path | events | seconds | events/s | of COPY |', '|---|--:|--:|--:|--:|', ...lines].join('\n');
}

/** How fast one way was: transfers per second, and processor time of the server for one. */
export interface Measured {
  readonly rate: number;
  readonly processorMicroseconds: number;
}

/** One round: one by one, and in batches. */
export interface Pair {
  readonly single: Measured;
  readonly batched: Measured;
}

/** How many times better batches were, by round, in a measure of which more is better. */
export const ratios = (pairs: readonly Pair[], measure: (measured: Measured) => number): number[] =>
  pairs.map(({ single, batched }) => measure(batched) / measure(single));

/** The middle of an odd number of values. */
export function median(values: readonly number[]): number {
  return values.toSorted((one, other) => one - other)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** The row with the median rate. @throws Error without rows */
export function medianRow(rows: readonly Row[]): Row {
  const wanted = median(rows.map(rate));
  const found = rows.find((row) => rate(row) === wanted);
  if (!found) throw new Error('no rounds');
  return found;
}

/** Lowest and highest value. */
export function spread(values: readonly number[]): [number, number] {
  return [Math.min(...values), Math.max(...values)];
}

/** Rounded to a whole number. */
export const whole = (value: number): string => Math.round(value).toLocaleString('en');
/** With two decimals. */
export const precise = (value: number): string => value.toFixed(2);

/** The median of the rounds, in parentheses the lowest and the highest value. */
export function cell(values: readonly number[], text: (value: number) => string = whole): string {
  const [low, high] = spread(values);
  return `${text(median(values))} (${text(low)} to ${text(high)})`;
}
