import { ExponentialBackoff, handleWhen, retry } from 'cockatiel';
import type { RetryPolicy } from 'cockatiel';
import { asError } from './errors.ts';
import type { Logger } from './log.ts';

export interface RetryOptions {
  log: Logger;
  /** What is retried, for the log: "apply a batch". */
  what: string;
  /** True for errors that may not occur again. Others are thrown at once. */
  retryable: (error: unknown) => boolean;
  /** Retries before the last error is thrown; without it, retries never end. */
  attempts?: number;
  /** Longest delay in milliseconds; default 5 s. */
  maxDelayMs?: number;
  /** A pending delay does not keep the process alive. */
  unref?: boolean;
}

const INITIAL_DELAY_MS = 100;

/** The one retry of all workloads: exponential backoff with decorrelated jitter, from 0.1 s up to the longest delay. Each retry is logged. */
export function retryPolicy({ log, what, retryable, attempts = Infinity, maxDelayMs = 5_000, unref = false }: RetryOptions): RetryPolicy {
  const created = retry(handleWhen(retryable), {
    maxAttempts: attempts,
    backoff: new ExponentialBackoff({ initialDelay: INITIAL_DELAY_MS, maxDelay: maxDelayMs }),
  });
  // A listener belongs to one policy object, and dangerouslyUnref() returns another one.
  const policy = unref ? created.dangerouslyUnref() : created;
  policy.onRetry((event) => {
    const error = 'error' in event ? asError(event.error) : undefined;
    log.warn({ error, delay_ms: Math.round(event.delay), attempt: event.attempt }, `failed to ${what}; retrying`);
  });
  return policy;
}

/** A lease that has ended is not an error of the work: the retry stops without one. */
class LeaseEnded extends Error {
  override readonly name = 'LeaseEnded';
}

/** A member that waits must still notice within its rebalance timeout that its lease ended. */
const MAX_DELAY_UNDER_LEASE_MS = 2_000;

/**
 * Retries `attempt` with backoff while the lease is held.
 * @returns the result, or undefined when the lease ended first
 * @throws the first error that is not retryable
 */
export async function whileHeld<T>(
  lease: { readonly held: boolean },
  { retryable, ...options }: Omit<RetryOptions, 'attempts' | 'maxDelayMs'>,
  attempt: () => Promise<T>,
): Promise<T | undefined> {
  const policy = retryPolicy({
    ...options,
    retryable: (error) => lease.held && !(error instanceof LeaseEnded) && retryable(error),
    maxDelayMs: MAX_DELAY_UNDER_LEASE_MS,
  });
  try {
    return await policy.execute(() => (lease.held ? attempt() : Promise.reject(new LeaseEnded('the lease ended'))));
  } catch (error) {
    if (error instanceof LeaseEnded || (!lease.held && retryable(error))) return undefined;
    throw error;
  }
}
