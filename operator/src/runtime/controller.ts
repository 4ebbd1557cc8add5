/** Workers take keys from a queue and reconcile them. */
import { randomUUID } from 'node:crypto';
import { delay, systemClock } from './clock.ts';
import type { Clock } from './clock.ts';
import { KubeError } from './errors.ts';
import type { Logger } from './logger.ts';
import type { Counter, Gauge, Histogram, Metrics } from './metrics.ts';
import type { WorkQueue } from './workqueue.ts';

export interface ReconcileResult {
  /** Requeue the key after this many milliseconds, even if nothing changes. */
  requeueAfterMs?: number;
}

export interface ReconcileContext {
  /** What to reconcile: `namespace/name`, never the change that led here. */
  key: string;
  /** Identifies this pass in logs. */
  reconcileId: string;
  /** Adds the key and the reconcile id to each line. */
  logger: Logger;
  /** Aborted when the controller must stop now. */
  signal: AbortSignal;
}

/**
 * Moves the object that the key names from its current state towards the desired one. The controller retries every error with a backoff per key.
 * Passes for one key never overlap.
 */
export type Reconcile = (context: ReconcileContext) => Promise<ReconcileResult | void>;

export interface ControllerOptions {
  /** Label of its metrics and log lines. */
  name: string;
  queue: WorkQueue;
  reconcile: Reconcile;
  metrics: Metrics;
  logger: Logger;
  /** Concurrent passes; default 4. */
  workers?: number;
  clock?: Clock;
}

const RESULTS = ['success', 'requeue_after', 'error'] as const;
type PassResult = (typeof RESULTS)[number];

export class Controller {
  readonly #options: ControllerOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #abort = new AbortController();
  readonly #results: Counter<'controller' | 'result'>;
  readonly #durations: Histogram<'controller'>;
  readonly #active: Gauge<'controller'>;
  #workers: Promise<void>[] = [];

  constructor(options: ControllerOptions) {
    const { name, metrics, logger, clock = systemClock } = options;
    this.#options = options;
    this.#clock = clock;
    this.#logger = logger.child({ controller: name });
    this.#results = metrics.counter('bss_operator_reconcile_total', 'Passes, by result.', ['controller', 'result']);
    this.#durations = metrics.histogram('bss_operator_reconcile_duration_seconds', 'Duration of a pass.', ['controller']);
    this.#active = metrics.gauge('bss_operator_reconcile_active', 'Passes in progress.', ['controller']);
    // Every series exists from the first scrape, so that a rate over it is defined.
    for (const result of RESULTS) this.#results.inc({ controller: name, result }, 0);
    this.#active.set({ controller: name }, 0);
  }

  /** Starts the workers. Caches must have synced before. */
  start(): void {
    const { workers = 4 } = this.#options;
    this.#workers = Array.from({ length: workers }, () => this.#work());
  }

  /** Takes no new key and resolves when the passes in progress have ended. Their signal aborts after `graceMs` milliseconds. */
  async stop(graceMs = 10_000): Promise<void> {
    this.#options.queue.shutDown();
    const ended = new AbortController();
    const grace = delay(this.#clock, graceMs, ended.signal).then(() => this.#abort.abort());
    await Promise.all(this.#workers);
    ended.abort();
    await grace;
  }

  async #work(): Promise<void> {
    const { queue } = this.#options;
    for (let key = await queue.get(); key !== undefined; key = await queue.get()) {
      await this.#pass(key);
      queue.done(key);
    }
  }

  async #pass(key: string): Promise<void> {
    const { name, reconcile } = this.#options;
    const reconcileId = randomUUID();
    const logger = this.#logger.child({ key, reconcileId });
    const start = this.#clock.monotonic();
    this.#active.inc({ controller: name });
    let result: PassResult;
    try {
      result = this.#succeeded(key, await reconcile({ key, reconcileId, logger, signal: this.#abort.signal }));
    } catch (error) {
      result = this.#failed(key, error, logger);
    }
    this.#active.dec({ controller: name });
    this.#results.inc({ controller: name, result });
    this.#durations.observe({ controller: name }, (this.#clock.monotonic() - start) / 1000);
  }

  #succeeded(key: string, result: ReconcileResult | void): PassResult {
    const { queue } = this.#options;
    queue.forget(key);
    if (result?.requeueAfterMs === undefined) return 'success';
    queue.addAfter(key, result.requeueAfterMs);
    return 'requeue_after';
  }

  #failed(key: string, error: unknown, logger: Logger): PassResult {
    const { queue } = this.#options;
    const asked = error instanceof KubeError ? (error.retryAfterMs ?? 0) : 0;
    const waitMs = Math.round(queue.addRateLimited(key, asked));
    logger.error({ error, failures: queue.failures(key), waitMs }, 'reconciling failed, retrying');
    return 'error';
  }
}
