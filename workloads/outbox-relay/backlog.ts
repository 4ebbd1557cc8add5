import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from '../shared/kernel/log.ts';
import type { Queryable } from '../shared/kernel/postgres.ts';
import { untraced } from '../shared/kernel/telemetry.ts';
import { backlogOf } from './store.ts';
import type { Backlog } from './store.ts';

const INTERVAL_MS = 1_000;

/** Measures what waits in the outbox once a second, apart from the publishing, which may be stuck. */
export class BacklogWatch {
  readonly #database: Queryable;
  readonly #log: Logger;
  readonly #stopping = new AbortController();
  #known: Backlog = { rows: 0, oldestSeconds: 0 };
  #measuredAt = performance.now();
  /** The last measurement failed: the oldest row is assumed to be there still. */
  #failing = false;
  #rounds: Promise<void> = Promise.resolve();

  constructor(database: Queryable, log: Logger) {
    this.#database = database;
    this.#log = log;
  }

  /** As of the last measurement. While measurements fail, the age goes on. */
  backlog(): Backlog {
    const { rows, oldestSeconds } = this.#known;
    const since = this.#failing && rows > 0 ? (performance.now() - this.#measuredAt) / 1000 : 0;
    return { rows, oldestSeconds: oldestSeconds + since };
  }

  start(): void {
    this.#rounds = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#rounds;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      try {
        this.#known = await untraced(() => backlogOf(this.#database));
        this.#measuredAt = performance.now();
        this.#failing = false;
      } catch (error) {
        if (!this.#failing) this.#log.warn({ error }, 'failed to measure the outbox; retrying');
        this.#failing = true;
      }
      await delay(INTERVAL_MS, undefined, { signal }).catch(() => undefined);
    }
  }
}
