/** Rows of the interest consumer's benchmarks as a table. Pure. */

export interface Row {
  readonly name: string;
  readonly events: number;
  readonly seconds: number;
}

/** Markdown, one line a row; the last column is the rate as a ratio of the first row's. */
export function table(rows: readonly Row[]): string {
  const reference = rows[0];
  const rate = ({ events, seconds }: Row): number => events / seconds;
  const lines = rows.map((row) => {
    const ratio = reference ? rate(row) / rate(reference) : 1;
    return `| ${row.name} | ${row.events.toLocaleString('en')} | ${row.seconds.toFixed(1)} | ${Math.round(rate(row)).toLocaleString('en')} | ${ratio < 0.1 ? ratio.toFixed(3) : ratio.toFixed(2)} |`;
  });
  return ['| path | events | seconds | events/s | of COPY |', '|---|--:|--:|--:|--:|', ...lines].join('\n');
}
