import type { InterestTransaction } from '../shared/contracts/interest-transaction.ts';
import type { Apply } from '../shared/kernel/consumer/effects.ts';
import type { Entry, Slice } from '../shared/kernel/consumer/slice.ts';
import type { interestMetrics } from './metrics.ts';
import type { ProductConfigs } from './product-configs.ts';
import type { InterestRejection } from './rejections.ts';
import type { InterestStore } from './store.ts';

const NO_RATE: InterestRejection = 'no_active_rate';

/**
 * Applies slices to the ledger with the cached rates. A product without a rate may be newer than the cache: the rates are then read again,
 * once a slice, before its events are rejected.
 */
export function applyInterest(
  store: InterestStore,
  configs: ProductConfigs,
  metrics: ReturnType<typeof interestMetrics>,
): Apply<InterestTransaction> {
  const observe = (seconds: number): void => metrics.latency.observe(seconds);
  return async (slice) => {
    let outcome = await store.apply(slice, await configs.lookup(), observe);
    const withoutRate = outcome.kind === 'rejected' ? newlyWithoutRate(slice) : [];
    if (withoutRate.length > 0) {
      const rates = await configs.reload();
      for (const entry of withoutRate) delete entry.rejection;
      outcome = await store.apply(slice, rates, observe);
    }
    if (outcome.kind === 'applied') metrics.calculations.inc({ status: 'success' }, outcome.events);
    return outcome;
  };
}

/** Entries whose rejection is not in the dead-letter topic yet, for want of a rate. */
function newlyWithoutRate(slice: Slice): Entry[] {
  return slice.flatMap(({ entries }) =>
    entries.filter(({ rejection, deadLettered }) => rejection?.code === NO_RATE && deadLettered !== true),
  );
}
