import { performance } from 'node:perf_hooks';
import type { InterestTransaction } from '../shared/contracts/interest-transaction.ts';
import type { Rejection } from '../shared/kernel/consumer/rejections.ts';
import type { Slice } from '../shared/kernel/consumer/slice.ts';
import { simpleInterest } from '../shared/kernel/money.ts';
import type { ScaledRate } from '../shared/kernel/money.ts';
import { countedDays, DAYS_PER_YEAR } from './day-count.ts';
import type { DayCount } from './day-count.ts';
import type { InterestRejection } from './rejections.ts';

/** Contra accounts per currency, see migration 002. */
const EXPENSE_SHARDS = 16;

/** An account as the bulk read returned it; a product code of null marks an internal account. */
export interface AccountState {
  currency: string;
  productCode: string | null;
  balanceMinor: bigint;
}

/** One journal transaction with its amount: + on the customer account, - on the contra account; zero has no postings. */
export interface InterestEntry {
  event: InterestTransaction;
  contraId: string;
  amountMinor: bigint;
}

/** Result of a slice. */
export interface Calculation {
  entries: InterestEntry[];
  /** Entries that were applied before, or that the slice holds twice. */
  duplicates: number;
  rejected: number;
}

/** An annual rate, and how days become a part of the year. */
export interface Rate {
  readonly rate: ScaledRate;
  readonly dayCount: DayCount;
}

/** The rate in force for a product on a date, or undefined. */
export type RateLookup = (productCode: string, date: string) => Rate | undefined;

/**
 * The account, by currency, that interest from a partition's events is booked against. Each currency has sixteen, so that consumers of
 * different partitions do not wait for each other's transactions.
 */
export function contraAccounts(partition: number): (currency: string) => string {
  const ids = new Map<string, string>();
  return (currency) => {
    let id = ids.get(currency);
    if (id === undefined) {
      id = `interest-expense.${currency}.${partition % EXPENSE_SHARDS}`;
      ids.set(currency, id);
    }
    return id;
  };
}

/**
 * Applies the events of a slice, in order, to the balances. Pure but for two marks: a rejected entry gets its reason,
 * and `accounts` holds the balances afterwards.
 * @param applied ids of events that the journal already has
 * @param observe called with the seconds of each calculation
 */
export function calculate(
  slice: Slice<InterestTransaction>,
  accounts: Map<string, AccountState>,
  applied: Set<string>,
  rate: RateLookup,
  observe: (seconds: number) => void = () => undefined,
): Calculation {
  const calculation: Calculation = { entries: [], duplicates: 0, rejected: 0 };
  const seen = new Set(applied);
  for (const { partition, entries } of slice) {
    const contraIds = contraAccounts(partition);
    for (const entry of entries) {
      if (!entry.event || entry.rejection) continue;
      if (seen.has(entry.event.id)) {
        calculation.duplicates += 1;
        continue;
      }
      const result = interestOn(entry.event, accounts, rate, observe);
      if (typeof result !== 'bigint') {
        entry.rejection = result;
        calculation.rejected += 1;
        continue;
      }
      seen.add(entry.event.id);
      calculation.entries.push({ event: entry.event, contraId: contraIds(entry.event.currency), amountMinor: result });
    }
  }
  return calculation;
}

function interestOn(
  event: InterestTransaction,
  accounts: Map<string, AccountState>,
  rate: RateLookup,
  observe: (seconds: number) => void,
): bigint | Rejection<InterestRejection> {
  const account = accounts.get(event.accountId);
  if (!account || account.productCode === null) return { code: 'unknown_account', detail: event.accountId };
  if (account.currency !== event.currency) {
    return { code: 'wrong_currency', detail: `event in ${event.currency}, account ${event.accountId} in ${account.currency}` };
  }
  const inForce = rate(account.productCode, event.valueDate);
  if (inForce === undefined) return { code: 'no_active_rate', detail: `${account.productCode} on ${event.valueDate}` };
  const startedAt = performance.now();
  const days = countedDays(inForce.dayCount, event.days, event.valueDate);
  const interest = simpleInterest(account.balanceMinor, inForce.rate, days, DAYS_PER_YEAR[inForce.dayCount]);
  account.balanceMinor += interest;
  observe((performance.now() - startedAt) / 1000);
  return interest;
}
