import type { InterestTransaction } from '../shared/contracts/interest-transaction.ts';
import { comparePositions, Rollback, transactionOutcome } from '../shared/kernel/consumer/effects.ts';
import type { Outcome } from '../shared/kernel/consumer/effects.ts';
import type { Slice } from '../shared/kernel/consumer/slice.ts';
import { isDuplicate } from '../shared/kernel/postgres.ts';
import type { Postgres, Queryable } from '../shared/kernel/postgres.ts';
import { calculate, contraAccounts } from './calculate.ts';
import type { AccountState, InterestEntry } from './calculate.ts';
import type { Rates } from './product-configs.ts';

type InterestSlice = Slice<InterestTransaction>;

/** Call 1 of 2: locks the positions, where a second owner of a partition waits, then the accounts in order of id, so that writers cannot deadlock. */
const READ = `
WITH position AS (
  SELECT partition, next_offset FROM consumer_offset
   WHERE consumer_group = $1 AND topic = $2 AND partition = ANY ($3::int[]) ORDER BY partition FOR UPDATE
), locked AS (
  SELECT id, currency, product_code, balance_minor FROM account WHERE id = ANY ($4::text[]) ORDER BY id FOR NO KEY UPDATE
)
SELECT 'position' AS kind, partition::text AS id, next_offset::text AS value, NULL AS currency, NULL AS product_code FROM position
UNION ALL SELECT 'rates', NULL, version::text, NULL, NULL FROM product_config_version
UNION ALL SELECT 'account', id, balance_minor::text, currency, product_code FROM locked
UNION ALL SELECT 'applied', t.id::text, NULL, NULL, NULL FROM unnest($5::uuid[]) AS e (id) JOIN journal_transaction t ON t.id = e.id`;

/** Call 2 of 2: journal, postings (which move the balances by trigger) and positions, all or nothing. */
const WRITE = `
WITH event AS (
  SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::date[])
    AS e (id, account_id, contra_id, currency, amount, value_date)
), journal AS (
  INSERT INTO journal_transaction (id, kind, currency, value_date) SELECT id, 'interest', currency, value_date FROM event
), postings AS (
  INSERT INTO posting (transaction_id, line, account_id, currency, amount_minor)
  SELECT id, line, CASE line WHEN 1 THEN account_id ELSE contra_id END, currency, CASE line WHEN 1 THEN amount ELSE -amount END
    FROM event CROSS JOIN (VALUES (1::smallint), (2::smallint)) AS l (line) WHERE amount <> 0
)
UPDATE consumer_offset o SET next_offset = p.next_offset, updated_at = now()
  FROM unnest($7::int[], $8::bigint[]) AS p (partition, next_offset)
 WHERE o.consumer_group = $9 AND o.topic = $10 AND o.partition = p.partition
RETURNING o.partition`;

type ReadRow = {
  kind: 'position' | 'account' | 'applied' | 'rates';
  id: string;
  value: string;
  currency: string;
  product_code: string | null;
};

/** Thrown inside the transaction, which is rolled back: the rates have another version in the database than in the cache. */
export class RatesChanged extends Error {
  override readonly name = 'RatesChanged';
}

/** The interest consumer's side of the ledger database. */
export class InterestStore {
  readonly #database: Postgres;
  readonly #group: string;
  readonly #topic: string;
  #searchJournal = false;

  constructor(database: Postgres, group: string, topic: string) {
    this.#database = database;
    this.#group = group;
    this.#topic = topic;
  }

  /**
   * Applies a slice in one transaction of two statements. Exactly once: the positions are locked, compared and moved in the transaction of the
   * effects, and the journal holds an event id once. Safe to repeat after any failure.
   *
   * Events that were applied before are rare. The journal is therefore searched for them only after it has refused a slice because of one, and
   * until a slice has none.
   * @throws RatesChanged when `rates` are not of the version that the database has
   */
  async apply(slice: InterestSlice, rates: Rates, observe: (seconds: number) => void): Promise<Outcome> {
    try {
      const outcome = await transactionOutcome(this.#database, (tx) => this.#applyIn(tx, slice, rates, observe));
      if (outcome.kind === 'applied' && outcome.duplicates === 0) this.#searchJournal = false;
      return outcome;
    } catch (error) {
      if (this.#searchJournal || !isDuplicate(error)) throw error;
      this.#searchJournal = true;
      return this.apply(slice, rates, observe);
    }
  }

  async #applyIn(tx: Queryable, slice: InterestSlice, rates: Rates, observe: (seconds: number) => void): Promise<Outcome> {
    const rows = await tx.query<ReadRow>('read balances', READ, this.#readValues(slice, this.#searchJournal));
    const { positions, accounts, applied, version } = sortRows(rows);
    comparePositions(slice, positions);
    if (version !== rates.version) throw new RatesChanged(`rates of version ${rates.version} are cached, and ${version} is in force`);
    const { entries, duplicates, rejected } = calculate(slice, accounts, applied, rates.lookup, observe);
    if (rejected > 0) throw new Rollback({ kind: 'rejected' });
    const written = await tx.query('write journal', WRITE, this.#writeValues(slice, entries));
    if (written.length !== slice.length) throw new Error(`moved ${written.length} of ${slice.length} positions`);
    return { kind: 'applied', events: entries.length, duplicates };
  }

  #readValues(slice: InterestSlice, searchJournal: boolean): unknown[] {
    const accounts = new Set<string>();
    const ids: string[] = [];
    for (const { partition, entries } of slice) {
      const contraIds = contraAccounts(partition);
      for (const { event, rejection } of entries) {
        if (!event || rejection) continue;
        accounts.add(event.accountId);
        accounts.add(contraIds(event.currency));
        if (searchJournal) ids.push(event.id);
      }
    }
    return [this.#group, this.#topic, slice.map(({ partition }) => partition), arrayText(accounts), arrayText(ids)];
  }

  #writeValues(slice: InterestSlice, entries: InterestEntry[]): unknown[] {
    return [
      arrayText(entries.map(({ event }) => event.id)),
      arrayText(entries.map(({ event }) => event.accountId)),
      arrayText(entries.map(({ contraId }) => contraId)),
      arrayText(entries.map(({ event }) => event.currency)),
      arrayText(entries.map(({ amountMinor }) => amountMinor.toString())),
      arrayText(entries.map(({ event }) => event.valueDate)),
      slice.map(({ partition }) => partition),
      arrayText(slice.map(({ next }) => next.toString())),
      this.#group,
      this.#topic,
    ];
  }
}

interface Sorted {
  positions: Map<number, bigint>;
  accounts: Map<string, AccountState>;
  applied: Set<string>;
  /** Of the rates. */
  version: bigint;
}

function sortRows(rows: ReadRow[]): Sorted {
  const sorted: Sorted = { positions: new Map(), accounts: new Map(), applied: new Set(), version: 0n };
  for (const { kind, id, value, currency, product_code: productCode } of rows) {
    if (kind === 'account') sorted.accounts.set(id, { currency, productCode, balanceMinor: BigInt(value) });
    else if (kind === 'position') sorted.positions.set(Number(id), BigInt(value));
    else if (kind === 'rates') sorted.version = BigInt(value);
    else sorted.applied.add(id);
  }
  return sorted;
}

/** A Postgres array literal. The values are UUIDs, integers, dates and checked identifiers; only "null" needs quotes, to be text. */
export function arrayText(values: Iterable<string>): string {
  return `{${[...values].map((value) => (/^null$/i.test(value) ? `"${value}"` : value)).join(',')}}`;
}
