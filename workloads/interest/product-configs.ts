import { scaleRate } from '../shared/kernel/money.ts';
import type { ScaledRate } from '../shared/kernel/money.ts';
import type { Queryable } from '../shared/kernel/postgres.ts';
import type { RateLookup } from './calculate.ts';

/** Entries of the cache `product-configs` expire after this time. */
const TTL_MS = 10 * 60_000;

/** A rate and the dates (ISO, end exclusive) between which it is in force. */
interface ProductConfig {
  rate: ScaledRate;
  validFrom: string;
  validTo: string | null;
}

/** The in-process cache `product-configs`: all products' rates, read in one statement, for ten minutes. */
export class ProductConfigs {
  readonly #database: Queryable;
  readonly #now: () => number;
  #configs = new Map<string, ProductConfig[]>();
  #expiresAt = 0;

  constructor(database: Queryable, now: () => number = Date.now) {
    this.#database = database;
    this.#now = now;
  }

  /** The lookup `findActiveConfig` for one batch, at most ten minutes old. */
  async lookup(): Promise<RateLookup> {
    if (this.#now() >= this.#expiresAt) await this.#load();
    const configs = this.#configs;
    return (productCode, date) =>
      configs.get(productCode)?.find(({ validFrom, validTo }) => validFrom <= date && (validTo === null || date < validTo))?.rate;
  }

  /** As {@link lookup}, but read from the database now. */
  async reload(): Promise<RateLookup> {
    await this.#load();
    return this.lookup();
  }

  async #load(): Promise<void> {
    const rows = await this.#database.query<{ code: string; annual_rate: string; valid_from: string; valid_to: string | null }>(
      'load product configs',
      'SELECT code, annual_rate::text, valid_from::text, valid_to::text FROM product_config ORDER BY code, valid_from DESC',
    );
    const configs = new Map<string, ProductConfig[]>();
    for (const { code, annual_rate, valid_from, valid_to } of rows) {
      const versions = configs.get(code) ?? [];
      versions.push({ rate: scaleRate(annual_rate), validFrom: valid_from, validTo: valid_to });
      configs.set(code, versions);
    }
    this.#configs = configs;
    this.#expiresAt = this.#now() + TTL_MS;
  }
}
