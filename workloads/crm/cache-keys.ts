/** Keys and tags of the cache of resources, and what a change of a row invalidates. Pure. */
import type { CacheFamily, CacheKey } from '../shared/kernel/cache/cache.ts';
import type { Invalidation } from '../shared/kernel/cache/invalidation.ts';
import type { Notification } from '../shared/kernel/cache/notifications.ts';

const MINUTE_MS = 60_000;

interface CachedFamily extends CacheFamily {
  /** One of them, as its key begins. */
  noun: string;
  /** With the trigger of cache invalidation. */
  table: string;
}

function family(name: string, noun: string, ttlMs: number, more: Partial<CachedFamily> = {}): CachedFamily {
  return { name, noun, table: noun, ttlMs, prefixes: [`${noun}:`, `${name}:`, 'customer:'], ...more };
}

/**
 * The cached families: those whose tables have triggers. Services and assets are read from the database. Personal data and the catalogue are
 * shown for ten minutes while the database is away; orders, invoices and payments are about money and never are.
 */
export const CACHED = [
  family('customers', 'customer', 5 * MINUTE_MS, { staleIfErrorMs: 10 * MINUTE_MS }),
  family('addresses', 'address', 5 * MINUTE_MS, { staleIfErrorMs: 10 * MINUTE_MS }),
  family('products', 'product', 10 * MINUTE_MS, { staleIfErrorMs: 60 * MINUTE_MS, prefixes: ['product:', 'products:'] }),
  family('subscriptions', 'subscription', 5 * MINUTE_MS, { staleIfErrorMs: 10 * MINUTE_MS }),
  family('orders', 'order', 2 * MINUTE_MS),
  family('invoices', 'invoice', 2 * MINUTE_MS),
  family('payments', 'payment', MINUTE_MS),
] as const;

export const cachedFamily = (name: string): CachedFamily | undefined => CACHED.find((one) => one.name === name);

/** Tag of every list and summary of a family. */
const listsTag = (name: string): string => `${name}:lists`;
const ownedTag = (customerId: string, name: string): string => `customer:${customerId}:${name}`;

/** One resource: `customer:{id}`. */
export function entityKey(of: CachedFamily, id: string): CacheKey {
  return { family: of, key: `${of.noun}:${id}` };
}

/** A list by its query: `customers:list:{query}`. */
export function listKey(of: CachedFamily, query: string): CacheKey {
  return { family: of, key: `${of.name}:list:${query}`, tags: [listsTag(of.name)] };
}

/** `customers:summary:all`. */
export function summaryKey(of: CachedFamily): CacheKey {
  return { family: of, key: `${of.name}:summary:all`, tags: [listsTag(of.name)] };
}

/** What belongs to a customer: `customer:{id}:orders:{query}`. It goes when the customer changes, too. */
export function ownedKey(of: CachedFamily, customerId: string, query: string): CacheKey {
  const tag = ownedTag(customerId, of.name);
  return { family: of, key: `${tag}:${query}`, tags: [tag, `customer:${customerId}`] };
}

/** The customer of a key that {@link entityKey} or {@link ownedKey} made for one. */
export function customerOf(key: string): string | undefined {
  return /^customer:([^:]+)/.exec(key)?.[1];
}

/** The names that a change of a row invalidates. */
export function invalidationOf({ table, entityId, customerId }: Notification): Invalidation {
  const changed = CACHED.find((one) => one.table === table);
  if (!changed) return { names: [], patterns: [] };
  const { name, noun } = changed;
  if (entityId === null) return { names: [name, ...(name === 'customers' ? CACHED.map((one) => one.name) : [])], patterns: [] };
  const owned = customerId === null || customerId === entityId ? [] : [ownedTag(customerId, name)];
  return { names: [`${noun}:${entityId}`, listsTag(name), ...owned], patterns: [] };
}
