/** A component's process: its output goes to its log; when it ends it is restarted with backoff. */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import type { Component } from './components.ts';
import type { NodeConfig } from './node-config.ts';
import type { ComponentStatus } from './protocol.ts';

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 10_000;
/** A process that ran this long has started successfully. */
const SETTLED_MS = 10_000;
/** After this many failed starts in a row the component counts as failing. */
const HOPELESS = 5;

/** Pause before start number `failures` + 1 in a row, milliseconds. */
export function restartPause(failures: number): number {
  return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.max(0, failures - 1));
}

export class ManagedProcess {
  readonly #component: Component;
  readonly #node: NodeConfig;
  #child: ChildProcess | undefined;
  #startedAt = 0;
  #restarts = 0;
  #failures = 0;

  constructor(component: Component, node: NodeConfig) {
    this.#component = component;
    this.#node = node;
    this.#start();
  }

  /** True when it ended again and again right after its start. */
  keepsFailing(): boolean {
    return this.#failures >= HOPELESS;
  }

  status(): ComponentStatus {
    const running = this.#child?.exitCode === null && this.#child.signalCode === null;
    return {
      name: this.#component.name,
      pid: running ? this.#child?.pid : undefined,
      restarts: this.#restarts,
      uptimeSeconds: Math.round((performance.now() - this.#startedAt) / 1000),
    };
  }

  #start(): void {
    const { name, program, args } = this.#component;
    const log = openSync(join(this.#node.paths.logs, `${name}.log`), 'a');
    this.#startedAt = performance.now();
    this.#child = spawn(join(this.#node.bin, program), args, {
      stdio: ['ignore', log, log],
      env: { PATH: process.env['PATH'], HOME: '/run' },
    });
    let ended = false;
    const onEnd = (how: string): void => {
      if (ended) return;
      ended = true;
      writeSync(log, `--- ${program} ${how} ---\n`);
      closeSync(log);
      this.#startAgain();
    };
    this.#child.on('error', (error) => onEnd(`cannot be started: ${error.message}`));
    this.#child.on('exit', (code, signal) => onEnd(signal === null ? `ended with code ${code}` : `was ended by ${signal}`));
  }

  #startAgain(): void {
    this.#failures = performance.now() - this.#startedAt > SETTLED_MS ? 1 : this.#failures + 1;
    setTimeout(() => {
      this.#restarts += 1;
      this.#start();
    }, restartPause(this.#failures));
  }
}
