/** What the monitoring of a platform costs at the load of the demo, as Prometheus measured it. */
import { queryVector, type VectorSample } from './platform.ts';

/** The parts of the monitoring, by the label `component`. */
const PARTS = [
  'prometheus',
  'alertmanager',
  'loki',
  'tempo',
  'jaeger',
  'collector',
  'log-agent',
  'node-exporter',
  'exporters',
  'kafka-exporter',
] as const;

/** Names of the same quantity: those of most programs, and those of the Collector and of programs that are built on it. */
const MEMORY = 'process_resident_memory_bytes|otelcol_process_memory_rss(_bytes)?';
const CPU = 'process_cpu_seconds_total|otelcol_process_cpu_seconds(_total)?';

export interface PartCost {
  readonly component: string;
  /** Highest resident memory of its processes, bytes. */
  readonly memoryBytes: number;
  /** Mean use of processors, cores. */
  readonly cores: number;
}

export interface MonitoringCost {
  /** Seconds that the figures look back over. */
  readonly seconds: number;
  readonly parts: readonly PartCost[];
  /** Series in the head of Prometheus. */
  readonly series: number | undefined;
  /** Samples that Prometheus ingests per second. */
  readonly samplesPerSecond: number | undefined;
  /** Bytes of log lines that Loki received. */
  readonly logBytes: number | undefined;
  /** Spans that the Collector received. */
  readonly spans: number | undefined;
}

/** @param url of Prometheus @param seconds to look back, at least four scrapes */
export async function monitoringCost(url: string, seconds: number): Promise<MonitoringCost> {
  const range = `[${Math.max(20, Math.ceil(seconds))}s]`;
  const of = `component=~"${PARTS.join('|')}"`;
  const ask = (query: string) => queryVector(url, query);
  const [memory, cores, series, samples, logBytes, spans] = await Promise.all([
    ask(`sum by (component) (max_over_time({__name__=~"${MEMORY}",${of}}${range}))`),
    ask(`sum by (component) (rate({__name__=~"${CPU}",${of}}${range}))`),
    ask('prometheus_tsdb_head_series'),
    ask(`sum(rate(prometheus_tsdb_head_samples_appended_total${range}))`),
    ask(`sum(increase(loki_distributor_bytes_received_total${range}))`),
    ask(`sum(increase({__name__=~"otelcol_receiver_accepted_spans(_total)?",component="collector"}${range}))`),
  ]);
  return {
    seconds,
    parts: joined(memory, cores),
    series: series[0]?.value,
    samplesPerSecond: samples[0]?.value,
    logBytes: logBytes[0]?.value,
    spans: spans[0]?.value,
  };
}

/** In the order of {@link PARTS}; a part without figures is left out. */
export function joined(memory: readonly VectorSample[], cores: readonly VectorSample[]): PartCost[] {
  const of = (samples: readonly VectorSample[], component: string) =>
    samples.find(({ labels }) => labels['component'] === component)?.value;
  return PARTS.flatMap((component) => {
    const memoryBytes = of(memory, component);
    return memoryBytes === undefined ? [] : [{ component, memoryBytes, cores: of(cores, component) ?? 0 }];
  });
}

const MIB = 1024 ** 2;
const whole = (value: number): string => Math.round(value).toLocaleString('en-US');

/** A section of the page about a run. @param allPodsBytes memory of all pods of the platform and the operator */
export function costSection({ seconds, parts, ...figures }: MonitoringCost, allPodsBytes: number | undefined): string {
  const memory = parts.reduce((sum, { memoryBytes }) => sum + memoryBytes, 0);
  const cores = parts.reduce((sum, part) => sum + part.cores, 0);
  const share = allPodsBytes === undefined ? '' : ` (all pods at the end: ${whole(allPodsBytes / MIB)} MiB)`;
  const rows = [...parts, { component: 'together', memoryBytes: memory, cores }];
  const totals = [
    ['series in Prometheus', figures.series, ''],
    ['samples per second', figures.samplesPerSecond, ''],
    ['log lines that Loki received', figures.logBytes === undefined ? undefined : figures.logBytes / 1024, ' KiB'],
    ['spans that the Collector received', figures.spans, ''],
  ] as const;
  return [
    '## What the monitoring costs',
    '',
    `Over the ${whole(seconds)} s of this run, from the processes' own metrics: the highest resident memory and the mean use of processors${share}.`,
    '',
    '| component | memory, MiB | processors |',
    '|---|---|---|',
    ...rows.map((part) => `| ${part.component} | ${whole(part.memoryBytes / MIB)} | ${part.cores.toFixed(3)} |`),
    '',
    '| | |',
    '|---|---|',
    ...totals.flatMap(([what, value, unit]) => (value === undefined ? [] : [`| ${what} | ${whole(value)}${unit} |`])),
    '',
  ].join('\n');
}
