/** What nodes have left: CPU, memory and space on file systems, as the node exporter reports it. */
import { series } from '../promql.ts';
import type { Alert, Group, RuleOptions } from './types.ts';

/** Share of all cores of a node that is not idle. */
export const NODE_CPU = 'node:cpu:used_ratio';
/** Share of a node's memory that is not available to a new process. */
export const NODE_MEMORY = 'node:memory:used_ratio';
/** Share of a file system that is left to a process that is not root: what `df` shows. */
export const DISK_AVAILABLE = 'node:filesystem:available_ratio';

/** File systems that hold data. The others are in memory, read-only images, or layers of a container on a file system that is counted itself. */
const STORAGE = 'fstype!~"tmpfs|devtmpfs|ramfs|squashfs|erofs|iso9660|nsfs|overlay"';

/** One series for a device: it may be mounted at many places, volumes of pods included. */
function ofDevice(expr: string): string {
  return `min without (mountpoint) (${expr})`;
}

function records({ timing }: RuleOptions): Group {
  const available = series('node_filesystem_avail_bytes', STORAGE);
  const used = `${series('node_filesystem_size_bytes', STORAGE)} - ${series('node_filesystem_free_bytes', STORAGE)}`;
  const idle = series('node_cpu_seconds_total', 'mode="idle"');
  return {
    name: 'bss-node-records',
    rules: [
      { record: NODE_CPU, expr: `1 - avg without (cpu, mode) (rate(${idle}[${timing.range('rate')}]))` },
      { record: NODE_MEMORY, expr: `1 - ${series('node_memory_MemAvailable_bytes')} / ${series('node_memory_MemTotal_bytes')}` },
      { record: DISK_AVAILABLE, expr: ofDevice(`${available} / (${available} + ${used})`) },
    ],
  };
}

function disks({ timing }: RuleOptions): Alert[] {
  const low = (alert: string, severity: 'critical' | 'warning', limit: number): Alert => ({
    alert,
    expr: `${DISK_AVAILABLE} < ${limit}`,
    for: timing.for('disk'),
    severity,
    team: 'sre',
    labels: { family: 'DiskSpace' },
    summary: '{{ $labels.device }} is short of space',
    description: `{{ $value | humanizePercentage }} of {{ $labels.device }} is left, below ${limit * 100} %, as {{ $labels.pod }} reports it.`,
  });
  return [low('DiskSpaceLow', 'warning', 0.2), low('DiskSpaceCritical', 'critical', 0.1)];
}

/** Fills up within four days at the rate of the last six hours. */
function forecast({ timing }: RuleOptions): Alert {
  const available = series('node_filesystem_avail_bytes', STORAGE);
  const predicted = `predict_linear(${available}[${timing.range('trend')}], ${timing.seconds('forecast')})`;
  // A trend needs a past, and a disk that is mostly empty may fill fast for a while.
  const known = `${available} offset ${timing.half('trend')}`;
  return {
    alert: 'CapacityForecast',
    expr: `${ofDevice(`${predicted} < 0 and ${known}`)} and ${DISK_AVAILABLE} < 0.4`,
    for: timing.for('forecast'),
    severity: 'info',
    team: 'sre',
    summary: '{{ $labels.device }} fills up',
    description:
      `At the rate of the last ${timing.range('trend')}, {{ $labels.device }} is full in less than ${timing.range('forecast')}, ` +
      'as {{ $labels.pod }} reports it.',
  };
}

function load({ timing }: RuleOptions): Alert[] {
  const high = (alert: string, record: string, what: string, limit: number): Alert => ({
    alert,
    expr: `${record} > ${limit}`,
    for: timing.for('resources'),
    severity: 'warning',
    team: 'sre',
    summary: `A node of platform {{ $labels.platform }} is short of ${what}`,
    description: `{{ $value | humanizePercentage }} of its ${what} is in use, above ${limit * 100} %, as {{ $labels.pod }} reports it.`,
  });
  return [high('CpuHigh', NODE_CPU, 'CPU', 0.8), high('MemoryHigh', NODE_MEMORY, 'memory', 0.85)];
}

/** The node exporter runs on every node, whoever the node works for: its series carry the platform that runs it. */
export function capacityGroups(options: RuleOptions): Group[] {
  return [records(options), { name: 'bss-capacity-alerts', rules: [...disks(options), ...load(options), forecast(options)] }];
}
