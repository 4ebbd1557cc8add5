/** Locks between processes. The kernel holds them, so a process that dies, however, releases its own. */
import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { Socket } from 'node:net';
import { dirname } from 'node:path';
import { Failure } from './failure.ts';
import { cachePath } from './paths.ts';

/**
 * Runs `work` while this process holds the lock of that name; waits while another process holds it.
 * `flock` keeps the lock for as long as its child `cat` sees an open standard input, which ends with this process at the latest.
 */
export async function withLock<T>(name: string, work: () => Promise<T>): Promise<T> {
  const file = cachePath('locks', `${name}.lock`);
  await mkdir(dirname(file), { recursive: true });
  const holder = spawn('flock', ['--exclusive', file, 'sh', '-c', 'echo locked; exec cat >/dev/null'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    detached: true,
  });
  await new Promise<void>((resolve, reject) => {
    holder.stdout.once('data', () => resolve());
    holder.once('error', (error) =>
      reject(new Failure(`cannot start flock: ${error.message}`, { tryNext: ['apt-get install util-linux'] })),
    );
    holder.once('exit', (code) => reject(new Failure(`flock ${file} ended with code ${code}`)));
  });
  try {
    return await work();
  } finally {
    holder.stdin.end();
  }
}

/**
 * Takes the lock of a file when no other process holds it.
 * @returns a function that releases it, or undefined when the lock is taken. The end of this process releases it too.
 * @throws Failure when flock cannot run
 */
export async function tryLock(file: string): Promise<(() => void) | undefined> {
  const holder = spawn(
    'flock',
    ['--exclusive', '--nonblock', '--conflict-exit-code', '75', file, 'sh', '-c', 'echo locked; exec cat >/dev/null'],
    {
      stdio: ['pipe', 'pipe', 'ignore'],
      detached: true,
    },
  );
  const locked = await new Promise<boolean>((resolve, reject) => {
    holder.stdout.once('data', () => resolve(true));
    holder.once('error', (error) =>
      reject(new Failure(`cannot start flock: ${error.message}`, { tryNext: ['apt-get install util-linux'] })),
    );
    holder.once('exit', (code) => (code === 75 ? resolve(false) : reject(new Failure(`flock ${file} ended with code ${code}`))));
  });
  if (!locked) return undefined;
  // The lock must not keep a process alive that has nothing else to do.
  holder.unref();
  for (const stream of [holder.stdin, holder.stdout]) if (stream instanceof Socket) stream.unref();
  return () => void holder.stdin.end();
}
