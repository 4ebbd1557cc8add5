/** One random run of the engine beside the model: every outcome and, after every step, the whole state must agree. */
import assert from 'node:assert/strict';
import { holdOperation, postOperation, reverseOperation, settleOperation, voidOperation } from '../operations.ts';
import type { Operation, Outcome } from '../operations.ts';
import type { LedgerDatabase } from './database.ts';
import { balanceOf, Model } from './model.ts';
import type { ModelOutcome } from './model.ts';
import { random, type Random } from './random.ts';

const STEPS = 12;
const CURRENCIES = ['EUR', 'USD'] as const;
const PAST = '2020-01-01T00:00:00Z';
const FUTURE = '2120-01-01T00:00:00Z';

/** What a run did, for the record. */
export interface RunFigures {
  operations: number;
  accepted: number;
  replayed: number;
  rejected: Record<string, number>;
}

type TestEngine = ReturnType<LedgerDatabase['engine']>;

/** A run's own accounts: their ids begin with its name, and its money never leaves them. */
class Run {
  readonly name: string;
  readonly model = new Model();
  readonly figures: RunFigures = { operations: 0, accepted: 0, replayed: 0, rejected: {} };
  readonly #random: Random;
  readonly #database: LedgerDatabase;
  readonly #engine: TestEngine;
  readonly #earlier: Operation[] = [];
  #externalIds = 0;

  constructor(name: string, seed: number, database: LedgerDatabase, engine: TestEngine) {
    this.name = name;
    this.#random = random(seed);
    this.#database = database;
    this.#engine = engine;
  }

  async go(): Promise<void> {
    await this.#openAccounts();
    for (let step = 0; step < STEPS; step++) {
      const kind = this.#random.below(10);
      if (kind === 0) await this.#close();
      else if (kind === 1) await this.#sweep();
      else await this.#batch();
      await this.compare();
    }
  }

