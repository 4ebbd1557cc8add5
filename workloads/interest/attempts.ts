import { setTimeout as pause } from 'node:timers/promises';
import { backOff } from '../shared/kernel/kafka/failures.ts';
import type { Lease } from '../shared/kernel/kafka/consumer.ts';

/** Longest pause: a member that waits must still notice within its rebalance time-out that its lease ended. */
const MAX_PAUSE_MS = 2_000;

/**
 * Repeats `attempt` with back-off for as long as its errors can pass and the lease holds.
 * @returns what it came to, or undefined when the lease ended first
 * @throws the first error that cannot pass
 */
export async function untilHeld<T>(
  lease: Pick<Lease, 'held'>,
  attempt: () => Promise<T>,
  canPass: (error: unknown) => boolean,
  onRetry: (error: unknown, delayMs: number) => void,
): Promise<T | undefined> {
  for (let failures = 1; lease.held; failures++) {
    try {
      return await attempt();
    } catch (error) {
      if (!canPass(error)) throw error;
      const delay = Math.min(MAX_PAUSE_MS, backOff(failures));
      onRetry(error, delay);
      await pause(delay);
    }
  }
  return undefined;
}
