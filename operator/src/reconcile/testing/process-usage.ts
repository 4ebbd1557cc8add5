/** What the kernel counts for a process, from /proc. */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';

export interface Usage {
  /** Resident memory now, MiB. */
  readonly rss: number;
  /** The most so far, MiB. */
  readonly peak: number;
  /** Processor time so far, seconds. */
  readonly cpu: number;
}

export async function usage(pid: number): Promise<Usage> {
  const [status, stat] = await Promise.all([readFile(`/proc/${pid}/status`, 'utf8'), readFile(`/proc/${pid}/stat`, 'utf8')]);
  const mebibytes = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) / 1024;
  // The name, in parentheses, may hold blanks; the two times are the 14th and 15th field, in hundredths of a second.
  const [user, system] = stat
    .slice(stat.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13);
  return { rss: mebibytes('VmRSS'), peak: mebibytes('VmHWM'), cpu: (Number(user) + Number(system)) / 100 };
}

export interface Consumption {
  /** Median of resident memory, MiB. */
  readonly rss: number;
  /** The most since the process began, MiB. */
  readonly peak: number;
  /** Processor time, seconds. */
  readonly cpu: number;
  readonly seconds: number;
}

/** What a process uses over a time. */
export async function consumption(pid: number, seconds: number): Promise<Consumption> {
  const [before, begun] = [await usage(pid), performance.now()];
  const sizes: number[] = [];
  while (performance.now() - begun < seconds * 1000) {
    await pause(1000);
    sizes.push((await usage(pid)).rss);
  }
  const after = await usage(pid);
  return { rss: median(sizes), peak: after.peak, cpu: after.cpu - before.cpu, seconds: (performance.now() - begun) / 1000 };
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** State of an established connection in /proc/net/tcp. */
const ESTABLISHED = '01';

/** Established TCP connections of a process to ports of this machine, by port. */
export async function connectionsTo(pid: number, ports: readonly number[]): Promise<number> {
  const links = await Promise.all((await readdir(`/proc/${pid}/fd`)).map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')));
  const inodes = new Set(links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []));
  const tables = await Promise.all(['tcp', 'tcp6'].map((table) => readFile(`/proc/${pid}/net/${table}`, 'utf8')));
  return tables
    .flatMap((table) => table.trim().split('\n').slice(1))
    .map((line) => line.trim().split(/\s+/))
    .filter(([, , remote = '', state = '', , , , , , inode = '']) => {
      const port = Number.parseInt(remote.split(':')[1] ?? '', 16);
      return state === ESTABLISHED && ports.includes(port) && inodes.has(inode);
    }).length;
}
