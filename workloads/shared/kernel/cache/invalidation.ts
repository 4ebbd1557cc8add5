/** What an invalidation removes. Pure. */

/** Why entries were invalidated; the label of `cache_invalidations_total`. */
export type Cause = 'notification' | 'message' | 'request' | 'gap';
export const CAUSES: readonly Cause[] = ['notification', 'message', 'request', 'gap'];

/** Every entry has its key and further names as tags: a name removes the entries that have it as a tag. Patterns remove the keys that match. */
export interface Invalidation {
  names: readonly string[];
  patterns: readonly string[];
}

export const NOTHING: Invalidation = { names: [], patterns: [] };

/** All of them, each name and pattern once. */
export function merged(invalidations: readonly Invalidation[]): Invalidation {
  return {
    names: [...new Set(invalidations.flatMap(({ names }) => names))],
    patterns: [...new Set(invalidations.flatMap(({ patterns }) => patterns))],
  };
}

/**
 * The dependencies between entries: `order:123` depends on `customer:456`. They end with the process; `limit` bounds their number, beyond which
 * the oldest is forgotten together with its entry.
 */
export class Dependencies {
  readonly #limit: number;
  readonly #of = new Map<string, Set<string>>();

  constructor(limit = 100_000) {
    this.#limit = limit;
  }

  /** @returns the key whose dependencies were forgotten to make room, if any */
  register(key: string, on: string): string | undefined {
    const known = this.#of.get(key) ?? new Set<string>();
    known.add(on);
    this.#of.set(key, known);
    if (this.#of.size <= this.#limit) return undefined;
    const [oldest] = this.#of.keys();
    if (oldest !== undefined) this.#of.delete(oldest);
    return oldest;
  }

  /** What a key depends on, directly or through others; without the key itself. */
  closure(key: string): string[] {
    const found = new Set([key]);
    for (const name of found) for (const on of this.#of.get(name) ?? []) found.add(on);
    found.delete(key);
    return [...found];
  }
}
