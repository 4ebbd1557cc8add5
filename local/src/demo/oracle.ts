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
  /** Convention by which days become a part of a year: `ACT/365F`, `ACT/360` or `30/360`. */
  readonly dayCount: string;
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
    const [accrued, daysPerYear] = counted(inForce.dayCount, days, valueDate);
    // The division is last: a half of a minor unit stays exact.
    this.#balances.set(accountId, balance.plus(balance.mul(inForce.rate).mul(accrued).div(daysPerYear).toDecimalPlaces(0)));
  }

  /** One line for each account whose balance is another: id, expected and actual. */
  wrong(actual: readonly { readonly id: string; readonly balance: string }[]): string[] {
    return actual.flatMap(({ id, balance }) => {
      const expected = this.#balances.get(id)?.toFixed(0);
      return expected === balance ? [] : [`${id}: expected ${expected}, is ${balance}`];
    });
  }
}

/** Days as the convention counts them, and its days of a year. */
function counted(dayCount: string, days: number, end: string): [days: number, daysPerYear: number] {
  if (dayCount === 'ACT/365F') return [days, 365];
  if (dayCount === 'ACT/360') return [days, 360];
  if (dayCount === '30/360') return [bondDays(days, end), 360];
  throw new Error(`no day-count convention: ${dayCount}`);
}

/** Days of whole months between the dates' months, the rest of the first month, and the begun part of the last one. */
function bondDays(days: number, end: string): number {
  const [endYear = 0, endMonth = 0, endDay = 0] = end.split('-').map(Number);
  const start = new Date(Date.parse(end) - days * 86_400_000).toISOString();
  const [startYear = 0, startMonth = 0, startDay = 0] = start.slice(0, 10).split('-').map(Number);
  // An end on the 31st is the first day of the next month, unless the first month has ended by its own 30th.
  const beyond = endDay === 31 && startDay < 30;
  const months = (endYear - startYear) * 12 + (endMonth + (beyond ? 1 : 0)) - startMonth - 1;
  return months * 30 + Math.max(0, 30 - startDay) + (beyond ? 1 : Math.min(30, endDay));
}
