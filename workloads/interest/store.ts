import type { InterestTransaction } from '../shared/contracts/interest-transaction.ts';
import { bigintArray, dateArray, textArray, uuidArray } from '../shared/kernel/binary-array.ts';
import { comparePositions, Rollback, transactionOutcome } from '../shared/kernel/consumer/effects.ts';
import type { Outcome } from '../shared/kernel/consumer/effects.ts';
import type { StoredPosition } from '../shared/kernel/consumer/placements.ts';
import type { Slice } from '../shared/kernel/consumer/slice.ts';
import { isDuplicate } from '../shared/kernel/postgres.ts';
import type { Postgres, Queryable } from '../shared/kernel/postgres.ts';
import { calculate, contraAccounts } from './calculate.ts';
import type { AccountState, InterestEntry } from './calculate.ts';
import { numberPostings } from './numbering.ts';
import type { AccountEnd, NumberedEntry } from './numbering.ts';
import type { Rates } from './product-configs.ts';

type InterestSlice = Slice<InterestTransaction>;

/**
 * Call 1 of 2: locks the positions, where a second owner of a partition waits, then the accounts in order of id, so that writers cannot deadlock.
 * The count makes the locks of the positions come first. One row: thousands of rows cost the driver more than long texts. Ids, currencies and numbers have no comma.
 */
const READ = `
WITH position AS (
  SELECT partition, next_offset, topic_id FROM consumer_offset
   WHERE consumer_group = $1 AND topic = $2 AND partition = ANY ($3::int[]) ORDER BY partition FOR UPDATE
), locked AS (
  SELECT id, currency, product_code, balance_minor, posting_count FROM unnest($4::text[]) AS w (wanted) JOIN account ON id = wanted
   WHERE (SELECT count(*) FROM position) > 0 ORDER BY id FOR NO KEY UPDATE OF account
)
SELECT (SELECT json_agg(json_build_array(partition, next_offset::text, topic_id)) FROM position) AS positions,
       (SELECT version::text FROM product_config_version) AS version,
       (SELECT json_agg(t.id) FROM unnest($5::uuid[]) AS e (id) JOIN journal_transaction t ON t.id = e.id) AS applied,
       a.ids, a.currencies, a.products, a.balances, a.postings
  FROM (SELECT string_agg(id, ',') AS ids, string_agg(currency, ',') AS currencies, json_agg(product_code) AS products,
               string_agg(balance_minor::text, ',') AS balances, string_agg(posting_count::text, ',') AS postings FROM locked) a`;

/**
 * Call 2 of 2: journal, postings (which continue the sequences of their accounts, and move the balances by trigger) and positions, or nothing.
 * In a SELECT list, arrays are unnested in step without a copy of each on the way.
 */
const WRITE = `
WITH event AS (
  SELECT unnest($1::uuid[]) AS id, unnest($2::text[]) AS account_id, unnest($3::text[]) AS contra_id, unnest($4::text[]) AS currency,
         unnest($5::bigint[]) AS amount, unnest($6::date[]) AS value_date, unnest($7::bigint[]) AS seq, unnest($8::bigint[]) AS balance,
         unnest($9::bigint[]) AS contra_seq, unnest($10::bigint[]) AS contra_balance
), journal AS (
  INSERT INTO journal_transaction (id, kind, currency, value_date) SELECT id, 'interest', currency, value_date FROM event
), postings AS (
  INSERT INTO posting (transaction_id, line, account_id, currency, amount_minor, account_seq, balance_after_minor)
  SELECT id, line, CASE line WHEN 1 THEN account_id ELSE contra_id END, currency, CASE line WHEN 1 THEN amount ELSE -amount END,
         CASE line WHEN 1 THEN seq ELSE contra_seq END, CASE line WHEN 1 THEN balance ELSE contra_balance END
    FROM event CROSS JOIN (VALUES (1::smallint), (2::smallint)) AS l (line) WHERE amount <> 0
)
UPDATE consumer_offset o SET next_offset = p.next_offset, updated_at = now()
  FROM unnest($11::int[], $12::bigint[]) AS p (partition, next_offset)
 WHERE o.consumer_group = $13 AND o.topic = $14 AND o.partition = p.partition
RETURNING o.partition`;

