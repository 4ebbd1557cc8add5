/**
 * What an invoice charges: monthly prices in proportion to days, one-time prices, and taxes. Pure. Amounts are bigints of minor units. Every line is
 * rounded once, half to even, and totals are sums of rounded lines: what the invoice shows adds up.
 */
import { divideHalfEven } from '../shared/kernel/money.ts';

/** Days from the first to the last one, both included, as ISO dates. */
export interface Period {
  start: string;
  end: string;
}

/** A subscription as billing needs it. */
export interface BilledSubscription {
  id: string;
  product: string;
  quantity: number;
  /** Price of a month for each of the quantity. */
  recurringMinor: bigint;
  taxBasisPoints: number;
  startDate: string;
  /** Last day; null: it goes on. */
  endDate: string | null;
  /** Periods that other invoices charge. */
  invoiced: readonly Period[];
}

/** A fulfilled item of an order that no other invoice charges. */
export interface BilledItem {
  orderId: string;
  orderLine: number;
  product: string;
  quantity: number;
  /** Price of each of the quantity. */
  oneTimeMinor: bigint;
  taxBasisPoints: number;
}

export interface InvoiceLine {
  description: string;
  subscriptionId: string | null;
  orderId: string | null;
  orderLine: number | null;
  quantity: number;
  /** A whole month's price, or the one-time price. */
  unitMinor: bigint;
  netMinor: bigint;
  taxBasisPoints: number;
  taxMinor: bigint;
  /** Days that the line charges; null for a one-time price. */
  period: Period | null;
}

export interface Totals {
  netMinor: bigint;
  taxMinor: bigint;
  totalMinor: bigint;
}

const DAY_MS = 86_400_000;
const WHOLE = 10_000n;

const dayOf = (date: string): number => Date.parse(`${date}T00:00:00Z`) / DAY_MS;
const dateOf = (day: number): string => new Date(day * DAY_MS).toISOString().slice(0, 10);

/** The date some days later. */
export const addDays = (date: string, days: number): string => dateOf(dayOf(date) + days);

/** Days of a period, both ends included. */
export const daysOf = ({ start, end }: Period): number => dayOf(end) - dayOf(start) + 1;

/** The last day of a date's month. */
export function endOfMonth(date: string): string {
  const [year = 0, month = 0] = date.split('-').map(Number);
  return dateOf(Date.UTC(year, month, 0) / DAY_MS);
}

/** The days that both periods have. */
export function intersection(one: Period, other: Period): Period | undefined {
  const start = one.start > other.start ? one.start : other.start;
  const end = one.end < other.end ? one.end : other.end;
  return start <= end ? { start, end } : undefined;
}

/** What remains of a period without others, in order. */
export function without(period: Period, taken: readonly Period[]): Period[] {
  return taken.reduce<Period[]>((rest, other) => rest.flatMap((part) => cut(part, other)), [period]);
}

function cut(period: Period, other: Period): Period[] {
  const common = intersection(period, other);
  if (!common) return [period];
  const before = { start: period.start, end: addDays(common.start, -1) };
  const after = { start: addDays(common.end, 1), end: period.end };
  return [before, after].filter(({ start, end }) => start <= end);
}

/** A period by calendar months. */
export function byMonth({ start, end }: Period): Period[] {
  const months: Period[] = [];
  for (let from = start; from <= end;) {
    const last = endOfMonth(from);
    months.push({ start: from, end: last < end ? last : end });
    from = addDays(last, 1);
  }
  return months;
}

/** A monthly price in proportion to the days of a period within one month: actual days over the days of that month. */
export function prorated(monthlyMinor: bigint, period: Period): bigint {
  const monthDays = Number(endOfMonth(period.start).slice(8));
  return divideHalfEven(monthlyMinor * BigInt(daysOf(period)), BigInt(monthDays));
}

/** @param basisPoints hundredths of a percent: 1900 is 19 % */
export function taxOf(netMinor: bigint, basisPoints: number): bigint {
  return divideHalfEven(netMinor * BigInt(basisPoints), WHOLE);
}

function recurringLines(subscription: BilledSubscription, period: Period): InvoiceLine[] {
  const { id, product, quantity, recurringMinor, taxBasisPoints, startDate, endDate, invoiced } = subscription;
  const used = intersection(period, { start: startDate, end: endDate ?? period.end });
  if (!used || recurringMinor === 0n) return [];
  return without(used, invoiced)
    .flatMap(byMonth)
    .map((part) => {
      const netMinor = prorated(recurringMinor * BigInt(quantity), part);
      const taxMinor = taxOf(netMinor, taxBasisPoints);
      const source = { subscriptionId: id, orderId: null, orderLine: null };
      return { description: product, ...source, quantity, unitMinor: recurringMinor, netMinor, taxBasisPoints, taxMinor, period: part };
    });
}

function oneTimeLine({ orderId, orderLine, product, quantity, oneTimeMinor, taxBasisPoints }: BilledItem): InvoiceLine {
  const netMinor = oneTimeMinor * BigInt(quantity);
  const taxMinor = taxOf(netMinor, taxBasisPoints);
  const source = { subscriptionId: null, orderId, orderLine };
  return { description: product, ...source, quantity, unitMinor: oneTimeMinor, netMinor, taxBasisPoints, taxMinor, period: null };
}

/** The lines of an invoice: subscriptions first, each by month, then one-time prices. Days that another invoice charges are left out. */
export function invoiceLines(
  period: Period,
  subscriptions: readonly BilledSubscription[],
  items: readonly BilledItem[],
): readonly InvoiceLine[] {
  const recurring = subscriptions.flatMap((subscription) => recurringLines(subscription, period));
  return [...recurring, ...items.filter(({ oneTimeMinor }) => oneTimeMinor > 0n).map(oneTimeLine)];
}

type Amounts = Pick<InvoiceLine, 'netMinor' | 'taxMinor'>;

export function totalsOf(lines: readonly Amounts[]): Totals {
  const netMinor = lines.reduce((sum, line) => sum + line.netMinor, 0n);
  const taxMinor = lines.reduce((sum, line) => sum + line.taxMinor, 0n);
  return { netMinor, taxMinor, totalMinor: netMinor + taxMinor };
}

/** Totals by tax rate, the highest rate first. */
export function taxSummary(lines: readonly (Amounts & { taxBasisPoints: number })[]): (Totals & { taxBasisPoints: number })[] {
  const rates = Map.groupBy(lines, ({ taxBasisPoints }) => taxBasisPoints);
  return [...rates].toSorted(([one], [other]) => other - one).map(([taxBasisPoints, ofRate]) => ({ taxBasisPoints, ...totalsOf(ofRate) }));
}

/** The state of an issued invoice by what has been paid. */
export function paidState(totalMinor: bigint, paidMinor: bigint): 'sent' | 'partiallyPaid' | 'settled' {
  if (paidMinor >= totalMinor) return 'settled';
  return paidMinor > 0n ? 'partiallyPaid' : 'sent';
}
