import type { InterestTransaction } from '../shared/contracts/interest-transaction.ts';
import type { Apply } from '../shared/kernel/consumer/effects.ts';
import type { interestMetrics } from './metrics.ts';
import type { ProductConfigs } from './product-configs.ts';
import { RatesChanged } from './store.ts';
import type { InterestStore } from './store.ts';

/**
 * Applies slices to the ledger with the cached rates. A transaction that finds another version of the rates in the database writes nothing; the
 * rates are then read again. All replicas therefore calculate with the rates in force when they book.
 */
export function applyInterest(
  store: InterestStore,
  configs: ProductConfigs,
  metrics: ReturnType<typeof interestMetrics>,
): Apply<InterestTransaction> {
  const observe = (seconds: number): void => metrics.latency.observe(seconds);
  return async (slice) => {
    for (let rates = await configs.lookup(); ; rates = await configs.reload()) {
      try {
        const outcome = await store.apply(slice, rates, observe);
        if (outcome.kind === 'applied') metrics.calculations.inc({ status: 'success' }, outcome.events);
        return outcome;
      } catch (error) {
        if (!(error instanceof RatesChanged)) throw error;
      }
    }
  };
}
