/** Graceful shutdown of the process: closes in reverse order of opening, within a timeout. */
import process from 'node:process';
import { delay, systemClock } from './clock.ts';
import type { Clock } from './clock.ts';
import type { Logger } from './logger.ts';

export interface ShutdownOptions {
  logger: Logger;
  /** Limit for all closers together; keep it below the pod's termination grace period (30 s by default). Default 25 s. */
  timeoutMs?: number;
  clock?: Clock;
  /** Exits the process. */
  exit?: (code: number) => void;
}

interface Closer {
  name: string;
  close: () => Promise<void> | void;
}

export class Shutdown {
  readonly #logger: Logger;
  readonly #timeoutMs: number;
  readonly #clock: Clock;
  readonly #exit: (code: number) => void;
  readonly #closers: Closer[] = [];
  #ending: Promise<void> | undefined;

  constructor({ logger, timeoutMs = 25_000, clock = systemClock, exit = (code) => process.exit(code) }: ShutdownOptions) {
    this.#logger = logger;
    this.#timeoutMs = timeoutMs;
    this.#clock = clock;
    this.#exit = exit;
  }

  /** For the readiness check. */
  get started(): boolean {
    return this.#ending !== undefined;
  }

  /** Closers run one after another, the last added first. One that throws is logged and does not stop the others. */
  add(name: string, close: () => Promise<void> | void): void {
    this.#closers.push({ name, close });
  }

  /** SIGTERM and SIGINT start the shutdown; a second signal exits at once. Uncaught exceptions and unhandled rejections are logged and start it too, with code 1. */
  listen(): void {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        if (this.started) this.#exit(1);
        else void this.begin(signal);
      });
    }
    for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
      process.on(event, (error: unknown) => {
        const reason = event === 'uncaughtException' ? 'uncaught exception' : 'unhandled rejection';
        this.#logger.fatal({ error }, reason);
        void this.begin(reason, 1);
      });
    }
  }

  /** Runs the closers and exits with `code`, or with 1 when they exceed the timeout. */
  begin(reason: string, code = 0): Promise<void> {
    this.#ending ??= this.#end(reason, code);
    return this.#ending;
  }

  async #end(reason: string, code: number): Promise<void> {
    this.#logger.info({ reason }, 'shutting down');
    const closed = new AbortController();
    const timeout = delay(this.#clock, this.#timeoutMs, closed.signal).then(() => closed.signal.aborted);
    const inTime = await Promise.race([this.#close().then(() => true), timeout]);
    closed.abort();
    if (!inTime) this.#logger.error({ timeoutMs: this.#timeoutMs }, 'the shutdown exceeded its timeout');
    this.#exit(inTime ? code : 1);
  }

  async #close(): Promise<void> {
    for (let closer = this.#closers.pop(); closer; closer = this.#closers.pop()) {
      try {
        this.#logger.debug({ closer: closer.name }, 'closing');
        await closer.close();
      } catch (error) {
        this.#logger.error({ error, closer: closer.name }, 'closing failed');
      }
    }
  }
}
