/** Waiting for a condition, with a time limit. */
import { setTimeout as delay } from 'node:timers/promises';
import { Failure } from '../failure.ts';

/**
 * Asks again until `condition` holds.
 * @param what names the condition in the error: "<what>: not within 10 s"
 * @throws Failure when it does not hold within the limit (milliseconds)
 */
export async function eventually(what: string, limitMs: number, condition: () => Promise<boolean> | boolean, everyMs = 50): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Failure(`${what}: not within ${limitMs / 1000} s`);
    await delay(everyMs);
  }
}
