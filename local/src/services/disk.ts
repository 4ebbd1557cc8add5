/** A disk that can be full: a file system in memory, of limited size, for the data of one server. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Failure } from '../failure.ts';

/** "$1": folder, "$2": size in MiB, "$3": uid. It holds the mount namespace for as long as it runs. */
const HOLD_SCRIPT = `
mount -t tmpfs -o "size=$2m,uid=$3,gid=$3,mode=700" tmpfs "$1"
echo mounted
exec sleep infinity
`;
const FILLER = 'filler';
const CHUNK = Buffer.alloc(2 ** 20);
const SMALLEST = 512;

/** Mounted in a namespace of its own: nothing of it stays when the process that made it ends, however that ends. */
export class LimitedDisk {
  readonly #holder: ChildProcess;
  readonly #folder: string;

  private constructor(holder: ChildProcess, folder: string) {
    this.#holder = holder;
    this.#folder = folder;
  }

  /**
   * @param folder that exists, over which it is mounted
   * @param mebibytes its size
   * @param uid its owner
   * @throws Failure when it cannot be mounted
   */
  static async mount(folder: string, mebibytes: number, uid: number): Promise<LimitedDisk> {
    const namespace = ['unshare', '--mount', 'sh', '-euc', HOLD_SCRIPT, 'sh'];
    const line = ['--pdeathsig', 'KILL', ...namespace, folder, String(mebibytes), String(uid)];
    const holder = spawn('setpriv', line, { stdio: ['ignore', 'pipe', 'inherit'] });
    const mounted = once(holder.stdout, 'data').then(() => true);
    const ended = once(holder, 'exit').then(() => false);
    if (!(await Promise.race([mounted, ended]))) throw new Failure(`no file system of ${mebibytes} MiB could be mounted at ${folder}`);
    return new LimitedDisk(holder, folder);
  }

  /** The folder, as this process reaches it. */
  get path(): string {
    return `/proc/${this.#holder.pid}/root${this.#folder}`;
  }

  /** The command line of a program that sees the file system. */
  inside(command: readonly string[]): string[] {
    return ['nsenter', `--mount=/proc/${this.#holder.pid}/ns/mnt`, '--', ...command];
  }

  /** Writes a file until no space is left. */
  async fill(): Promise<void> {
    const file = await open(join(this.path, FILLER), 'a');
    try {
      for (let size = CHUNK.length; size >= SMALLEST;) {
        const written = await file.write(CHUNK, 0, size).then(
          ({ bytesWritten }) => bytesWritten,
          (error: unknown) => {
            if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
            return 0;
          },
        );
        if (written < size) size /= 2;
      }
    } finally {
      await file.close();
    }
  }

  /** Ends `fill`. */
  async free(): Promise<void> {
    await rm(join(this.path, FILLER), { force: true });
  }

  unmount(): void {
    this.#holder.kill('SIGKILL');
  }
}
