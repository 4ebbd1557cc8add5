/** Values as text, in the units of Grafana that the dashboards use. */

/** [factor from the unit, name], ascending. */
type Scale = readonly (readonly [factor: number, name: string])[];

const SECONDS: Scale = [
  [1e-9, 'ns'],
  [1e-6, 'µs'],
  [1e-3, 'ms'],
  [1, 's'],
  [60, 'min'],
  [3600, 'h'],
  [86_400, 'd'],
];
const BYTES: Scale = [
  [1, 'B'],
  [2 ** 10, 'KiB'],
  [2 ** 20, 'MiB'],
  [2 ** 30, 'GiB'],
  [2 ** 40, 'TiB'],
];
const COUNT: Scale = [
  [1, ''],
  [1e3, 'K'],
  [1e6, 'M'],
  [1e9, 'G'],
];

const UNITS: Readonly<Record<string, (value: number) => string>> = {
  s: (value) => scaled(value, SECONDS),
  bytes: (value) => scaled(value, BYTES),
  Bps: (value) => `${scaled(value, BYTES)}/s`,
  percentunit: (value) => `${digits(value * 100)} %`,
  ops: (value) => `${scaled(value, COUNT)}/s`,
  reqps: (value) => `${scaled(value, COUNT)} req/s`,
  short: (value) => scaled(value, COUNT),
};

/** @returns a value with three significant digits and its unit; a unit that is not known is appended as it is */
export function formatted(value: number, unit: string): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? '–' : value > 0 ? '+∞' : '−∞';
  return UNITS[unit]?.(value) ?? `${digits(value)} ${unit}`;
}

function scaled(value: number, scale: Scale): string {
  const size = Math.abs(value);
  const fitting = value === 0 ? scale.find(([factor]) => factor === 1) : scale.findLast(([factor]) => size >= factor);
  const [factor, name] = fitting ?? scale[0] ?? [1, ''];
  return name === '' ? digits(value / factor) : `${digits(value / factor)} ${name}`;
}

function digits(value: number): string {
  if (Math.abs(value) >= 1000) return value.toFixed(0);
  return String(Number(value.toPrecision(3)));
}
