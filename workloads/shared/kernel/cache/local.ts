import { LRUCache } from 'lru-cache';
import type { Lifetime } from './expiry.ts';
import type { Invalidation } from './invalidation.ts';
import { matcher } from './patterns.ts';

/** An entry of the process's own cache. */
export interface Entry extends Lifetime {
  cache: string;
  tags: readonly string[];
  /** Deeply frozen: every reader gets the same object. */
  value: unknown;
  bytes: number;
  /** The periodic check has expired it: the next read reloads it. */
  due: boolean;
}

/** A load in progress. An invalidation of one of its tags ends its validity: later readers do not join it, and its value is not stored. */
export interface Flight {
  key: string;
  tags: readonly string[];
  startedAt: number;
  valid: boolean;
  /** Set once the load has begun. */
  result: Promise<unknown>;
}

/** Bytes of an entry apart from its value: key, tags and bookkeeping, as measured on V8. */
const OVERHEAD_BYTES = 512;

/**
 * The entries and loads of one process. Everything is synchronous, so between an invalidation and a store there is no gap: a value whose load
 * began before an invalidation of its tags is never stored after it.
 */
export class LocalCache {
  readonly #entries: LRUCache<string, Entry>;
  readonly #keysOf = new Map<string, Set<string>>();
  readonly #flights = new Map<string, Flight>();
  /** With those that nobody may join any more. */
  readonly #loading = new Set<Flight>();

  /** @param maxBytes of all entries; the least recently used go first */
  constructor(maxBytes: number) {
    this.#entries = new LRUCache<string, Entry>({
      maxSize: maxBytes,
      sizeCalculation: (entry, key) => entry.bytes + OVERHEAD_BYTES + 2 * key.length,
      dispose: (entry, key) => this.#unlink(entry.tags, key),
    });
  }

  get size(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    return this.#entries.calculatedSize;
  }

  /** The entry of a key, expired or not. */
  get(key: string): Entry | undefined {
    return this.#entries.get(key);
  }

  /** Entries by key; reading them does not count as use. */
  *[Symbol.iterator](): IterableIterator<[string, Entry]> {
    yield* this.#entries.entries();
  }

  /** The load that a reader may join: it began at `earliest` or later, and nothing that it reads was invalidated since. */
  joinable(key: string, earliest: number): Flight | undefined {
    const flight = this.#flights.get(key);
    return flight && flight.startedAt >= earliest ? flight : undefined;
  }

  /** Begins a load, which must {@link end}. */
  begin(key: string, tags: readonly string[], startedAt: number): Flight {
    const flight: Flight = { key, tags, startedAt, valid: true, result: Promise.resolve() };
    this.#flights.set(key, flight);
    this.#loading.add(flight);
    return flight;
  }

  /** Ends a load. The entry is stored unless the load lost its validity. */
  end(flight: Flight, entry?: Entry): void {
    this.#loading.delete(flight);
    if (this.#flights.get(flight.key) === flight) this.#flights.delete(flight.key);
    if (!entry || !flight.valid) return;
    this.#entries.set(flight.key, entry);
    // An entry larger than the cache is not kept.
    if (this.#entries.peek(flight.key) === entry) this.#link(entry.tags, flight.key);
  }

  /** Removes entries, and ends the validity of loads. @returns how many entries it removed */
  invalidate({ names, patterns }: Invalidation): number {
    const before = this.#entries.size;
    const affected = new Set(names);
    for (const name of names) for (const key of this.#keysOf.get(name) ?? []) this.#entries.delete(key);
    const matchers = patterns.map(matcher);
    const matches = (key: string): boolean => matchers.some((match) => match(key));
    if (matchers.length > 0) for (const key of [...this.#entries.keys()].filter(matches)) this.#entries.delete(key);
    for (const flight of this.#loading) if (flight.tags.some((tag) => affected.has(tag)) || matches(flight.key)) this.#abandon(flight);
    return before - this.#entries.size;
  }

  /** Removes everything. */
  clear(): void {
    this.#entries.clear();
    for (const flight of this.#loading) this.#abandon(flight);
  }

  #abandon(flight: Flight): void {
    flight.valid = false;
    if (this.#flights.get(flight.key) === flight) this.#flights.delete(flight.key);
  }

  #link(tags: readonly string[], key: string): void {
    for (const tag of tags) {
      const keys = this.#keysOf.get(tag);
      if (keys) keys.add(key);
      else this.#keysOf.set(tag, new Set([key]));
    }
  }

  #unlink(tags: readonly string[], key: string): void {
    for (const tag of tags) {
      const keys = this.#keysOf.get(tag);
      keys?.delete(key);
      if (keys?.size === 0) this.#keysOf.delete(tag);
    }
  }
}

/** Freezes a value of JSON and everything in it. */
export function frozen<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value;
  for (const part of Object.values(value)) frozen(part);
  return Object.freeze(value);
}
