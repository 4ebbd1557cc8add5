import { DISK_AVAILABLE, NODE_CPU, NODE_MEMORY } from '../capacity.ts';
import { counter, counterEvery, DEMO, demo, gauge, gaugeEvery, type AlertCase, type RecordCase } from './case.ts';

const EXPORTER = 'job="node-exporter",service="node-exporter",pod="demo-node-exporter-1"';
const IN_EXPORTER = { ...DEMO, job: 'node-exporter', service: 'node-exporter', pod: 'demo-node-exporter-1' };
const GIB = 2 ** 30;
const DISK = `${EXPORTER},device="/dev/vda",fstype="ext4"`;
const IN_DISK = { ...IN_EXPORTER, device: '/dev/vda', fstype: 'ext4' };

/** A disk of 110 GiB, of which 10 GiB are reserved for root: of the other 100 GiB, `left` are available for half an hour. */
function disk(left: number): Record<string, string> {
  const at = (mountpoint: string) => `${DISK},mountpoint="${mountpoint}"`;
  const mounts = ['/', '/var/lib/kubelet/pods/a/volumes/data'];
  return Object.fromEntries(
    mounts.flatMap((mountpoint) => [
      [demo('node_filesystem_size_bytes', at(mountpoint)), gauge([90, 110 * GIB])],
      [demo('node_filesystem_avail_bytes', at(mountpoint)), gauge([5, 60 * GIB], [40, left * GIB], [90, 60 * GIB])],
      [demo('node_filesystem_free_bytes', at(mountpoint)), gauge([5, 70 * GIB], [40, (left + 10) * GIB], [90, 70 * GIB])],
    ]),
  );
}

const HOUR = 60;
/** Seconds between samples where the course of hours matters. */
const SLOW = 300;

/** A disk of 100 GiB that loses 0.5 GiB an hour for 12 hours from 35 GiB on, and stays as it is then. */
function filling(): Record<string, string> {
  const at = `${DISK},mountpoint="/"`;
  const left = Array.from({ length: 144 }, (_, step): [number, number] => [(step + 1) * 5, (35 - (0.5 * step) / 12) * GIB]);
  const series = gaugeEvery(SLOW, ...left, [24 * HOUR, 29 * GIB]);
  return {
    [demo('node_filesystem_size_bytes', at)]: gaugeEvery(SLOW, [24 * HOUR, 100 * GIB]),
    [demo('node_filesystem_avail_bytes', at)]: series,
    [demo('node_filesystem_free_bytes', at)]: series,
  };
}

/** Four cores that are idle for this share of the time for 35 minutes. */
function idle(share: number): Record<string, string> {
  const cores = ['0', '1', '2', '3'];
  return Object.fromEntries(
    cores.map((cpu) => [demo('node_cpu_seconds_total', `${EXPORTER},cpu="${cpu}",mode="idle"`), counter([5, 0.9], [40, share], [60, 0.9])]),
  );
}

function memory(available: number): Record<string, string> {
  return {
    [demo('node_memory_MemTotal_bytes', EXPORTER)]: gauge([60, 16 * GIB]),
    [demo('node_memory_MemAvailable_bytes', EXPORTER)]: gauge([5, 8 * GIB], [30, available * GIB], [60, 8 * GIB]),
  };
}

export const alerts: AlertCase[] = [
  {
    alert: 'DiskSpaceLow',
    series: disk(18),
    fires: 20,
    resolved: 40,
    labels: { ...IN_DISK, family: 'DiskSpace' },
    description: '18% of /dev/vda is left, below 20 %, as demo-node-exporter-1 reports it.',
  },
  {
    alert: 'DiskSpaceCritical',
    series: disk(5),
    fires: 20,
    resolved: 40,
    labels: { ...IN_DISK, family: 'DiskSpace' },
    description: '5% of /dev/vda is left, below 10 %, as demo-node-exporter-1 reports it.',
  },
  {
    alert: 'CapacityForecast',
    series: filling(),
    interval: SLOW,
    // The past of three hours that a trend needs, and its hour.
    fires: 4 * HOUR,
    // Most of the six hours show no change by then.
    resolved: 16 * HOUR,
    labels: IN_DISK,
    description: 'At the rate of the last 6h, /dev/vda is full in less than 4d, as demo-node-exporter-1 reports it.',
  },
  {
    alert: 'CpuHigh',
    series: idle(0.1),
    // The rate is above the limit once most of its window is.
    fires: 19.25,
    resolved: 46,
    labels: IN_EXPORTER,
    description: '90% of its CPU is in use, above 80 %, as demo-node-exporter-1 reports it.',
  },
  {
    alert: 'MemoryHigh',
    series: memory(2),
    fires: 15,
    resolved: 30,
    labels: IN_EXPORTER,
    description: '87.5% of its memory is in use, above 85 %, as demo-node-exporter-1 reports it.',
  },
];

const NODE_LABELS = '{namespace="bss",platform="demo",job="node-exporter",service="node-exporter",pod="demo-node-exporter-1"}';

export const records: RecordCase[] = [
  {
    record: NODE_CPU,
    series: {
      [demo('node_cpu_seconds_total', `${EXPORTER},cpu="0",mode="idle"`)]: counterEvery(15, [60, 0.2]),
      [demo('node_cpu_seconds_total', `${EXPORTER},cpu="1",mode="idle"`)]: counterEvery(15, [60, 0.8]),
      [demo('node_cpu_seconds_total', `${EXPORTER},cpu="1",mode="user"`)]: counterEvery(15, [60, 0.2]),
    },
    at: 10,
    values: { [NODE_LABELS]: 0.5 },
  },
  { record: NODE_MEMORY, series: memory(2), at: 10, values: { [NODE_LABELS]: 0.875 } },
  {
    record: DISK_AVAILABLE,
    series: {
      ...disk(25),
      [demo('node_filesystem_avail_bytes', `${EXPORTER},device="tmpfs",fstype="tmpfs",mountpoint="/tmp"`)]: gauge([60, 0]),
    },
    at: 10,
    values: { [`${NODE_LABELS.slice(0, -1)},device="/dev/vda",fstype="ext4"}`]: 0.25 },
  },
];
