import { setTimeout as delay } from 'node:timers/promises';
import type { RetryPolicy } from 'cockatiel';
import { asError } from './errors.ts';
import type { Logger } from './log.ts';
import { retryPolicy } from './retry.ts';

export interface PollLoopOptions {
  log: Logger;
  /** What a pass does, for the log: "publish the outbox". */
  what: string;
  /** Delay after a pass without work; it grows by half with each further one, up to `maxDelayMs`. */
  minDelayMs: number;
  maxDelayMs: number;
  /** Longest delay after a failed pass. */
  maxRetryDelayMs: number;
  /** True for errors that may not occur again. */
  retryable: (error: unknown) => boolean;
  /** Called once for any other error; the loop has ended. */
  onFatal: (error: unknown) => void;
  /** One pass. True: there may be more to do, and the next pass follows at once. It should end early once `signal` is aborted. */
  pass: (signal: AbortSignal) => Promise<boolean>;
}

/** A loop that has not finished a pass for this long hangs: its process must be restarted. */
const STALL_MS = 90_000;

/** Polls for work: without a delay while there is some, ever less often while there is none. Failed passes are retried with backoff. */
export class PollLoop {
  readonly #options: PollLoopOptions;
  readonly #retry: RetryPolicy;
  readonly #stopping = new AbortController();
  #failure: string | undefined = 'no pass has succeeded yet';
  #lastEnd = Date.now();
  #running: Promise<void> = Promise.resolve();

  constructor(options: PollLoopOptions) {
    this.#options = options;
    const { log, what, retryable, maxRetryDelayMs: maxDelayMs } = options;
    this.#retry = retryPolicy({ log, what, retryable: (error) => !this.#stopping.signal.aborted && retryable(error), maxDelayMs });
  }

  /** Starts polling; returns at once. */
  start(): void {
    this.#running = this.#run();
  }

  /** Ends after the pass in progress. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  /** Why the last pass failed, or undefined when it succeeded. */
  notReady(): string | undefined {
    return this.#failure;
  }

  /** Why the process must be restarted, or undefined. */
  notLive(): string | undefined {
    const silent = Date.now() - this.#lastEnd;
    return silent > STALL_MS ? `no pass has ended for ${Math.round(silent / 1000)} s` : undefined;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    const { minDelayMs, maxDelayMs, onFatal } = this.#options;
    let idle = minDelayMs;
    while (!signal.aborted) {
      try {
        const worked = await this.#retry.execute(() => this.#pass(signal));
        if (!worked) await delay(idle, undefined, { signal }).catch(() => undefined);
        idle = worked ? minDelayMs : Math.min(idle * 1.5, maxDelayMs);
      } catch (error) {
        if (!signal.aborted) onFatal(error);
        return;
      }
    }
  }

  async #pass(signal: AbortSignal): Promise<boolean> {
    try {
      const worked = signal.aborted ? false : await this.#options.pass(signal);
      this.#failure = undefined;
      return worked;
    } catch (error) {
      this.#failure = `cannot ${this.#options.what}: ${asError(error).message}`;
      throw error;
    } finally {
      this.#lastEnd = Date.now();
    }
  }
}
