import { createHash } from 'node:crypto';
import type { Summary } from '../shared/contracts/crm/common.ts';
import type { Cache } from '../shared/kernel/cache/cache.ts';
import { cachedFamily, entityKey, listKey, ownedKey, summaryKey } from './cache-keys.ts';
import type { Entity, StoredFamily } from './family.ts';
import type { ListQuery, OwnedQuery, Page, Reads } from './reads.ts';

/** The families that a customer's screen shows. */
const WARMED = ['subscriptions', 'orders', 'invoices'] as const;
/** What the routes ask for by default. */
const FIRST_PAGE: OwnedQuery = { limit: 50 };
/** A longer query is a digest in its key. */
const LONGEST_QUERY = 120;

/** Reads through the cache. Families without invalidation are read from the database. */
export class CachedReads implements Reads {
  readonly #reads: Reads;
  readonly #cache: Pick<Cache, 'getOrLoad'>;

  constructor(reads: Reads, cache: Pick<Cache, 'getOrLoad'>) {
    this.#reads = reads;
    this.#cache = cache;
  }

  get(family: StoredFamily, id: string): Promise<Entity | undefined> {
    const load = () => this.#reads.get(family, id);
    const cached = cachedFamily(family);
    return cached ? this.#cache.getOrLoad(entityKey(cached, id.toLowerCase()), load) : load();
  }

  list(family: StoredFamily, query: ListQuery): Promise<Page> {
    const load = () => this.#reads.list(family, query);
    const cached = cachedFamily(family);
    if (!cached) return load();
    const { customerId } = query.filters;
    const text = queryText(query);
    // Only changes of this customer's resources change this list.
    const key = customerId === undefined ? listKey(cached, text) : ownedKey(cached, customerId.toLowerCase(), `list:${text}`);
    return this.#cache.getOrLoad(key, load);
  }

  summary(family: StoredFamily): Promise<Summary> {
    const load = () => this.#reads.summary(family);
    const cached = cachedFamily(family);
    return cached ? this.#cache.getOrLoad(summaryKey(cached), load) : load();
  }

  ofCustomer(customerId: string, family: StoredFamily, query: OwnedQuery): Promise<Page> {
    const load = () => this.#reads.ofCustomer(customerId, family, query);
    const cached = cachedFamily(family);
    if (!cached) return load();
    const text = queryText({ ...query, sort: '', filters: {} });
    return this.#cache.getOrLoad(ownedKey(cached, customerId.toLowerCase(), text), load);
  }

  /** Reads what a customer's screen shows, so that it is cached. @returns how many entries */
  async warmUpCustomerData(customerId: string, families: readonly StoredFamily[] = WARMED): Promise<number> {
    await this.get('customers', customerId);
    for (const family of families) await this.ofCustomer(customerId, family, FIRST_PAGE);
    return 1 + families.length;
  }
}

/** A query as a part of a key: equal queries have equal texts. */
function queryText({ limit, after = '', sort, filters }: ListQuery): string {
  const given = Object.entries(filters).toSorted(([one], [other]) => (one < other ? -1 : 1));
  const text = JSON.stringify([limit, sort, after, ...given]);
  return text.length <= LONGEST_QUERY ? text : createHash('sha256').update(text).digest('base64url');
}
