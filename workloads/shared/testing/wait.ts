import { setTimeout as pause } from 'node:timers/promises';

/**
 * Waits until `probe` gives a value other than undefined and false, and returns it. Asks every 25 ms at first, and less often the longer it takes:
 * the questions must not keep a slow machine busy.
 * @param what named in the error when the limit is reached; the last error of the probe is its cause
 */
export async function waitFor<T>(
  what: string,
  probe: () => Promise<T | undefined | false> | T | undefined | false,
  limitMs = 150_000,
): Promise<T> {
  const started = performance.now();
  let last: unknown;
  for (let waited = 0; waited < limitMs; waited = performance.now() - started) {
    try {
      const value = await probe();
      if (value !== undefined && value !== false) return value;
    } catch (error) {
      last = error;
    }
    await pause(Math.min(250, Math.max(25, waited / 50)));
  }
  throw new Error(`not within ${limitMs} ms: ${what}`, { cause: last });
}
