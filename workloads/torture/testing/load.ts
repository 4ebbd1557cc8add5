/** The load of a round, which follows from its seed: transfers, transactions, reversals, holds and interest events; and what it must lead to. */
import assert from 'node:assert/strict';
import { randomUUIDv7 } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { random, type Random } from '../../ledger/testing/random.ts';
import type { InterestTransaction } from '../../shared/contracts/interest-transaction.ts';
import { externalIdOf } from '../../shared/contracts/transfers.ts';
import { recordOf } from '../../shared/testing/platform.ts';
import { waitFor } from '../../shared/testing/wait.ts';
import { call, Client, type Answer, type ClientFigures, type Operation } from './client.ts';
import { INTEREST_TOPIC } from './platform.ts';
import type { TorturePlatform } from './platform.ts';

const CLIENTS = 6;
const READ_PAUSE_MS = 20;
const PRODUCE_PAUSE_MS = 100;
const HOUR_MS = 3_600_000;

export interface Account {
  readonly id: string;
  readonly currency: string;
}

/** Amounts in minor units by account. */
export type Postings = Record<string, number>;

/** A transfer as its client was told. */
export interface EndedTransfer {
  readonly key: string;
  /** Undefined: rejected. */
  readonly id: string | undefined;
}

/** What the answers promise. */
export interface Promised {
  /** By external id, the postings of each accepted transaction. */
  readonly transactions: Map<string, Postings>;
  readonly transfers: EndedTransfer[];
  /** By external id, the states that a hold may have. */
  readonly holds: Map<string, readonly string[]>;
  /** Events that Kafka has acknowledged, and that the consumer must apply, in the order of each account. */
  readonly events: Map<string, InterestTransaction>;
  /** Ids of events that the consumer must reject. */
  readonly rejected: Set<string>;
}

export interface LoadFigures extends ClientFigures {
  events: number;
  /** Events that were produced again. */
  repeatedEvents: number;
  reads: number;
}

export class Load {
  readonly promised: Promised = { transactions: new Map(), transfers: [], holds: new Map(), events: new Map(), rejected: new Set() };
  readonly #platform: TorturePlatform;
  readonly #accounts: readonly Account[];
  /** Begins the ids of the round. */
  readonly #name: string;
  readonly #seed: number;
  readonly #clients: Client[];
  readonly #figures = { events: 0, repeatedEvents: 0, reads: 0 };
  readonly #serial = { value: 0 };
  #running = false;
  #loops: Promise<void>[] = [];
  /** Events without an acknowledgement. They are produced again before any others, in their order. */
  #unacknowledged: InterestTransaction[] = [];

