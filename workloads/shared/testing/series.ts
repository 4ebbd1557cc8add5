/**
 * Most series that one process of each service may expose, whatever its clients and its topics send. docs/observability.md has the same
 * table. The exporter of Kafka has series for each partition and group of the cluster: its budget is for the topics of the test.
 */
export const SERIES_BUDGETS: Readonly<Record<string, number>> = {
  gateway: 700,
  ledger: 400,
  orchestrator: 500,
  accounts: 500,
  interest: 400,
  'outbox-relay': 300,
  'read-model': 600,
  'kafka-exporter': 250,
};

/** The series of a process. @param metricsUrl of the process @throws Error when there are more than its budget, or one has what a test sent */
export async function seriesWithinBudget(name: string, metricsUrl: string, sent: RegExp): Promise<number> {
  const series = seriesOf(await (await fetch(`${metricsUrl}/metrics`)).text());
  const strange = series.find((one) => sent.test(one));
  if (strange !== undefined) throw new Error(`a client has made the series ${strange}`);
  const budget = SERIES_BUDGETS[name] ?? 0;
  if (series.length > budget) throw new Error(`${name} has ${series.length} series, and its budget is ${budget}`);
  return series.length;
}

/** The series of an exposition in the classic text format, without their values. */
export function seriesOf(exposition: string): string[] {
  const lines = exposition.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return lines.map((line) => line.slice(0, line.lastIndexOf(' ')));
}
