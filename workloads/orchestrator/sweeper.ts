import { withOwnDeadline } from '../shared/kernel/deadline.ts';
import type { Logger } from '../shared/kernel/log.ts';
import { repeat } from '../shared/kernel/repeat.ts';
import { untraced } from '../shared/kernel/telemetry.ts';
import type { TransferStore } from './store.ts';
import type { Transfers } from './transfers.ts';

const INTERVAL_MS = 1_000;
/** Longest time between two rounds while the ledger or the database does not answer. */
const MAX_INTERVAL_MS = 10_000;
/** Transfers of one round. */
const MOST = 50;
const ROUND_DEADLINE_MS = 5_000;
/** Keys are looked at once a minute, so many at a time. */
const EXPIRY_INTERVAL_MS = 60_000;
const KEYS = 1_000;

interface Parts {
  store: TransferStore;
  transfers: Transfers;
  log: Logger;
}

/** The least UUID of version 7 of a time in milliseconds since the epoch: every id that was made before is lower. */
export function firstIdAt(ms: number): string {
  const hex = Math.max(0, Math.floor(ms)).toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}

/**
 * Resumes transfers whose process has ended or given them up, and expires the keys of old ones. Every replica does.
 * @param ttlMs how long the key of an ended transfer is kept at least
 * @returns stops after the round in progress
 */
export function startSweeper(parts: Parts, ttlMs: number): () => Promise<void> {
  const { log } = parts;
  let from = firstIdAt(0);
  const stops = [
    repeat({
      log,
      what: 'resume abandoned transfers',
      intervalMs: INTERVAL_MS,
      maxIntervalMs: MAX_INTERVAL_MS,
      round: () => resumeAbandoned(parts),
    }),
    repeat({
      log,
      what: 'expire idempotency keys',
      intervalMs: EXPIRY_INTERVAL_MS,
      round: async (signal) => {
        from = await expireKeys(parts.store, from, ttlMs, signal);
      },
    }),
  ];
  return async () => {
    await Promise.all(stops.map((stop) => stop()));
  };
}

/** One round. @returns whether there may be more. @throws when the database does not answer, or a transfer could not be resumed */
async function resumeAbandoned({ store, transfers }: Parts): Promise<boolean> {
  const taken = await withOwnDeadline(ROUND_DEADLINE_MS, () => untraced(() => store.takeAbandoned(MOST)));
  const results = await Promise.allSettled(taken.map((one) => withOwnDeadline(ROUND_DEADLINE_MS, () => transfers.resume(one))));
  const failed = results.filter((result) => result.status === 'rejected');
  if (failed.length > 0)
    throw new Error(`${failed.length} of ${taken.length} transfers could not be resumed`, { cause: failed[0]?.reason });
  return taken.length === MOST;
}

/**
 * Expires the keys of transfers from an id on that were initiated longer ago than `ttlMs`.
 * @returns the id that the next call begins with: below it, every transfer has ended and its key has expired
 * @throws when the database does not answer: the next call begins with the same id
 */
export async function expireKeys(store: TransferStore, first: string, ttlMs: number, signal?: AbortSignal): Promise<string> {
  let from = first;
  const before = firstIdAt(Date.now() - ttlMs);
  const call = <T>(work: () => Promise<T>): Promise<T> => withOwnDeadline(ROUND_DEADLINE_MS, () => untraced(work));
  // Read first: a transfer that ends between the two statements is found by this call or the next one.
  const initiated = await call(() => store.oldestInitiated());
  for (let expired = KEYS; expired === KEYS && !signal?.aborted;) {
    const ids = await call(() => store.expireKeys(from, before, KEYS));
    expired = ids.length;
    from = ids.toSorted().at(-1) ?? from;
  }
  if (signal?.aborted) return from;
  return initiated !== undefined && initiated < before ? initiated : before;
}
