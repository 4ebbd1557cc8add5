/** What invoices have beyond the standard routes: generation, issue, voiding, the page and the PDF. */
import { invoiceRoutes as routes, INVOICES } from '../shared/contracts/crm/invoices.ts';
import type { InvoiceLineView } from '../shared/contracts/crm/invoices.ts';
import { PROBLEMS } from '../shared/contracts/crm/problems.ts';
import { Problem } from '../shared/kernel/problems.ts';
import { answerWith, bind, existing, resourceHandlers } from './api.ts';
import type { Answer, Bound, Parts } from './api.ts';
import { addDays, totalsOf } from './billing.ts';
import { chargesOf, writeLines } from './charges.ts';
import { INVOICE } from './families.ts';
import type { Entity } from './family.ts';
import { documentOf } from './invoice/document.ts';
import type { InvoiceData, InvoiceDocument, Issuer } from './invoice/document.ts';
import { PAGE_HEADERS, pageOf } from './invoice/page.ts';
import { pdfOf } from './invoice/pdf.ts';
import { requireRange } from './orders.ts';
import type { Reads } from './reads.ts';
import type { Writing } from './records.ts';
import { requireTransition } from './states.ts';

/** Days from the issue to the day on which an invoice is due. */
const PAYMENT_DAYS = 14;
/** Addresses of a customer among which that of invoices is looked for. */
const ADDRESSES = 50;

/** Invoices of one customer are generated one after the other. Foreign keys to the customer do not wait for this lock. */
const LOCK_CUSTOMER = 'SELECT FROM customer WHERE id = $1 FOR NO KEY UPDATE';
const OWNER = 'SELECT customer_id::text AS "customerId" FROM invoice WHERE id = $1 AND deleted_at IS NULL';
const NEXT_NUMBER = `INSERT INTO invoice_counter AS c (year, last) VALUES ($1, 1) ON CONFLICT (year) DO UPDATE SET last = c.last + 1 RETURNING last::text`;
const UNFINISHED_PAYMENT = `SELECT FROM payment WHERE invoice_id = $1 AND deleted_at IS NULL AND status IN ('authorized', 'refunding') LIMIT 1`;

const today = (): string => new Date().toISOString().slice(0, 10);
const text = (entity: Entity, field: string): string => String(entity[field]);
const textOrNull = (entity: Entity, field: string): string | null => (entity[field] === null ? null : text(entity, field));

/** Locks customer and invoice, in this order. */
async function lockWithCustomer(writing: Writing, id: string): Promise<Entity> {
  const [owner] = await writing.query<{ customerId: string }>('read owner of invoice', OWNER, [id]);
  if (owner) await writing.query('lock customer', LOCK_CUSTOMER, [owner.customerId]);
  return writing.lock(INVOICE, id);
}

async function generate(writing: Writing, id: string): Promise<Entity> {
  const invoice = await lockWithCustomer(writing, id);
  requireTransition('invoice', text(invoice, 'status'), 'validated');
  const period = { start: text(invoice, 'periodStart'), end: text(invoice, 'periodEnd') };
  const billing = { invoiceId: id, customerId: text(invoice, 'customerId'), currency: text(invoice, 'currency'), period };
  const lines = await chargesOf(writing, billing);
  const { netMinor, taxMinor, totalMinor } = totalsOf(lines);
  requireRange(totalMinor);
  await writeLines(writing, id, lines);
  const totals = { netMinor: String(netMinor), taxMinor: String(taxMinor), totalMinor: String(totalMinor) };
  return writing.update(INVOICE, invoice, { ...totals, status: 'validated' }, 'generated');
}

async function issue(writing: Writing, id: string): Promise<Entity> {
  const invoice = await writing.lock(INVOICE, id);
  requireTransition('invoice', text(invoice, 'status'), 'sent');
  if (BigInt(text(invoice, 'totalMinor')) === 0n) throw new Problem(PROBLEMS.invoice_empty, 'There is nothing to charge in this period.');
  const issueDate = today();
  // Last, because every issue of the year waits for the one before.
  const [counter] = await writing.query<{ last: string }>('next invoice number', NEXT_NUMBER, [Number(issueDate.slice(0, 4))]);
  const number = `INV-${issueDate.slice(0, 4)}-${(counter?.last ?? '').padStart(6, '0')}`;
  const dueDate = textOrNull(invoice, 'dueDate') ?? addDays(issueDate, PAYMENT_DAYS);
  return writing.update(INVOICE, invoice, { status: 'sent', number, issueDate, dueDate }, 'issued');
}

