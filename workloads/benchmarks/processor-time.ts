/** Processor time and memory of processes, from /proc: on a busy machine processor time tells more than the clock. */
import { readdir, readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import process from 'node:process';

/** Linux counts in hundredths of a second. */
const TICK_SECONDS = 0.01;

interface Process {
  pid: number;
  parent: number;
  /** Seconds of the process alone, and of its children that have ended. */
  own: number;
  ended: number;
}

async function processes(): Promise<Process[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name));
  const read = pids.map(async (pid) => {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
    // The name in parentheses may hold spaces; proc(5) numbers the fields behind it from 3.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const ticks = (index: number): number => Number(fields[index - 3] ?? 0) * TICK_SECONDS;
    // Ticks are cut off for each process: of 200 that have done a little each, nothing would be left. This has nanoseconds, of one thread.
    const main = Number((await readFile(`/proc/${pid}/schedstat`, 'utf8').catch(() => '')).split(' ')[0]) / 1e9;
    const own = Math.max(ticks(14) + ticks(15), main);
    return { pid: Number(pid), parent: Number(fields[1] ?? 0), own, ended: ticks(16) + ticks(17) };
  });
  return Promise.all(read);
}

/** Seconds that the process and its children have used so far. */
async function processorSeconds(pid: number): Promise<number> {
  const all = await processes();
  const server = all.find((one) => one.pid === pid);
  const children = all.filter(({ parent }) => parent === pid);
  return children.reduce((sum, { own }) => sum + own, (server?.own ?? 0) + (server?.ended ?? 0));
}

async function commandOf(pid: number | string): Promise<string[]> {
  return (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
}

/** The process whose command line has this argument and begins with this program. */
async function findProcess(program: string, argument: string): Promise<number> {
  for (const name of (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry))) {
    const command = await commandOf(name);
    if (command[0]?.endsWith(program) && command.includes(argument)) return Number(name);
  }
  throw new Error(`no process ${program} ${argument}`);
}

/** Measures how much processor time the Postgres server on a port uses for some work, in seconds. */
export async function postgresClock(port: number): Promise<(work: () => Promise<unknown>) => Promise<number>> {
  const pid = await findProcess('postgres', `port=${port}`);
  return async (work) => {
    const before = await processorSeconds(pid);
    await work();
    return (await processorSeconds(pid)) - before;
  };
}

/** Name of a process in a table: the workload that Node runs, or the server. */
export function programOf([program = '', ...args]: readonly string[]): string | undefined {
  const workload = args.map((arg) => /^workloads\/([\w-]+)\/main\.ts$/.exec(arg)?.[1]).find((name) => name !== undefined);
  if (workload !== undefined) return workload;
  if (args.includes('kafka.Kafka')) return 'Kafka';
  if (basename(program) === 'pgbouncer') return 'PgBouncer';
  if (/(^|\/)redis-server(\s|$)/.test(program)) return 'Redis';
  // A backend of Postgres writes what it does over its command line.
  return /(^|\/)postgres(:|$)/.test(program) ? 'Postgres' : undefined;
}

/** A process and everything that it has started. */
function family(all: readonly Process[], pid: number): Process[] {
  const children = all.filter(({ parent }) => parent === pid);
  return children.flatMap((child) => [child, ...family(all, child.pid)]);
}

/** Processor seconds so far by program, of the programs that this process has started and that still run. */
export async function processorSecondsByProgram(): Promise<Map<string, number>> {
  const own = family(await processes(), process.pid);
  const seconds = new Map<string, number>();
  for (const one of own) {
    const name = programOf(await commandOf(one.pid));
    if (name !== undefined) seconds.set(name, (seconds.get(name) ?? 0) + one.own + one.ended);
  }
  return seconds;
}

/** Memory of a program's processes together, in MiB, of those that this process has started. What several of them share counts once (PSS). */
export async function mebibytesOf(program: string): Promise<number> {
  let kibibytes = 0;
  for (const { pid } of family(await processes(), process.pid)) {
    if (programOf(await commandOf(pid)) !== program) continue;
    const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '');
    kibibytes += Number(/^Pss:\s+(\d+) kB$/m.exec(text)?.[1] ?? 0);
  }
  return kibibytes / 1024;
}

/** Memory that the process has in use, and the part of it that maps files, whose pages the kernel can drop at any time; in MiB. */
export async function residentMebibytes(pid: number): Promise<{ resident: number; file: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) / 1024;
  return { resident: field('VmRSS'), file: field('RssFile') };
}

/** Most memory that the process has had in use so far, in MiB (resident set). */
export async function peakMebibytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) / 1024;
}
