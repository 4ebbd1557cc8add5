/** promtool, as the platform's Prometheus is built with it. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../../local/src/exec.ts';
import { ensurePrograms } from '../../../local/src/build/programs.ts';

/** A folder of rule and test files that promtool works in. */
export class Promtool {
  readonly #program: string;
  readonly #folder: string;

  private constructor(program: string, folder: string) {
    this.#program = program;
    this.#folder = folder;
  }

  static async open(): Promise<Promtool> {
    const { promtool } = await ensurePrograms(['promtool']);
    return new Promtool(promtool, await mkdtemp(join(tmpdir(), 'promtool-')));
  }

  /** Writes a file and returns its path. */
  async write(name: string, text: string): Promise<string> {
    const file = join(this.#folder, name);
    await writeFile(file, text);
    return file;
  }

  /**
   * Runs promtool.
   * @returns what it printed
   * @throws Failure with its last lines when it finds something wrong
   */
  async run(...args: string[]): Promise<string> {
    const { stdout } = await run(this.#program, args, { cwd: this.#folder });
    return stdout;
  }

  close(): Promise<void> {
    return rm(this.#folder, { recursive: true, force: true });
  }
}
