/**
 * What the balances must be: every event of the topic in the order of its partition, one at a time, each id once. The calculation shares
 * nothing with the consumer: it is in decimals, where the consumer has whole numbers. Pure.
 */
import { Decimal } from 'decimal.js';

/** A customer account before its first event. */
export interface Opening {
  readonly id: string;
  readonly product: string;
  readonly currency: string;
  /** Minor units, a whole number. */
  readonly balance: string;
}

/** The annual rate of a product from a date, inclusive, to another, exclusive; null: without end. */
export interface ProductRate {
  readonly code: string;
  /** A decimal such as `0.0425`. */
  readonly rate: string;
  readonly from: string;
  readonly to: string | null;
}

export interface InterestEvent {
  readonly id: string;
  readonly accountId: string;
  readonly currency: string;
  readonly days: number;
  /** ISO date. */
  readonly valueDate: string;
}

const Exact = Decimal.clone({ precision: 60, rounding: Decimal.ROUND_HALF_EVEN });
const DAYS_A_YEAR = 365;

export class Oracle {
  readonly #balances: Map<string, Decimal>;
  readonly #accounts: Map<string, Opening>;
  readonly #rates: readonly ProductRate[];
  readonly #seen = new Set<string>();

  constructor(openings: readonly Opening[], rates: readonly ProductRate[]) {
    this.#balances = new Map(openings.map(({ id, balance }) => [id, new Exact(balance)]));
    this.#accounts = new Map(openings.map((opening) => [opening.id, opening]));
    this.#rates = rates;
  }

  /** Events that changed or confirmed a balance so far. */
  get applied(): number {
    return this.#seen.size;
  }

  /** An event that the consumer must reject changes nothing. Nor does one whose id was applied before. */
  apply({ id, accountId, currency, days, valueDate }: InterestEvent): void {
    const [balance, account] = [this.#balances.get(accountId), this.#accounts.get(accountId)];
    if (balance === undefined || account?.currency !== currency || this.#seen.has(id)) return;
    const inForce = this.#rates.find(
      ({ code, from, to }) => code === account.product && from <= valueDate && (to === null || valueDate < to),
    );
    if (inForce === undefined) return;
    this.#seen.add(id);
    this.#balances.set(accountId, balance.plus(balance.mul(inForce.rate).mul(days).div(DAYS_A_YEAR).toDecimalPlaces(0)));
  }

  /** One line for each account whose balance is another: id, expected and actual. */
  wrong(actual: readonly { readonly id: string; readonly balance: string }[]): string[] {
    return actual.flatMap(({ id, balance }) => {
      const expected = this.#balances.get(id)?.toFixed(0);
      return expected === balance ? [] : [`${id}: expected ${expected}, is ${balance}`];
    });
  }
}
