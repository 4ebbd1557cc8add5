import { scaleRate } from '../shared/kernel/money.ts';
import type { Queryable } from '../shared/kernel/postgres.ts';
import type { Rate, RateLookup } from './calculate.ts';
import { dayCountOf } from './day-count.ts';

/** Entries of the cache `product-configs` expire after this time. */
const TTL_MS = 10 * 60_000;

/** The rates of one version. The database counts a version for each change of a rate. */
export interface Rates {
  version: bigint;
  lookup: RateLookup;
}

/** A rate and the dates (ISO, end exclusive) between which it is in force. */
interface ProductConfig extends Rate {
  validFrom: string;
  validTo: string | null;
}

type ConfigRow = { version: string } & (
  | { code: null; annual_rate: null; day_count: null; valid_from: null; valid_to: null }
  | { code: string; annual_rate: string; day_count: string; valid_from: string; valid_to: string | null }
);

/**
 * The in-process cache `product-configs`: all products' rates, read in one statement, for ten minutes, or until a transaction finds another
 * version of them in the database.
 */
export class ProductConfigs {
  readonly #database: Queryable;
  readonly #now: () => number;
  #configs = new Map<string, ProductConfig[]>();
  #version = 0n;
  #expiresAt = 0;

  constructor(database: Queryable, now: () => number = Date.now) {
    this.#database = database;
    this.#now = now;
  }

  /** The lookup `findActiveConfig` for one batch, at most ten minutes old, and its version. */
  async lookup(): Promise<Rates> {
    if (this.#now() >= this.#expiresAt) await this.#load();
    const [configs, version] = [this.#configs, this.#version];
    const lookup: RateLookup = (productCode, date) =>
      configs.get(productCode)?.find(({ validFrom, validTo }) => validFrom <= date && (validTo === null || date < validTo));
    return { version, lookup };
  }

  /** As {@link lookup}, but read from the database now. */
  async reload(): Promise<Rates> {
    await this.#load();
    return this.lookup();
  }

  async #load(): Promise<void> {
    const rows = await this.#database.query<ConfigRow>(
      'load product configs',
      `SELECT v.version::text, c.code, c.annual_rate::text, c.day_count, c.valid_from::text, c.valid_to::text
         FROM product_config_version v LEFT JOIN product_config c ON true ORDER BY c.code, c.valid_from DESC`,
    );
    const configs = new Map<string, ProductConfig[]>();
    for (const row of rows) {
      // Without any product, the version comes in a row of its own.
      if (row.code === null) continue;
      const periods = configs.get(row.code) ?? [];
      const terms = { rate: scaleRate(row.annual_rate), dayCount: dayCountOf(row.day_count) };
      periods.push({ ...terms, validFrom: row.valid_from, validTo: row.valid_to });
      configs.set(row.code, periods);
    }
    this.#configs = configs;
    this.#version = BigInt(rows[0]?.version ?? 0);
    this.#expiresAt = this.#now() + TTL_MS;
  }
}
