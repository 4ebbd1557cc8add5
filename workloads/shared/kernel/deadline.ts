import { AsyncLocalStorage } from 'node:async_hooks';
import { performance } from 'node:perf_hooks';

/** Milliseconds of the performance clock at which the current work must have ended. */
const deadlines = new AsyncLocalStorage<number>();

/** Runs `work` with a deadline of `ms` from now. A deadline inside another one can only be earlier. */
export function withDeadline<T>(ms: number, work: () => T): T {
  const at = Math.min(performance.now() + ms, deadlines.getStore() ?? Infinity);
  return deadlines.run(at, work);
}

/** As {@link withDeadline}, for work that several callers share: it does not inherit the deadline of the one that started it. */
export function withOwnDeadline<T>(ms: number, work: () => T): T {
  return deadlines.run(performance.now() + ms, work);
}

/** Milliseconds left to the current work, never below 0; Infinity without a deadline. */
export function remainingMs(): number {
  return Math.max(0, (deadlines.getStore() ?? Infinity) - performance.now());
}
