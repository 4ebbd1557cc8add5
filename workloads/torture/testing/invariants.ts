/** What must hold once everything is drained, whatever has failed before. */
import assert from 'node:assert/strict';
import { Decimal } from 'decimal.js';
import { LedgerStore } from '../../ledger/store.ts';
import { compareTopic, CUSTOMER_POSTINGS } from '../../outbox-relay/testing/topic.ts';
import { differences } from '../../read-model/testing/differences.ts';
import type { LedgerEntry } from '../../shared/contracts/ledger-entry.ts';
import type { Promised } from './load.ts';
import { ENTRY_DLQ_TOPIC, ENTRY_TOPIC, INTEREST_DLQ_TOPIC, INTEREST_TOPIC } from './platform.ts';
import type { TorturePlatform } from './platform.ts';

const Exact = Decimal.clone({ precision: 60, rounding: Decimal.ROUND_HALF_EVEN });

/** What the state of the platform is made of, for the record. */
export interface StateFigures {
  transactions: number;
  postings: number;
  /** Messages of the ledger's entries, and those of them that came again. */
  entries: number;
  repeatedEntries: number;
  /** Records of the interest topic, and those of them whose event came before. */
  events: number;
  repeatedEvents: number;
}

/**
 * Verifies the state of the whole platform.
 * @param name begins the external ids of the round
 * @param round what the answers of this round promise
 * @param all the same of all rounds of this platform
 * @throws AssertionError that names what is wrong
 */
export async function verify(platform: TorturePlatform, name: string, round: Promised, all: Promised[]): Promise<StateFigures> {
  await ledgerAddsUp(platform);
  await transfersAreMadeOnce(platform, name, round);
  await transactionsAreThosePromised(platform, name, round);
  await holdsAreThosePromised(platform, name, round);
  const events = await interestIsAppliedOnce(platform, all);
  const topic = compareTopic(await platform.records(ENTRY_TOPIC), await platform.sql<LedgerEntry>(CUSTOMER_POSTINGS));
  assert.deepEqual(await platform.sql('SELECT FROM outbox UNION ALL SELECT FROM outbox_trace'), [], 'nothing is left in the outbox');
  assert.deepEqual(
    await differences(
      (text) => platform.sql(text),
      (text) => platform.sql(text, [], 'readmodel'),
    ),
    [],
    'the read model equals the ledger',
  );
  assert.equal((await platform.records(ENTRY_DLQ_TOPIC)).length, 0, 'no entry is a dead letter');
  const [counted] = await platform.sql<{ transactions: number; postings: number }>(
    'SELECT (SELECT count(*) FROM journal_transaction)::int AS transactions, (SELECT count(*) FROM posting)::int AS postings',
  );
  assert.ok(counted);
  return { ...counted, entries: topic.entries + topic.duplicates, repeatedEntries: topic.duplicates, ...events };
}

/** Money is conserved, balances are the sums of their postings, held amounts those of pending holds, and no account is below its limit. */
async function ledgerAddsUp(platform: TorturePlatform): Promise<void> {
  const check = await new LedgerStore({ query: (_name, text, values) => platform.sql(text, values) }).check();
  assert.ok(check.ok, JSON.stringify(check));
  const currencies = await platform.sql('SELECT currency FROM account GROUP BY currency HAVING sum(balance_minor) <> 0');
  assert.deepEqual(currencies, [], 'money is conserved in each currency');
  const short = await platform.sql(
    'SELECT id, held_minor FROM account WHERE held_minor < 0 OR balance_minor - held_minor < min_balance_minor',
  );
  assert.deepEqual(short, [], 'no account holds less than nothing, or is below its limit');
}

/** Each key is one transfer, with the id and the state that the client was told. */
async function transfersAreMadeOnce(platform: TorturePlatform, name: string, { transfers }: Promised): Promise<void> {
  const rows = await platform.sql<{ key: string; id: string; status: string }>(
    'SELECT idempotency_key AS key, id::text, status FROM transfer WHERE starts_with(idempotency_key, $1) ORDER BY 1',
    [`${name}:`],
    'orchestrator',
  );
  const told = transfers.map(({ key, id }) => ({ key, status: id === undefined ? 'rejected' : 'completed', id }));
  const found = rows.map(({ key, id, status }) => ({ key, status, id: status === 'completed' ? id : undefined }));
  assert.deepEqual(byText(found), byText(told), 'transfers by key');
}

