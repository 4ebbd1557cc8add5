/** Fills the database with generated customers, in blocks. */
import type { Logger } from '../../shared/kernel/log.ts';
import type { Postgres, Queryable } from '../../shared/kernel/postgres.ts';
import { CATALOGUE, CHOICES } from './catalogue.ts';
import { ADDRESSES, ANALYZE, COUNT_PRODUCTS, CUSTOMERS, INVOICES, ORDERS, PRODUCTS, SERVICES } from './statements.ts';
import { FAMILY_NAMES, GIVEN_NAMES, STREETS, TOWNS, TRADES } from './words.ts';

/** Customers of one transaction. A statement of more than 1,000 rows is one notification to the caches. */
const BLOCK = 2_000;

export interface Seed {
  customers: number;
  /** Another number makes other customers. */
  number: number;
  /** The first day of a month: everything has happened before it. */
  until: string;
}

/** The first day of the month of a moment in UTC. */
export function monthOf(now: Date): string {
  return `${now.toISOString().slice(0, 7)}-01`;
}

/** Numbers of the first and the last customer of each block. */
export function blocksOf(customers: number, size = BLOCK): [first: number, last: number][] {
  return Array.from({ length: Math.ceil(customers / size) }, (_block, index) => [
    index * size + 1,
    Math.min(customers, (index + 1) * size),
  ]);
}

/**
 * Adds the customers that are missing, each with its addresses, subscriptions, orders, services, assets and invoices in the same transaction: a run
 * that was interrupted continues. Rows that are there stay as they are.
 * @param database run as the owner of the tables
 * @returns the number of customers that were added
 * @throws Error when another product has a code of the catalogue
 */
export async function fill(database: Pick<Postgres, 'query' | 'transaction'>, seed: Seed, log: Logger): Promise<number> {
  await database.query('seed products', PRODUCTS, [JSON.stringify(CATALOGUE)]);
  const [products] = await database.query<{ count: number }>('count seed products', COUNT_PRODUCTS);
  if (products?.count !== CATALOGUE.length)
    throw new Error('products with a code of the catalogue are there: rename those that begin with "seed-"');
  let added = 0;
  for (const [first, last] of blocksOf(seed.customers)) {
    const written = await database.transaction((tx) => writeBlock(tx, seed, first, last));
    added += written;
    if (written > 0) log.info({ customers: last, of: seed.customers }, 'customers added');
  }
  if (added > 0) await database.query('analyze', ANALYZE);
  return added;
}

async function writeBlock(tx: Queryable, { number, until }: Seed, first: number, last: number): Promise<number> {
  const run = String(number);
  const names = [GIVEN_NAMES, FAMILY_NAMES, TRADES];
  const customers = await tx.query<{ id: string }>('seed customers', CUSTOMERS, [run, first, last, until, ...names]);
  if (customers.length === 0) return 0;
  const ids = customers.map(({ id }) => id);
  const { first: choice, ofOrganizations, second, third, devices } = CHOICES;
  await tx.query('seed addresses', ADDRESSES, [run, ids, STREETS, TOWNS]);
  await tx.query('seed orders', ORDERS, [run, ids, until, choice, ofOrganizations, second, third, devices]);
  await tx.query('seed services', SERVICES, [ids]);
  await tx.query('seed invoices', INVOICES, [run, ids, until]);
  return customers.length;
}
