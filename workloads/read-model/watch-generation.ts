import type { Logger } from '../shared/kernel/log.ts';
import type { Gauge } from '../shared/kernel/metrics.ts';
import { repeat } from '../shared/kernel/repeat.ts';
import type { ReadModelStore } from './store.ts';

const INTERVAL_MS = 5_000;

/** Keeps the gauge at the number of the generation that serves. @returns ends it */
export function watchGeneration(store: Pick<ReadModelStore, 'generation'>, gauge: Gauge, log: Logger): () => Promise<void> {
  let former: number | undefined;
  return repeat({
    log,
    what: 'read the number of the generation',
    intervalMs: INTERVAL_MS,
    round: async () => {
      const number = await store.generation();
      gauge.set(number);
      if (former !== undefined && number !== former) log.info({ generation: number }, 'another generation serves');
      former = number;
    },
  });
}