/** The journal has each accepted transaction once, with its postings, and no other: a rejected request has left nothing. */
async function transactionsAreThosePromised(platform: TorturePlatform, name: string, { transactions }: Promised): Promise<void> {
  const rows = await platform.sql<{ id: string; postings: Record<string, number> }>(
    `SELECT t.external_id AS id, json_object_agg(p.account_id, p.amount_minor) AS postings
       FROM journal_transaction t JOIN posting p ON p.transaction_id = t.id
      WHERE starts_with(t.external_id, $1) OR t.external_id = ANY ($2::text[]) GROUP BY t.id`,
    [`${name}:`, [...transactions.keys()]],
  );
  const found = rows.map(({ id, postings }) => ({ id, postings: sorted(postings) }));
  const promised = [...transactions].map(([id, postings]) => ({ id, postings: sorted(postings) }));
  assert.deepEqual(byText(found), byText(promised), 'transactions by external id');
  const [transfers] = await platform.sql<{ posted: number }>(
    `SELECT count(*)::int AS posted FROM journal_transaction WHERE starts_with(external_id, 'transfer:')`,
  );
  const [completed] = await platform.sql<{ completed: number }>(
    `SELECT count(*)::int AS completed FROM transfer WHERE status = 'completed'`,
    [],
    'orchestrator',
  );
  assert.equal(transfers?.posted, completed?.completed, 'each transaction of a transfer belongs to a completed transfer');
}

async function holdsAreThosePromised(platform: TorturePlatform, name: string, { holds }: Promised): Promise<void> {
  const rows = await platform.sql<{ id: string; state: string }>(
    'SELECT external_id AS id, state FROM hold WHERE starts_with(external_id, $1)',
    [`${name}:`],
  );
  assert.deepEqual(rows.map(({ id }) => id).toSorted(), [...holds.keys()].toSorted(), 'holds by external id');
  const wrong = rows.filter(({ id, state }) => !holds.get(id)?.includes(state));
  assert.deepEqual(wrong, [], 'states of holds');
}

interface InterestPosting {
  id: string;
  account: string;
  sequence: number;
  amount: string;
  before: string;
  rate: string;
}

const INTEREST = `
SELECT t.id::text, p.account_id AS account, p.account_seq::float8 AS sequence, p.amount_minor::text AS amount,
       (p.balance_after_minor - p.amount_minor)::text AS before, c.annual_rate::text AS rate
  FROM journal_transaction t JOIN posting p ON p.transaction_id = t.id JOIN account a ON a.id = p.account_id
  JOIN product_config c ON c.code = a.product_code AND c.day_count = 'ACT/365F' AND daterange(c.valid_from, c.valid_to) @> t.value_date
 WHERE t.kind = 'interest' ORDER BY p.account_id, p.account_seq`;

/** Each acknowledged event is applied once, in the order of its account, with the exact amount; each invalid one is a dead letter. */
async function interestIsAppliedOnce(platform: TorturePlatform, all: Promised[]): Promise<{ events: number; repeatedEvents: number }> {
  const events = new Map(all.flatMap((promised) => [...promised.events]));
  const rejected = new Set(all.flatMap((promised) => [...promised.rejected]));
  const applied = await platform.sql<{ id: string }>(`SELECT id::text FROM journal_transaction WHERE kind = 'interest' ORDER BY id`);
  assert.deepEqual(
    applied.map(({ id }) => id),
    [...events.keys()].toSorted(),
    'sent and applied events',
  );
  const letters = new Set((await platform.records(INTEREST_DLQ_TOPIC)).map(({ value }) => idIn(value)));
  assert.deepEqual([...letters].toSorted(), [...rejected].toSorted(), 'rejected events and dead letters');

  const records = await platform.records(INTEREST_TOPIC);
  const places = new Map<string, number>();
  for (const [place, { value }] of records.entries()) if (!places.has(idIn(value))) places.set(idIn(value), place);
  let last: InterestPosting | undefined;
  for (const posting of await platform.sql<InterestPosting>(INTEREST)) {
    const days = events.get(posting.id)?.days ?? Number.NaN;
    const exact = new Exact(posting.before).mul(posting.rate).mul(days).div(365).toDecimalPlaces(0);
    assert.equal(posting.amount, exact.toFixed(0), `interest of event ${posting.id}`);
    const ordered = last?.account !== posting.account || (places.get(last.id) ?? 0) < (places.get(posting.id) ?? 0);
    assert.ok(ordered, `event ${posting.id} of account ${posting.account} is applied in the order of the topic`);
    last = posting;
  }
  return { events: records.length, repeatedEvents: records.length - places.size };
}

function idIn(value: Buffer | null): string {
  return (JSON.parse(String(value)) as { id: string }).id;
}

function sorted(postings: Record<string, number>): [string, number][] {
  return Object.entries(postings).toSorted(([one], [other]) => (one < other ? -1 : 1));
}

function byText<T extends object>(rows: T[]): T[] {
  const text = (row: T): string => JSON.stringify(row);
  return rows.toSorted((one, other) => (text(one) < text(other) ? -1 : 1));
}