async function voidInvoice(writing: Writing, id: string): Promise<Entity> {
  const invoice = await lockWithCustomer(writing, id);
  requireTransition('invoice', text(invoice, 'status'), 'voided');
  const payments = await writing.query('find payments in progress', UNFINISHED_PAYMENT, [id]);
  if (payments.length > 0) throw new Problem(PROBLEMS.resource_in_use, `A payment of invoice ${id} is in progress.`);
  return writing.update(INVOICE, invoice, { status: 'voided' }, 'voided');
}

const REGIONS = new Intl.DisplayNames('en', { type: 'region' });

/** Lines of a postal address. Pure. @param addresses of the customer; that of bills comes before the others */
export function postalAddress(addresses: readonly Entity[]): string[] {
  const address = addresses.find(({ type }) => type === 'billing') ?? addresses[0];
  if (!address) return [];
  const { line1, line2, postcode, city, region, country } = address;
  const lines = [line1, line2, [postcode, city].filter(Boolean).join(' '), region, REGIONS.of(String(country))];
  return lines.filter((line): line is string => typeof line === 'string' && line !== '');
}

/** An invoice as the page and the PDF need it. */
function dataOf(invoice: Entity, customer: { name: string; address: readonly string[] }): InvoiceData {
  return {
    id: invoice.id,
    number: textOrNull(invoice, 'number'),
    status: text(invoice, 'status'),
    currency: text(invoice, 'currency'),
    periodStart: text(invoice, 'periodStart'),
    periodEnd: text(invoice, 'periodEnd'),
    issueDate: textOrNull(invoice, 'issueDate'),
    dueDate: textOrNull(invoice, 'dueDate'),
    netMinor: text(invoice, 'netMinor'),
    taxMinor: text(invoice, 'taxMinor'),
    totalMinor: text(invoice, 'totalMinor'),
    paidMinor: text(invoice, 'paidMinor'),
    customer: { id: text(invoice, 'customerId'), ...customer },
    lines: invoice['lines'] as unknown as readonly InvoiceLineView[],
  };
}

async function documentFor(reads: Reads, issuer: Issuer, invoice: Entity): Promise<InvoiceDocument> {
  const customerId = text(invoice, 'customerId');
  const [customer, addresses] = await Promise.all([
    reads.get('customers', customerId),
    reads.ofCustomer(customerId, 'addresses', { limit: ADDRESSES }),
  ]);
  // A customer can be deleted once everything is paid: what remains of it is on the books.
  const name = customer ? text(customer, 'name') : 'Former customer';
  return documentOf(dataOf(invoice, { name, address: postalAddress(addresses.items) }), issuer);
}

export function invoiceHandlers(parts: Parts, issuer: Issuer): Bound[] {
  const { reads, records } = parts;
  const shown = async (id: string): Promise<InvoiceDocument> => documentFor(reads, issuer, await existing(reads, INVOICE, id));
  return [
    ...resourceHandlers(INVOICE, routes, INVOICES, parts),
    bind(routes.generate, async ({ params: { id } }, origin) =>
      answerWith(await records.write(origin, (writing) => generate(writing, id))),
    ),
    bind(routes.issue, async ({ params: { id } }, origin) => answerWith(await records.write(origin, (writing) => issue(writing, id)))),
    bind(routes.void, async ({ params: { id } }, origin) => answerWith(await records.write(origin, (writing) => voidInvoice(writing, id)))),
    bind(routes.page, async ({ params: { id } }): Promise<Answer> => ({ body: pageOf(await shown(id)), headers: PAGE_HEADERS })),
    bind(routes.pdf, async ({ params: { id } }): Promise<Answer> => {
      const body = await pdfOf(await shown(id));
      return { body, headers: { 'content-type': 'application/pdf', 'content-disposition': `inline; filename="invoice-${id}.pdf"` } };
    }),
  ];
}
