import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from '../log.ts';

/** A recreated topic can become longer than the position within this time: its first records are then skipped until the next check. */
const INTERVAL_MS = 10_000;

/**
 * Checks periodically whether the topic was deleted and recreated while it is consumed. A check that fails is repeated after the same time.
 * @returns ends the checks; it does not wait for the one in progress, which may wait for Kafka
 */
export function watchTopic(parts: { log: Logger; isOutdated: () => Promise<boolean>; onOutdated: () => void }): () => Promise<void> {
  const stopped = new AbortController();
  void checkUntil(stopped.signal, parts);
  return () => {
    stopped.abort();
    return Promise.resolve();
  };
}

async function checkUntil(signal: AbortSignal, { log, isOutdated, onOutdated }: Parameters<typeof watchTopic>[0]): Promise<void> {
  for (;;) {
    await pause(INTERVAL_MS, undefined, { signal, ref: false }).catch(() => undefined);
    if (signal.aborted) return;
    try {
      const outdated = await isOutdated();
      if (outdated && !signal.aborted) onOutdated();
    } catch (error) {
      if (!signal.aborted) log.warn({ error }, 'failed to read the id of the topic; retrying');
    }
  }
}