  constructor(platform: TorturePlatform, accounts: readonly Account[], name: string, seed: number) {
    this.#platform = platform;
    this.#accounts = accounts;
    this.#name = name;
    this.#seed = seed;
    this.#clients = Array.from({ length: CLIENTS }, (_value, index) => {
      const numbers = random(seed + 1 + index);
      return new Client(platform, numbers, () => this.#operation(numbers));
    });
  }

  start(): void {
    this.#running = true;
    const running = (): boolean => this.#running;
    this.#loops = [
      ...this.#clients.map((client) => client.run(running)),
      this.#read(random(this.#seed + 100)),
      this.#produce(random(this.#seed + 200)),
    ];
    // A failed loop is reported by stop(): until then it is no unhandled rejection.
    for (const loop of this.#loops) loop.catch(() => undefined);
  }

  /** Final answers so far. */
  get answered(): number {
    return this.#clients.reduce((sum, { figures }) => sum + figures.accepted + figures.rejected, 0);
  }

  get figures(): LoadFigures {
    const sum = (key: keyof ClientFigures): number => this.#clients.reduce((total, { figures }) => total + figures[key], 0);
    const clients = { accepted: sum('accepted'), rejected: sum('rejected'), unanswered: sum('unanswered'), repeated: sum('repeated') };
    return { ...clients, ...this.#figures };
  }

  /** Ends the load once each operation has its final answer. */
  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#loops);
    await Promise.all(this.#clients.map((client) => client.settle()));
    await waitFor('the events to be acknowledged', () => this.#acknowledged());
  }

  /** Ends the load of a round that has failed, whatever has no answer. */
  abandon(): void {
    this.#running = false;
  }

  #externalId(): string {
    return `${this.#name}:${(this.#serial.value += 1)}`;
  }

  #currency(numbers: Random): string {
    return numbers.pick(['EUR', 'EUR', 'EUR', 'USD', 'GBP']);
  }

  /** Two accounts of a currency; rarely, one of them does not exist, or has another currency. */
  #pair(numbers: Random, currency: string): [string, string] {
    const candidates = this.#accounts.filter((account) => account.currency === currency);
    const from = numbers.pick(candidates).id;
    const to = numbers.pick(candidates.filter(({ id }) => id !== from)).id;
    const rare = numbers.below(60);
    if (rare === 0) return [from, 'nobody'];
    if (rare === 1) return [from, numbers.pick(this.#accounts.filter((account) => account.currency !== currency)).id];
    return [from, to];
  }

  /** Mostly small; sometimes more than any account has. */
  #amount(numbers: Random): number {
    return 1 + numbers.below(numbers.below(12) === 0 ? 900_000_000 : 3_000);
  }

  #operation(numbers: Random): Operation {
    const kind = numbers.below(20);
    if (kind < 11) return this.#transfer(numbers);
    if (kind < 15) return this.#post(numbers);
    return this.#hold(numbers);
  }

  #transfer(numbers: Random): Operation {
    const currency = this.#currency(numbers);
    const [fromAccount, toAccount] = this.#pair(numbers, currency);
    const amount = this.#amount(numbers);
    const key = this.#externalId();
    return {
      id: key,
      link: 'client>gateway',
      path: '/api/v1/transfers',
      body: { fromAccount, toAccount, amountMinor: String(amount), currency },
      headers: { 'idempotency-key': key },
      repeatable: () => true,
      ended: ({ status, body }) => {
        const id = status === 201 ? String(body['transferId']) : undefined;
        this.promised.transfers.push({ key, id });
        if (id !== undefined) this.promised.transactions.set(externalIdOf(id), { [fromAccount]: -amount, [toAccount]: amount });
        return undefined;
      },
    };
  }

  /** A transaction of up to four postings; a third of them are reversed. */
  #post(numbers: Random): Operation {
    const currency = this.#currency(numbers);
    const [from, to] = this.#pair(numbers, currency);
    const [amount, fee] = [this.#amount(numbers), numbers.below(50)];
    const postings: Postings = { [from]: -amount - fee, [to]: amount, ...(fee > 0 ? { [`bank.${currency}`]: fee } : {}) };
    const externalId = this.#externalId();
    const reversal = numbers.below(3) === 0 ? this.#externalId() : undefined;
    const lines = Object.entries(postings).map(([accountId, minor]) => ({ accountId, amountMinor: String(minor) }));
    return this.#ledger(externalId, '/api/v1/transactions', { externalId, currency, postings: lines }, ({ body }) => {
      this.promised.transactions.set(externalId, postings);
      return reversal === undefined ? undefined : this.#reverse(reversal, String(body['transactionId']), postings);
    });
  }

  #reverse(externalId: string, transactionId: string, postings: Postings): Operation {
    return this.#ledger(externalId, `/api/v1/transactions/${transactionId}/reversal`, { externalId }, () => {
      const opposite = Object.fromEntries(Object.entries(postings).map(([account, amount]) => [account, -amount]));
      this.promised.transactions.set(externalId, opposite);
      return undefined;
    });
  }

  /** A hold, which is settled, voided, left, or expires. */
  #hold(numbers: Random): Operation {
    const currency = this.#currency(numbers);
    const [accountId, toAccountId] = this.#pair(numbers, currency);
    const amount = this.#amount(numbers);
    const externalId = this.#externalId();
    const ending = numbers.pick(['settle', 'settle part', 'void', 'leave'] as const);
    const endingId = this.#externalId();
    const part = 1 + numbers.below(amount);
    const expiresInMs = numbers.pick([HOUR_MS, 500]);
    const body = {
      externalId,
      accountId,
      currency,
      amountMinor: String(amount),
      expiresAt: new Date(Date.now() + expiresInMs).toISOString(),
    };
    return this.#ledger(externalId, '/api/v1/holds', body, (answer) => {
      this.promised.holds.set(externalId, expiresInMs === HOUR_MS ? ['pending'] : ['pending', 'expired']);
      const hold = { externalId, id: String(answer.body['id']), accountId, toAccountId };
      if (ending === 'leave') return undefined;
      return ending === 'void' ? this.#void(endingId, hold) : this.#settle(endingId, hold, ending === 'settle' ? amount : part);
    });
  }

  #settle(externalId: string, hold: { externalId: string; id: string; accountId: string; toAccountId: string }, amount: number): Operation {
    const body = { externalId, toAccountId: hold.toAccountId, amountMinor: String(amount) };
    return this.#ledger(externalId, `/api/v1/holds/${hold.id}/settle`, body, () => {
      this.promised.transactions.set(externalId, { [hold.accountId]: -amount, [hold.toAccountId]: amount });
      this.promised.holds.set(hold.externalId, ['settled']);
      return undefined;
    });
  }

  #void(id: string, hold: { externalId: string; id: string }): Operation {
    return this.#ledger(id, `/api/v1/holds/${hold.id}/void`, undefined, () => {
      this.promised.holds.set(hold.externalId, ['voided']);
      return undefined;
    });
  }

  /** A request to the ledger. Its rejection leaves nothing. */
  #ledger(id: string, path: string, body: object | undefined, accepted: (answer: Answer) => Operation | undefined): Operation {
    return {
      id,
      link: 'client>ledger',
      path,
      body,
      repeatable: ({ status }) => status === 200,
      ended: (answer) => (answer.status === 200 ? accepted(answer) : undefined),
    };
  }

  /** Reads balances through the gateway: what the read model has answered does not go back. */
  async #read(numbers: Random): Promise<void> {
    const known = new Map<string, number>();
    while (this.#running) {
      const { id } = numbers.pick(this.#accounts);
      const answer = await call(this.#platform, { link: 'client>gateway', path: `/api/v1/accounts/${id}/balance`, body: undefined });
      const sequence = answer?.status === 200 ? answer.body['sequence'] : undefined;
      if (typeof sequence === 'number') {
        assert.ok(sequence >= (known.get(id) ?? 0), `the balance of ${id} goes back from ${known.get(id)} to ${sequence}`);
        known.set(id, sequence);
        this.#figures.reads += 1;
      }
      await pause(READ_PAUSE_MS);
    }
  }

  async #produce(numbers: Random): Promise<void> {
    while (this.#running) {
      if (await this.#acknowledged().catch(() => false)) {
        this.#unacknowledged = Array.from({ length: 5 + numbers.below(20) }, () => this.#event(numbers));
        if (numbers.below(10) === 0) this.#unacknowledged.push(this.#invalid(numbers));
      }
      await pause(PRODUCE_PAUSE_MS);
      if (numbers.below(4) === 0) await this.#produceAgain(numbers).catch(() => undefined);
    }
  }

  #event(numbers: Random): InterestTransaction {
    const { id: accountId, currency } = numbers.pick(this.#accounts);
    return { id: randomUUIDv7(), accountId, currency, days: 1 + numbers.below(366), valueDate: '2026-01-31' };
  }

  #invalid(numbers: Random): InterestTransaction {
    const event = { ...this.#event(numbers), accountId: 'nobody' };
    this.promised.rejected.add(event.id);
    return event;
  }

  /** Produces what is not acknowledged. Events whose acknowledgement was lost are in the topic twice. */
  async #acknowledged(): Promise<boolean> {
    const events = this.#unacknowledged;
    if (events.length === 0) return true;
    await this.#platform.producer.send(INTEREST_TOPIC, () => events.map((event) => recordOf(event)));
    for (const event of events) if (!this.promised.rejected.has(event.id)) this.promised.events.set(event.id, event);
    this.#figures.events += events.length;
    this.#unacknowledged = [];
    return true;
  }

  /** Produces earlier events again, the later ones first. */
  async #produceAgain(numbers: Random): Promise<void> {
    const earlier = [...this.promised.events.values()];
    if (earlier.length === 0) return;
    const chosen = Array.from({ length: 1 + numbers.below(10) }, () => numbers.below(earlier.length));
    const events = chosen.toSorted((one, other) => other - one).flatMap((index) => earlier[index] ?? []);
    await this.#platform.producer.send(INTEREST_TOPIC, () => events.map((event) => recordOf(event)));
    this.#figures.repeatedEvents += events.length;
  }
}