/** The one row of call 1. Lists are null when they are empty; those of accounts have the same order. */
interface ReadRow {
  positions: [partition: number, next: string, topicId: string | null][] | null;
  /** Of the rates; null: none. */
  version: string | null;
  /** Ids of events that the journal has. */
  applied: string[] | null;
  ids: string | null;
  currencies: string | null;
  products: (string | null)[] | null;
  balances: string | null;
  postings: string | null;
}

/** Thrown inside the transaction, which is rolled back: the rates have another version in the database than in the cache. */
export class RatesChanged extends Error {
  override readonly name = 'RatesChanged';
}

/** One attempt to apply a slice. */
interface Work {
  slice: InterestSlice;
  rates: Rates;
  observe: (seconds: number) => void;
  /** Whether the journal is searched for the events. */
  search: boolean;
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
   * until a slice has none. Several slices may be applied at a time.
   * @param search whether the journal is searched for this slice
   * @throws RatesChanged when `rates` are not of the version that the database has
   */
  async apply(slice: InterestSlice, rates: Rates, observe: (seconds: number) => void, search = this.#searchJournal): Promise<Outcome> {
    try {
      const work = { slice, rates, observe, search };
      const outcome = await transactionOutcome(this.#database, (tx) => this.#applyIn(tx, work));
      if (outcome.kind === 'applied' && outcome.duplicates === 0) this.#searchJournal = false;
      return outcome;
    } catch (error) {
      if (search || !isDuplicate(error)) throw error;
      this.#searchJournal = true;
      return this.apply(slice, rates, observe, true);
    }
  }

  async #applyIn(tx: Queryable, { slice, rates, observe, search }: Work): Promise<Outcome> {
    const [row] = await tx.query<ReadRow>('read balances', READ, this.#readValues(slice, search));
    if (!row) throw new Error('the ledger has no version of its rates');
    const positions = positionsOf(row);
    comparePositions(slice, positions);
    const version = BigInt(row.version ?? 0);
    if (version !== rates.version) throw new RatesChanged(`rates of version ${rates.version} are cached, and ${version} is in force`);
    const { accounts, ends } = accountsOf(row);
    const { entries, duplicates, rejected } = calculate(slice, accounts, new Set(row.applied), rates.lookup, observe);
    if (rejected > 0) throw new Rollback({ kind: 'rejected' });
    const written = await tx.query('write journal', WRITE, this.#writeValues(slice, entries, numberPostings(entries, ends)));
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
    return [this.#group, this.#topic, slice.map(({ partition }) => partition), textArray([...accounts]), uuidArray(ids)];
  }

  #writeValues(slice: InterestSlice, entries: InterestEntry[], numbers: NumberedEntry[]): unknown[] {
    return [
      uuidArray(entries.map(({ event }) => event.id)),
      textArray(entries.map(({ event }) => event.accountId)),
      textArray(entries.map(({ contraId }) => contraId)),
      textArray(entries.map(({ event }) => event.currency)),
      bigintArray(entries.map(({ amountMinor }) => amountMinor)),
      dateArray(entries.map(({ event }) => event.valueDate)),
      bigintArray(numbers.map(({ seq }) => BigInt(seq))),
      bigintArray(numbers.map(({ balanceMinor }) => balanceMinor)),
      bigintArray(numbers.map(({ contraSeq }) => BigInt(contraSeq))),
      bigintArray(numbers.map(({ contraBalanceMinor }) => contraBalanceMinor)),
      slice.map(({ partition }) => partition),
      bigintArray(slice.map(({ next }) => next)),
      this.#group,
      this.#topic,
    ];
  }
}

function positionsOf({ positions }: ReadRow): Map<number, StoredPosition> {
  return new Map((positions ?? []).map(([partition, next, topicId]) => [partition, { next: BigInt(next), topicId: topicId ?? undefined }]));
}

function accountsOf(row: ReadRow): { accounts: Map<string, AccountState>; ends: Map<string, AccountEnd> } {
  const listOf = (text: string | null): string[] => text?.split(',') ?? [];
  const [currencies, products, balances, postings] = [
    listOf(row.currencies),
    row.products ?? [],
    listOf(row.balances),
    listOf(row.postings),
  ];
  const accounts = new Map<string, AccountState>();
  const ends = new Map<string, AccountEnd>();
  for (const [index, id] of listOf(row.ids).entries()) {
    const balanceMinor = BigInt(balances[index] ?? 0);
    accounts.set(id, { currency: currencies[index] ?? '', productCode: products[index] ?? null, balanceMinor });
    ends.set(id, { postings: Number(postings[index]), balanceMinor });
  }
  return { accounts, ends };
}
