/** An invoice as a person reads it: what the page and the PDF show, with texts for amounts, dates and rates. Pure. */
import { daysOf, endOfMonth, taxSummary } from '../billing.ts';

/** Who issues invoices. */
export interface Issuer {
  name: string;
  /** Postal address by line. */
  address: readonly string[];
  /** Tax registration, such as a VAT number. */
  taxId: string;
  /** How to pay: bank, account and so on, by line. */
  payment: readonly string[];
}

/** The invoice, its customer and its lines as the database has them. Amounts are minor units as text, dates ISO. */
export interface InvoiceData {
  id: string;
  number: string | null;
  status: string;
  currency: string;
  periodStart: string;
  periodEnd: string;
  issueDate: string | null;
  dueDate: string | null;
  netMinor: string;
  taxMinor: string;
  totalMinor: string;
  paidMinor: string;
  customer: { id: string; name: string; address: readonly string[] };
  lines: readonly LineData[];
}

export interface LineData {
  description: string;
  quantity: number;
  unitMinor: string;
  netMinor: string;
  taxBasisPoints: number;
  taxMinor: string;
  periodStart: string | null;
  periodEnd: string | null;
}

export interface DocumentLine {
  description: string;
  /** The days that it charges; empty for a one-time price. */
  detail: string;
  quantity: string;
  unit: string;
  tax: string;
  net: string;
}

/** Texts of an invoice. */
export interface InvoiceDocument {
  issuer: Issuer;
  title: string;
  /** Undefined before it is issued. */
  number: string | undefined;
  /** What a draft, a voided or a settled invoice says about itself. */
  notice: 'Draft' | 'Void' | 'Paid' | undefined;
  customer: { name: string; address: readonly string[] };
  /** Label and value. */
  facts: readonly (readonly [string, string])[];
  /** By kind of charge; a section without lines is left out. */
  sections: readonly { title: string; lines: readonly DocumentLine[]; net: string }[];
  taxes: readonly { rate: string; net: string; tax: string }[];
  net: string;
  total: string;
  paid: string | undefined;
  due: { label: string; amount: string };
  payment: readonly string[];
  language: 'en';
  /** For the properties of the PDF: the day of issue, or the last day of the period. */
  date: string;
}

const DATE = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC' });
const SHORT_DATE = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric', timeZone: 'UTC' });

/** `1250` of EUR as `€12.50`. @param minor whole minor units; the currency says how many make a unit */
export function moneyText(minor: string | bigint, currency: string): string {
  const format = new Intl.NumberFormat('en-GB', { style: 'currency', currency });
  const digits = format.resolvedOptions().maximumFractionDigits ?? 0;
  const amount = BigInt(minor);
  const text = String(amount < 0n ? -amount : amount).padStart(digits + 1, '0');
  const decimal = digits === 0 ? text : `${text.slice(0, -digits)}.${text.slice(-digits)}`;
  // A decimal text is formatted exactly, whatever its length.
  return format.format(`${amount < 0n ? '-' : ''}${decimal}` as Intl.StringNumericLiteral);
}

const utc = (date: string): Date => new Date(`${date}T00:00:00Z`);
export const dateText = (date: string): string => DATE.format(utc(date));
/** `1900` as `19%`, `725` as `7.25%`. */
export const rateText = (basisPoints: number): string => `${basisPoints / 100}%`;

/** `1–31 Jan 2026`. */
function periodText(start: string, end: string): string {
  // The separator of a range of dates has thin spaces, which not every font has.
  return SHORT_DATE.formatRange(utc(start), utc(end)).replaceAll(/\s*–\s*/g, '–');
}

/** The days that a line charges, and their part of the month where it is not the whole one. */
function chargedText(start: string, end: string): string {
  const [days, month] = [daysOf({ start, end }), Number(endOfMonth(start).slice(8))];
  return days === month ? periodText(start, end) : `${periodText(start, end)}, ${days} of ${month} days`;
}

const NOTICES: Readonly<Record<string, InvoiceDocument['notice']>> = { new: 'Draft', validated: 'Draft', voided: 'Void', settled: 'Paid' };

function lineOf(line: LineData, currency: string): DocumentLine {
  const { description, quantity, unitMinor, netMinor, taxBasisPoints, periodStart, periodEnd } = line;
  return {
    description,
    detail: periodStart === null || periodEnd === null ? '' : chargedText(periodStart, periodEnd),
    quantity: String(quantity),
    unit: moneyText(unitMinor, currency),
    tax: rateText(taxBasisPoints),
    net: moneyText(netMinor, currency),
  };
}

function sectionsOf({ lines, currency }: InvoiceData): InvoiceDocument['sections'] {
  const kinds = [
    { title: 'Monthly charges', some: lines.filter(({ periodStart }) => periodStart !== null) },
    { title: 'One-time charges', some: lines.filter(({ periodStart }) => periodStart === null) },
  ];
  return kinds
    .filter(({ some }) => some.length > 0)
    .map(({ title, some }) => ({
      title,
      lines: some.map((line) => lineOf(line, currency)),
      net: moneyText(
        some.reduce((sum, { netMinor }) => sum + BigInt(netMinor), 0n),
        currency,
      ),
    }));
}

function factsOf({ id, number, issueDate, dueDate, periodStart, periodEnd, customer }: InvoiceData): [string, string][] {
  const facts: [string, string | undefined][] = [
    ['Date of issue', issueDate === null ? undefined : dateText(issueDate)],
    ['Billing period', periodText(periodStart, periodEnd)],
    ['Payment due', dueDate === null ? undefined : dateText(dueDate)],
    ['Customer', customer.id],
    // Before it is issued, an invoice has no number that it could be asked about by.
    ['Invoice', number === null ? id : undefined],
  ];
  return facts.filter((fact): fact is [string, string] => fact[1] !== undefined);
}

function dueOf({ status, totalMinor, paidMinor, dueDate, currency }: InvoiceData): InvoiceDocument['due'] {
  const rest = BigInt(totalMinor) - BigInt(paidMinor);
  const open = status === 'voided' || rest < 0n ? 0n : rest;
  const issued = status === 'sent' || status === 'partiallyPaid';
  return { label: issued && dueDate !== null ? `Due by ${dateText(dueDate)}` : 'Amount due', amount: moneyText(open, currency) };
}

/** Puts an invoice into words. */
export function documentOf(invoice: InvoiceData, issuer: Issuer): InvoiceDocument {
  const { number, status, currency, netMinor, totalMinor, paidMinor, customer } = invoice;
  const amounts = invoice.lines.map(({ taxBasisPoints, netMinor: net, taxMinor: tax }) => ({
    taxBasisPoints,
    netMinor: BigInt(net),
    taxMinor: BigInt(tax),
  }));
  return {
    issuer,
    title: 'Invoice',
    number: number ?? undefined,
    notice: NOTICES[status],
    customer: { name: customer.name, address: customer.address },
    facts: factsOf(invoice),
    sections: sectionsOf(invoice),
    taxes: taxSummary(amounts).map((group) => ({
      rate: rateText(group.taxBasisPoints),
      net: moneyText(group.netMinor, currency),
      tax: moneyText(group.taxMinor, currency),
    })),
    net: moneyText(netMinor, currency),
    total: moneyText(totalMinor, currency),
    paid: BigInt(paidMinor) === 0n ? undefined : moneyText(`-${paidMinor}`, currency),
    due: dueOf(invoice),
    payment: number === null ? issuer.payment : [...issuer.payment, `Payment reference: ${number}`],
    language: 'en',
    date: invoice.issueDate ?? invoice.periodEnd,
  };
}
