/** The OpenMetrics 1.0 text format, which is the only text format with exemplars. Pure. */

/** One sample of a metric. */
export interface Sample {
  /** Name with its suffix; the metric's name when absent. */
  metricName?: string | undefined;
  labels: Partial<Record<string, string | number>>;
  value: number;
  exemplar?: Exemplar | null | undefined;
}

/** A measurement with the ids of its trace. */
export interface Exemplar {
  labelSet: Record<string, string>;
  value: number;
  /** Seconds since the epoch. */
  timestamp?: number | undefined;
}

/** A metric with its samples. The name of a counter ends in `_total`. */
export interface Family {
  name: string;
  help: string;
  type: string;
  samples: readonly Sample[];
}

export const OPEN_METRICS_TYPE = 'application/openmetrics-text; version=1.0.0; charset=utf-8';

const OPEN_METRICS = 'application/openmetrics-text';
const TEXT = ['text/plain', 'text/*', '*/*'];

/** True when an Accept header prefers OpenMetrics 1.0 to the classic text format. */
export function prefersOpenMetrics(accept = ''): boolean {
  const ranges = accept.split(',').map(parseRange);
  const best = (match: (range: Range) => boolean): number => Math.max(0, ...ranges.filter(match).map(({ quality }) => quality));
  const open = best(({ type, version }) => type === OPEN_METRICS && (version === undefined || version === '1.0.0'));
  return open > 0 && open >= best(({ type }) => TEXT.includes(type));
}

interface Range {
  type: string;
  quality: number;
  version: string | undefined;
}

function parseRange(text: string): Range {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase());
  const parameter = (name: string) => parameters.find((one) => one.startsWith(`${name}=`))?.slice(name.length + 1);
  const quality = Number(parameter('q') ?? 1);
  return { type, quality: Number.isFinite(quality) ? quality : 0, version: parameter('version') };
}

/** The exposition of all families. */
export function openMetricsText(families: readonly Family[]): string {
  return [...families.flatMap(familyLines), '# EOF', ''].join('\n');
}

function familyLines({ name, help, type, samples }: Family): string[] {
  // The family of a counter is named without the suffix of its samples.
  const family = type === 'counter' ? name.replace(/_total$/, '') : name;
  return [
    `# TYPE ${family} ${type}`,
    `# HELP ${family} ${escape(help)}`,
    ...samples.map(
      (sample) => `${sample.metricName ?? name}${labelText(sample.labels)} ${number(sample.value)}${exemplarText(sample.exemplar)}`,
    ),
  ];
}

function exemplarText(exemplar: Exemplar | null | undefined): string {
  if (!exemplar) return '';
  const { labelSet, value, timestamp } = exemplar;
  return ` # ${labelText(labelSet) || '{}'} ${number(value)}${timestamp === undefined ? '' : ` ${timestamp}`}`;
}

function labelText(labels: Sample['labels']): string {
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${escape(name === 'le' ? bound(value) : String(value))}"`);
  return parts.length > 0 ? `{${parts.join(',')}}` : '';
}

/** OpenMetrics writes bounds as floats: `1.0`, not `1`. */
function bound(value: string | number | undefined): string {
  return typeof value === 'number' && Number.isInteger(value) ? `${value}.0` : String(value);
}

function number(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf';
}

function escape(text: string): string {
  return text
    .replaceAll('\\', '\\\\')
    .replaceAll('\n', String.raw`\n`)
    .replaceAll('"', String.raw`\"`);
}
