import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from './log.ts';

export interface RepeatOptions {
  log: Logger;
  /** What a round does, for the log: "publish events of accounts". */
  what: string;
  /** Delay after a round. */
  intervalMs: number;
  /** Longest delay while rounds fail; the delay doubles with each failure. Default: `intervalMs`, so that it stays. */
  maxIntervalMs?: number;
  /** One round. True: there may be more to do, and the next round follows at once. It should end early once `signal` is aborted. */
  round: (signal: AbortSignal) => Promise<boolean | void>;
}

/**
 * Repeats a round of background work until it is stopped. A failed round is logged and retried; nothing ends the process. For work whose failure
 * makes the process unready or ends it, there is `PollLoop`.
 * @returns stops after the round in progress
 */
export function repeat({ log, what, intervalMs, maxIntervalMs = intervalMs, round }: RepeatOptions): () => Promise<void> {
  const stopping = new AbortController();
  const { signal } = stopping;
  const rounds = (async () => {
    for (let interval = intervalMs; !signal.aborted;) {
      try {
        interval = (await round(signal)) === true ? 0 : intervalMs;
      } catch (error) {
        if (!signal.aborted) log.warn({ error }, `failed to ${what}; retrying`);
        interval = Math.min(maxIntervalMs, Math.max(interval, intervalMs) * 2);
      }
      await delay(interval, undefined, { signal }).catch(() => undefined);
    }
  })();
  return () => {
    stopping.abort();
    return rounds;
  };
}
