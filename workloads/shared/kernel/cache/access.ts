/** Share of the keys that are hot. */
const HOT_SHARE = 0.2;
/** A key that was read once is not hot, however few keys there are. */
const LEAST_HOT = 2;

/**
 * Counts reads by key, and says which keys are hot: the most read fifth. Counts halve with each {@link refresh}, so that a key cools down.
 * Memory is bounded: at the limit, new keys wait for the next refresh to make room.
 */
export class AccessLog {
  readonly #limit: number;
  readonly #counts = new Map<string, number>();
  #hot: ReadonlyMap<string, number> = new Map();

  /** @param limit most keys that are counted */
  constructor(limit = 50_000) {
    this.#limit = limit;
  }

  record(key: string): void {
    const count = this.#counts.get(key);
    if (count === undefined && this.#counts.size >= this.#limit) return;
    this.#counts.set(key, (count ?? 0) + 1);
  }

  isHot(key: string): boolean {
    return this.#hot.has(key);
  }

  /** The hot keys as of the last {@link refresh}, the most read first. */
  hotKeys(): string[] {
    return [...this.#hot.keys()];
  }

  /** Finds the hot keys, then halves the counts and forgets the keys that were read once. */
  refresh(): void {
    const ranked = [...this.#counts].toSorted(([, one], [, other]) => other - one);
    this.#hot = new Map(ranked.slice(0, Math.ceil(ranked.length * HOT_SHARE)).filter(([, count]) => count >= LEAST_HOT));
    for (const [key, count] of ranked) {
      const half = Math.floor(count / 2);
      if (half > 0) this.#counts.set(key, half);
      else this.#counts.delete(key);
    }
  }
}
