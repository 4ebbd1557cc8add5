import { setTimeout as pause } from 'node:timers/promises';

/**
 * Waits until `probe` gives a value other than undefined and false, and returns it.
 * @param what named in the error when the limit is reached; the last error of the probe is its cause
 */
export async function waitFor<T>(
  what: string,
  probe: () => Promise<T | undefined | false> | T | undefined | false,
  limitMs = 150_000,
): Promise<T> {
  const until = Date.now() + limitMs;
  let last: unknown;
  while (Date.now() < until) {
    try {
      const value = await probe();
      if (value !== undefined && value !== false) return value;
    } catch (error) {
      last = error;
    }
    await pause(25);
  }
  throw new Error(`not within ${limitMs} ms: ${what}`, { cause: last });
}