  async #openAccounts(): Promise<void> {
    for (const currency of CURRENCIES) {
      await this.#open(`${currency}.bank`, currency, undefined);
      await this.#open(`${currency}.strict`, currency, 0n);
      await this.#open(`${currency}.overdraft`, currency, -500n);
      await this.#open(`${currency}.other`, currency, 0n);
      await this.#open(`${currency}.empty`, currency, 0n);
    }
  }

  async #open(id: string, currency: string, limit: bigint | undefined): Promise<void> {
    const minBalanceMinor = limit === undefined ? null : String(limit);
    const opened = await this.#database.store.open({ id: `${this.name}.${id}`, kind: 'internal', currency, minBalanceMinor });
    assert.ok('account' in opened);
    this.model.open(`${this.name}.${id}`, currency, limit);
  }

  async #close(): Promise<void> {
    const id = this.#random.pick([...this.model.accounts.keys()].filter((account) => !account.endsWith('bank')));
    const result = await this.#database.store.close(id);
    assert.equal('account' in result, this.model.close(id), `close ${id}`);
  }

  /** Of all runs in this database, so the count is at least the run's own. */
  async #sweep(): Promise<void> {
    assert.ok((await this.#database.store.expireHolds(500)) >= this.model.sweep());
  }

  async #batch(): Promise<void> {
    const operations = Array.from({ length: 1 + this.#random.below(30) }, () => this.#operation());
    const expected = operations.map((operation) => this.model.apply(operation));
    const callsBefore = this.#engine.calls();
    const outcomes = await this.#engine.engine.submitAll(operations);
    assert.equal(this.#engine.calls(), callsBefore + 1, 'the database refuses nothing that the call has accepted, which would be halved');
    for (const [index, operation] of operations.entries()) {
      const [outcome, want] = [outcomes[index], expected[index]];
      assert.deepEqual(plain(outcome), want, `operation ${index}: ${JSON.stringify(operation, bigints)}`);
      this.#count(want);
      this.#earlier.push(operation);
    }
  }

  #count(outcome: ModelOutcome | undefined): void {
    this.figures.operations += 1;
    if (typeof outcome === 'string') this.figures.rejected[outcome] = (this.figures.rejected[outcome] ?? 0) + 1;
    else if (outcome?.replayed) this.figures.replayed += 1;
    else this.figures.accepted += 1;
  }

  #operation(): Operation {
    const kind = this.#random.below(20);
    const earlier = this.#earlier.length > 0 && this.#random.pick(this.#earlier);
    // A client that repeats a request builds it again: the same content under another id of ours.
    if (kind === 0 && earlier) return { ...earlier, id: this.#post().id };
    if (kind === 1 && earlier && earlier.externalId !== undefined) return { ...this.#post(), externalId: earlier.externalId };
    if (kind < 5) return this.#hold();
    if (kind < 9) return this.#ending() ?? this.#post();
    if (kind < 11) return this.#reversal() ?? this.#post();
    return this.#post();
  }

  #externalId(): string {
    return `${this.name}:${(this.#externalIds += 1)}`;
  }

  #account(currency: string): string {
    const accounts = [...this.model.accounts].filter(([, account]) => account.currency === currency).map(([id]) => id);
    const rare = this.#random.below(60);
    if (rare === 0) return `${this.name}.nobody`;
    if (rare === 1) return this.#random.pick([...this.model.accounts.keys()]);
    return this.#random.pick(accounts);
  }

  /** Mostly around what the accounts hold, so that limits are met; sometimes as large as the API allows. */
  #amount(): bigint {
    if (this.#random.below(25) === 0) return 999_999_999_999_999_999n - BigInt(this.#random.below(5));
    return BigInt(1 + this.#random.below(this.#random.below(3) === 0 ? 2_000 : 200));
  }

  #post(): Operation {
    const currency = this.#random.pick(CURRENCIES);
    const payers = Array.from({ length: 1 + this.#random.below(3) }, () => ({ id: this.#account(currency), amount: this.#amount() }));
    const total = payers.reduce((sum, { amount }) => sum + amount, 0n);
    const lines = [{ id: this.#account(currency), amount: total }, ...payers.map(({ id, amount }) => ({ id, amount: -amount }))];
    const postings = lines.map(({ id, amount }) => ({ accountId: id, amountMinor: String(amount) }));
    return postOperation({ externalId: this.#externalId(), currency, postings });
  }

  #hold(): Operation {
    const currency = this.#random.pick(CURRENCIES);
    const expiry = this.#random.pick([{}, { expiresAt: FUTURE }, { expiresAt: PAST }]);
    const request = { externalId: this.#externalId(), accountId: this.#account(currency), currency, amountMinor: String(this.#amount()) };
    return holdOperation({ ...request, ...expiry });
  }

  #ending(): Operation | undefined {
    if (this.model.holds.size === 0) return undefined;
    const [id, { account: accountId, currency, amount: amountMinor }] = this.#random.pick([...this.model.holds]);
    const hold = { id, accountId, currency, amountMinor };
    if (this.#random.below(2) === 0) return voidOperation(hold);
    const part =
      this.#random.below(2) === 0 ? {} : { amountMinor: String(1n + (BigInt(this.#random.below(100)) * (amountMinor - 1n)) / 100n) };
    return settleOperation({ externalId: this.#externalId(), toAccountId: this.#account(currency), ...part }, hold);
  }

  #reversal(): Operation | undefined {
    const candidates = [...this.model.transactions].filter(([, { type }]) => type !== 'reverse');
    if (candidates.length === 0) return undefined;
    const [id, { currency, lines }] = this.#random.pick(candidates);
    return reverseOperation({ externalId: this.#externalId() }, { id, kind: 'transfer', currency, lines });
  }

  /** The database's accounts, postings, journal and holds of the run against the model's. */
  async compare(): Promise<void> {
    const rows = await this.#database.sql<StateRow>(STATE, [`${this.name}.`, `${this.name}/`]);
    for (const currency of CURRENCIES) {
      const own = rows.filter(({ id }) => this.model.accounts.get(id)?.currency === currency);
      const total = own.reduce((sum, { balance }) => sum + BigInt(balance), 0n);
      assert.equal(total, 0n, `${currency} is conserved`);
    }
    const expected = [...this.model.accounts].map(([id, account]) => ({
      id,
      closed: account.closed,
      balance: String(balanceOf(account)),
      summed: String(balanceOf(account)),
      held: String(account.held),
      holds: String(account.held),
      postings: account.postings.length,
      counted: account.postings.length,
      amounts: account.postings.map(({ amount }) => String(amount)),
      sequence: account.postings.map((_posting, index) => String(index + 1)),
      running: running(account.postings.map(({ amount }) => amount)),
    }));
    assert.deepEqual(
      rows,
      expected.toSorted((one, other) => (one.id < other.id ? -1 : 1)),
    );
    const [written] = await this.#database.sql<{ transactions: number; holds: number }>(WRITTEN, [`${this.name}:`, `${this.name};`]);
    assert.deepEqual(
      written,
      { transactions: this.model.transactions.size, holds: this.model.holds.size },
      'rejected requests leave nothing',
    );
  }
}

interface StateRow {
  id: string;
  balance: string;
}

/** Ids between two texts, in the order of bytes. */
const STATE = `
SELECT a.id, a.closed_at IS NOT NULL AS closed, a.balance_minor::text AS balance, coalesce(sum(p.amount_minor), 0)::text AS summed,
       a.held_minor::text AS held,
       (SELECT coalesce(sum(h.amount_minor), 0)::text FROM hold h WHERE h.account_id = a.id AND h.state = 'pending') AS holds,
       a.posting_count::int AS postings, count(p.*)::int AS counted,
       coalesce(array_agg(p.amount_minor::text ORDER BY p.account_seq) FILTER (WHERE p.line IS NOT NULL), '{}') AS amounts,
       coalesce(array_agg(p.account_seq::text ORDER BY p.account_seq) FILTER (WHERE p.line IS NOT NULL), '{}') AS sequence,
       coalesce(array_agg(p.balance_after_minor::text ORDER BY p.account_seq) FILTER (WHERE p.line IS NOT NULL), '{}') AS running
  FROM account a LEFT JOIN posting p ON p.account_id = a.id WHERE a.id >= $1 AND a.id < $2 GROUP BY a.id ORDER BY a.id`;
const WRITTEN = `
SELECT (SELECT count(*) FROM journal_transaction WHERE external_id >= $1 AND external_id < $2)::int AS transactions,
       (SELECT count(*) FROM hold WHERE external_id >= $1 AND external_id < $2)::int AS holds`;

function running(amounts: readonly bigint[]): string[] {
  let balance = 0n;
  return amounts.map((amount) => String((balance += amount)));
}

function plain(outcome: Outcome | undefined): ModelOutcome | undefined {
  if (outcome === undefined) return undefined;
  return outcome.errorType === undefined ? { id: outcome.id, replayed: outcome.replayed } : outcome.errorType;
}

const bigints = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value);

/** Runs one seed. @throws AssertionError when engine and model disagree, with the seed in its message */
export async function randomRun(seed: number, name: string, database: LedgerDatabase, engine: TestEngine): Promise<RunFigures> {
  const run = new Run(name, seed, database, engine);
  try {
    await run.go();
  } catch (error) {
    throw new Error(`LEDGER_SEED=${seed} fails: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
  return run.figures;
}
