/** How long each Go module takes to compile, for docs/programs.md. */
import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { run } from '../exec.ts';
import { cachePath } from '../paths.ts';
import { goBuildOf } from './programs.ts';

export interface BuildTime {
  readonly module: string;
  readonly programs: readonly string[];
  /** Of all programs together. */
  readonly bytes: number;
  readonly wallSeconds: number;
  /** Of all processors. It does not depend on what else the machine does, which `wallSeconds` does. */
  readonly cpuSeconds: number;
}

/**
 * Compiles the modules one after the other, each with a compile cache of its own, and prints a row for each. Downloads are not part of the time.
 * @throws Failure when a module is unknown or does not compile
 */
export async function printBuildTimes(modules: readonly string[]): Promise<void> {
  console.log(`| module | programs | MiB | s on ${availableParallelism()} processors | s of CPU |`);
  console.log('|---|---|---|---|---|');
  for (const module of modules) console.log(formatRow(await timeBuild(module)));
}

/** A row of a Markdown table. Pure. */
export function formatRow({ module, programs, bytes, wallSeconds, cpuSeconds }: BuildTime): string {
  const cells = [module, programs.join(', '), bytes / 1024 ** 2, wallSeconds, cpuSeconds];
  return `| ${cells.map((cell) => (typeof cell === 'number' ? cell.toFixed(0) : cell)).join(' | ')} |`;
}

async function timeBuild(module: string): Promise<BuildTime> {
  await mkdir(cachePath(), { recursive: true });
  const folder = await mkdtemp(cachePath('.build-times-'));
  try {
    const output = join(folder, 'programs');
    const { args, cwd, env } = goBuildOf(module, output);
    await mkdir(output);
    // A build that only prints its commands downloads what is missing.
    await run('go', args.toSpliced(1, 0, '-n'), { cwd, env });
    const script = 'TIMEFORMAT="%R %U %S"; time go "$@"';
    const { stderr } = await run('bash', ['-euc', script, 'bash', ...args], { cwd, env: { ...env, GOCACHE: join(folder, 'cache') } });
    const programs = (await readdir(output)).toSorted();
    const sizes = await Promise.all(programs.map(async (name) => (await stat(join(output, name))).size));
    return { module, programs, bytes: sizes.reduce((sum, size) => sum + size, 0), ...parseTimes(stderr) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The last line of bash's `time`: seconds elapsed, in user mode, in the kernel. Pure. */
export function parseTimes(output: string): Pick<BuildTime, 'wallSeconds' | 'cpuSeconds'> {
  const [wall = Number.NaN, user = Number.NaN, system = Number.NaN] = (output.trim().split('\n').at(-1) ?? '').split(' ').map(Number);
  if (!Number.isFinite(wall + user + system)) throw new Error(`no times in: ${output.slice(-200)}`);
  return { wallSeconds: wall, cpuSeconds: user + system };
}
