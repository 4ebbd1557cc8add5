import type { Logger } from '../shared/kernel/log.ts';
import { repeat } from '../shared/kernel/repeat.ts';
import type { LedgerMetrics } from './metrics.ts';
import type { LedgerStore } from './store.ts';

const INTERVAL_MS = 1_000;
/** Holds of one call, whose accounts are locked meanwhile. */
const MOST = 500;

/**
 * Ends holds whose time is over, every second; every replica does, and each hold ends once. A failure is logged and retried with the next round.
 * @returns stops after the round in progress
 */
export function startExpiry(store: LedgerStore, metrics: LedgerMetrics, log: Logger): () => Promise<void> {
  return repeat({
    log,
    what: 'end holds whose time is over',
    intervalMs: INTERVAL_MS,
    round: async () => {
      const expired = await store.expireHolds(MOST);
      metrics.expired(expired);
      return expired === MOST;
    },
  });
}
