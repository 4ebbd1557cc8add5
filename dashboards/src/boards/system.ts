import { NODE_JOBS, rateOf, selected } from '../promql.ts';
import { DISK_AVAILABLE, NODE_CPU, NODE_MEMORY } from '../rules/capacity.ts';
import { HEAP_RATIO } from '../rules/system.ts';
import { gauge, graph, query, type Board, type Panel } from './board.ts';

const ON_NODE = 'job="node-exporter"';
const NODE_LIMITS: Readonly<Record<'cpu' | 'memory' | 'disk', Panel['limits']>> = {
  cpu: { warning: 0.7, critical: 0.8 },
  memory: { warning: 0.75, critical: 0.85 },
  disk: { warning: 0.8, critical: 0.9 },
};

const nodes: Panel[] = [
  gauge('Busiest node', 'percentunit', 'Share of its cores in use. Target: below 80 %.', `max(${selected(NODE_CPU)})`, {
    limits: NODE_LIMITS.cpu,
    max: 1,
  }),
  gauge('Fullest memory', 'percentunit', 'Share of the memory of a node in use. Target: below 85 %.', `max(${selected(NODE_MEMORY)})`, {
    limits: NODE_LIMITS.memory,
    max: 1,
  }),
  gauge(
    'Fullest disk',
    'percentunit',
    'Share of a file system in use, as df shows it. Warning above 80 %, critical above 90 %.',
    `1 - min(${selected(DISK_AVAILABLE)})`,
    { limits: NODE_LIMITS.disk, max: 1 },
  ),
  graph(
    'CPU of nodes',
    'percentunit',
    'Share of the cores in use, by the node exporter of the node.',
    [query(selected(NODE_CPU), '{{pod}}')],
    {
      limits: NODE_LIMITS.cpu,
      max: 1,
    },
  ),
  graph('Memory of nodes', 'percentunit', 'Share of the memory that no new process can have.', [query(selected(NODE_MEMORY), '{{pod}}')], {
    limits: NODE_LIMITS.memory,
    max: 1,
  }),
  graph(
    'Disks',
    'percentunit',
    'Share of each file system in use, volumes of pods included.',
    [query(`1 - ${selected(DISK_AVAILABLE)}`, '{{device}} {{pod}}')],
    { limits: NODE_LIMITS.disk, max: 1 },
  ),
  graph('Space left', 'bytes', 'Bytes that a process that is not root can still write, by device.', [
    query(
      `min by (pod, device) (${selected('node_filesystem_avail_bytes', 'fstype!~"tmpfs|devtmpfs|ramfs|overlay"')})`,
      '{{device}} {{pod}}',
    ),
  ]),
  graph('Disk transfer', 'Bps', 'Bytes read from and written to the disks of all nodes, a second.', [
    query(`sum(${rateOf('node_disk_read_bytes_total', ON_NODE)})`, 'read'),
    query(`sum(${rateOf('node_disk_written_bytes_total', ON_NODE)})`, 'written'),
  ]),
  graph(
    'Disk busy',
    'percentunit',
    'Share of the time that a disk had a request to serve. Above 90 %, requests queue.',
    [query(rateOf('node_disk_io_time_seconds_total', ON_NODE), '{{device}} {{pod}}')],
    { limits: { warning: 0.7, critical: 0.9 }, max: 1 },
  ),
];

const processes: Panel[] = [
  graph(
    'CPU of processes',
    'short',
    'Cores used, by pod: the ten that use most.',
    [query(`topk(10, ${rateOf('process_cpu_seconds_total')})`, '{{pod}} {{job}}')],
    { width: 6 },
  ),
  graph(
    'Memory of processes',
    'bytes',
    'Resident memory, by pod: the ten that have most.',
    [query(`topk(10, ${selected('process_resident_memory_bytes')})`, '{{pod}} {{job}}')],
    { width: 6 },
  ),
  graph(
    'Open files',
    'percentunit',
    'Share of the limit on open files and sockets in use. Warning 70 %, critical 90 %.',
    [query(`topk(10, ${selected('process_open_fds')} / ${selected('process_max_fds')})`, '{{pod}} {{job}}')],
    { limits: { warning: 0.7, critical: 0.9 }, width: 6 },
  ),
  graph(
    'Restarts',
    'short',
    'Times that a process started within the last 10 minutes, by service, a rollout included.',
    [query(`sum by (service) (changes(${selected('process_start_time_seconds')}[10m]))`, '{{service}}')],
    { limits: { warning: 1, critical: 3 }, next: 'bss-components', drill: ['bss-logs'], width: 6 },
  ),
];

const NODE = `job=~"${NODE_JOBS}"`;

const runtime: Panel[] = [
  graph(
    'Event-loop delay',
    's',
    'p99 by pod: how late timers and answers are. Warning 100 ms, critical 500 ms.',
    [query(selected('nodejs_eventloop_lag_p99_seconds', NODE), '{{pod}}')],
    { limits: { warning: 0.1, critical: 0.5 }, drill: ['bss-logs'] },
  ),
  graph(
    'Heap',
    'percentunit',
    'Share of the heap limit in use, by pod. Warning 70 %, critical 85 %.',
    [query(selected(HEAP_RATIO), '{{pod}}')],
    { limits: { warning: 0.7, critical: 0.85 }, max: 1 },
  ),
  graph('Garbage collection', 'percentunit', 'Share of the time that the garbage collector took, by pod.', [
    query(`sum by (pod, service) (${rateOf('nodejs_gc_duration_seconds_sum', NODE)})`, '{{pod}}'),
  ]),
];

export const system: Board = {
  uid: 'bss-system',
  title: 'System Performance',
  description: 'CPU, memory and disks of the nodes, and what each process takes of them.',
  rows: [
    { title: 'Nodes', panels: nodes },
    { title: 'Processes', panels: processes },
    { title: 'Node.js', panels: runtime },
  ],
};
