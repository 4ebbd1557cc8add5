import { setTimeout as delay } from 'node:timers/promises';
import { postedView } from '../shared/contracts/ledger.ts';
import { PROBLEMS as IDEMPOTENCY } from '../shared/contracts/idempotency.ts';
import { externalIdOf, PROBLEMS as TRANSFERS } from '../shared/contracts/transfers.ts';
import type { TransferRequest } from '../shared/contracts/transfers.ts';
import { remainingMs, withOwnDeadline } from '../shared/kernel/deadline.ts';
import { ExpiredInQueue } from '../shared/kernel/group-commit.ts';
import type { Logger } from '../shared/kernel/log.ts';
import { isTransient } from '../shared/kernel/postgres.ts';
import { Problem, PROBLEMS } from '../shared/kernel/problems.ts';
import type { ServiceClient } from '../shared/kernel/service-client.ts';
import type { TransferMetrics } from './metrics.ts';
import type { Ending, NewTransfer, Transfer, TransferStore } from './store.ts';

/** A repeated request waits so long for the transfer in progress. */
const WAIT_MS = 2_000;
/** Another process has it: the database is asked again after this time. */
const POLL_MS = 100;
/** What the ledger has answered is written whether or not the client still waits. */
const END_DEADLINE_MS = 5_000;
const RELEASE_DEADLINE_MS = 1_000;

interface Parts {
  store: TransferStore;
  ledger: Pick<ServiceClient, 'post'>;
  metrics: TransferMetrics;
  log: Logger;
}

/** An ended transfer, and whether an earlier request had initiated it. */
export interface Answered {
  transfer: Transfer;
  replayed: boolean;
}

/** Same content of two requests. */
export function sameRequest(one: TransferRequest, other: TransferRequest): boolean {
  return (
    one.fromAccount === other.fromAccount &&
    one.toAccount === other.toAccount &&
    one.amountMinor === other.amountMinor &&
    one.currency === other.currency
  );
}

/**
 * Transfers between accounts, each once for the key of its request. The database has a transfer before the ledger is called, and the ledger
 * applies its transaction once, whoever posts it and however often. So every step may be repeated after a crash or a lost answer.
 */
export class Transfers {
  readonly #parts: Parts;
  /** Transfers that this process executes now. */
  readonly #running = new Map<string, Promise<Transfer>>();

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * Makes the transfer of a request, or answers with that of an earlier request with the same key.
   * @param onAccepted learns the id of the transfer as soon as it is known
   * @throws Problem `idempotency_key_reused`, `transfer_in_progress`, or `ledger_unavailable` and the like, after which the transfer is resumed
   */
  async request(request: NewTransfer, onAccepted: (id: string) => void = () => undefined): Promise<Answered> {
    const { store, metrics } = this.#parts;
    const { transfer, made } = await store.accept(request);
    onAccepted(transfer.id);
    if (made) {
      metrics.initiated.inc();
      return { transfer: await this.execute(transfer), replayed: false };
    }
    if (!sameRequest(transfer, request)) {
      throw new Problem(IDEMPOTENCY.idempotency_key_reused, 'Use another idempotency key for another transfer.');
    }
    metrics.hits.inc();
    return { transfer: transfer.status === 'initiated' ? await this.#awaited(transfer) : transfer, replayed: true };
  }

  /** Posts a transfer, whose lease the caller holds, to the ledger and ends it. @throws Problem when the outcome is unknown: it is resumed */
  execute(transfer: Transfer): Promise<Transfer> {
    const run = this.#execute(transfer).finally(() => this.#running.delete(transfer.id));
    this.#running.set(transfer.id, run);
    return run;
  }

  async #execute(transfer: Transfer): Promise<Transfer> {
    const { store, metrics } = this.#parts;
    try {
      const ending = await this.#post(transfer);
      const { transfer: now, ended } = await withOwnDeadline(END_DEADLINE_MS, () => store.end(ending));
      if (ended) this.#count(now);
      return now;
    } catch (error) {
      metrics.failed(codeOf(error));
      await this.#release(transfer.id);
      throw error;
    }
  }

  /** The ledger's answer. A rejection is an answer as well: it is final. */
  async #post({ id, fromAccount, toAccount, amountMinor, currency }: Transfer): Promise<Ending> {
    const postings = [
      { accountId: fromAccount, amountMinor: `-${amountMinor}` },
      { accountId: toAccount, amountMinor },
    ];
    const transaction = { externalId: externalIdOf(id), currency, postings };
    try {
      const { body } = await this.#parts.ledger.post({ path: '/api/v1/transactions' }, transaction, postedView, { idempotent: true });
      return { id, transactionId: body.transactionId };
    } catch (error) {
      if (error instanceof Problem && error.status < 500) return { id, problem: error.body() };
      throw error;
    }
  }

  #count({ status, problem, createdAt }: Transfer): void {
    const { metrics } = this.#parts;
    if (status === 'rejected') return metrics.failed(problem?.code ?? 'internal');
    metrics.completed.inc();
    metrics.latency.observe({}, Math.max(0, Date.now() - Date.parse(createdAt)) / 1000);
  }

  /** Lets the next request with the key, or the sweeper, resume the transfer at once. Without it the lease ends by itself. */
  async #release(id: string): Promise<void> {
    const { store, log } = this.#parts;
    try {
      await withOwnDeadline(RELEASE_DEADLINE_MS, () => store.release([id]));
    } catch (error) {
      log.warn({ error, transfer_id: id }, 'the lease of a transfer could not be given back');
    }
  }

  /** Waits for the end of a transfer that another request executes. One that nobody executes is resumed. */
  async #awaited({ id }: Transfer): Promise<Transfer> {
    const until = performance.now() + Math.min(WAIT_MS, remainingMs());
    for (;;) {
      const running = this.#running.get(id);
      const ended = await (running ? within(running, until - performance.now()) : this.#endedOrResumed(id));
      if (ended) return ended;
      if (performance.now() >= until) break;
      if (!running) await delay(POLL_MS);
    }
    throw new Problem(TRANSFERS.transfer_in_progress, `Transfer ${id} is in progress; retry with the same key.`, { retryAfterSeconds: 1 });
  }

  async #endedOrResumed(id: string): Promise<Transfer | undefined> {
    const { store } = this.#parts;
    const now = await store.read(id);
    if (now && now.status !== 'initiated') return now;
    if (now?.leased || this.#running.has(id)) return undefined;
    const taken = await store.lease(id);
    return taken && this.resume(taken);
  }

  /** As {@link execute}, for a transfer that another process or request has given up. */
  async resume(transfer: Transfer): Promise<Transfer> {
    const { metrics, log } = this.#parts;
    metrics.resumed.inc();
    const now = await this.execute(transfer);
    log.info({ transfer_id: transfer.id, status: now.status }, 'transfer resumed');
    return now;
  }
}

async function within<T>(work: Promise<T>, ms: number): Promise<T | undefined> {
  const timer = new AbortController();
  const limit = delay(Math.max(0, ms), undefined, { signal: timer.signal }).catch(() => undefined);
  try {
    return await Promise.race([work, limit]);
  } finally {
    timer.abort();
  }
}

function codeOf(error: unknown): string {
  if (error instanceof Problem) return error.code;
  if (error instanceof ExpiredInQueue) return PROBLEMS.deadline_exceeded.code;
  return isTransient(error) ? PROBLEMS.database_unavailable.code : PROBLEMS.internal.code;
}
