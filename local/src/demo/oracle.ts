/**
 * What the balances must be: every event of the topic in the order of its partition, one at a time, each id once. The calculation shares
 * nothing with the consumer, which works on batches in the database's own order. Pure.
 */

/** A customer account before its first event. */
export interface Opening {
  readonly id: string;
  readonly product: string;
  readonly currency: string;
  /** Minor units. */
  readonly balance: bigint;
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

const DAYS_A_YEAR = 365n;

export class Oracle {
  readonly #balances: Map<string, bigint>;
  readonly #accounts: Map<string, Opening>;
  readonly #rates: readonly ProductRate[];
  readonly #seen = new Set<string>();

  constructor(openings: readonly Opening[], rates: readonly ProductRate[]) {
    this.#balances = new Map(openings.map(({ id, balance }) => [id, balance]));
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
    this.#balances.set(accountId, balance + interest(balance, inForce.rate, days));
  }

  /** One line for each account whose balance is another: id, expected and actual. */
  wrong(actual: readonly { readonly id: string; readonly balance: bigint }[]): string[] {
    return actual.flatMap(({ id, balance }) => {
      const expected = this.#balances.get(id);
      return expected === balance ? [] : [`${id}: expected ${expected}, is ${balance}`];
    });
  }
}

/** balance x rate x days / 365, rounded half to even. */
function interest(balance: bigint, rate: string, days: number): bigint {
  const [whole = '', fraction = ''] = rate.split('.');
  const numerator = balance * BigInt(whole + fraction) * BigInt(days);
  const denominator = DAYS_A_YEAR * 10n ** BigInt(fraction.length);
  const [size, negative] = numerator < 0n ? [-numerator, true] : [numerator, false];
  const [quotient, twice] = [size / denominator, (size % denominator) * 2n];
  const up = twice > denominator || (twice === denominator && quotient % 2n === 1n);
  const rounded = up ? quotient + 1n : quotient;
  return negative ? -rounded : rounded;
}
