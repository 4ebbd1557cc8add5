/** Time, passed in wherever something waits, so that tests can turn it. */
import { uptime } from 'node:os';
import { performance } from 'node:perf_hooks';

export interface Clock {
  /** Epoch milliseconds; may jump. */
  now(): number;
  /** Milliseconds since a fixed moment. Never decreases; also advances while the process is suspended or the machine sleeps. */
  monotonic(): number;
  /** Runs `callback` once after `ms` milliseconds; the returned function cancels it. */
  after(ms: number, callback: () => void): () => void;
}

/** The longest delay that a timer takes. Whoever asks for more is woken early, which level-based code does not mind. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Uptime comes in steps of 10 ms; that much lead keeps it from overtaking the finer clock while nothing sleeps. */
const uptimeOffset = uptime() * 1000 - performance.now() + 10;

export const systemClock: Clock = {
  now: () => Date.now(),
  // The process's own clock has a finer resolution but stops while the machine sleeps; the uptime does not.
  monotonic: () => Math.max(performance.now(), uptime() * 1000 - uptimeOffset),
  after(ms, callback) {
    const timer = setTimeout(callback, Math.min(Math.max(ms, 0), LONGEST_TIMER_MS));
    return () => clearTimeout(timer);
  },
};

/** Resolves after `ms` milliseconds, or as soon as the signal aborts; never rejects. */
export function delay(clock: Clock, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const finish = (): void => {
      cancel();
      signal?.removeEventListener('abort', finish);
      resolve();
    };
    const cancel = clock.after(ms, finish);
    signal?.addEventListener('abort', finish, { once: true });
  });
}
