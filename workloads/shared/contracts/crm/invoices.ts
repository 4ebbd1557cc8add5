/** Invoices: what a customer owes for a period (TMF678, customer bill). */
import { z } from 'zod';
import { answers } from '../../kernel/http.ts';
import { PROBLEMS as KERNEL } from '../../kernel/problems.ts';
import type { ProblemDefinition } from '../../kernel/problems.ts';
import { changesOf, currency, date, id, idParams, minorUnits, resourceFields, taxBasisPoints } from './common.ts';
import { PROBLEMS } from './problems.ts';
import { resourceRoutes } from './resource.ts';
import type { ResourceContract } from './resource.ts';
import { route } from './route.ts';
import { statesOf } from './states.ts';

const status = z.enum(statesOf('invoice'));

export const invoiceLine = z.object({
  line: z.int(),
  description: z.string(),
  subscriptionId: id.nullable(),
  orderId: id.nullable(),
  orderLine: z.int().nullable(),
  quantity: z.int(),
  unitMinor: minorUnits.describe('Price of a whole month, or the one-time price'),
  netMinor: minorUnits.describe('In proportion to the days of the month, rounded half to even'),
  taxBasisPoints,
  taxMinor: minorUnits.describe('Rounded half to even'),
  periodStart: date.nullable().describe('First day that is charged; null for a one-time price'),
  periodEnd: date.nullable(),
});
export type InvoiceLineView = z.output<typeof invoiceLine>;

export const invoiceView = z.object({
  ...resourceFields,
  customerId: id,
  number: z.string().nullable().describe('Numbers of a year have no gaps; null before the invoice is issued'),
  status,
  currency,
  periodStart: date,
  periodEnd: date,
  issueDate: date.nullable(),
  dueDate: date.nullable(),
  netMinor: minorUnits,
  taxMinor: minorUnits,
  totalMinor: minorUnits,
  paidMinor: minorUnits.describe('Settled payments less refunds'),
  lines: z.array(invoiceLine),
});
export type Invoice = z.output<typeof invoiceView>;

export const newInvoice = z.strictObject({
  customerId: id,
  periodStart: date.describe('First day'),
  periodEnd: date.describe('Last day; at most a year after the first one'),
  dueDate: date.nullable().optional().describe('Default: 14 days after the issue'),
});

const changes = changesOf({ periodStart: date, periodEnd: date, dueDate: date.nullable() });

export const INVOICES = {
  family: 'invoices',
  noun: 'invoice',
  view: invoiceView,
  create: newInvoice,
  change: changes,
  filters: { status, customerId: id },
  sorts: ['createdAt', 'updatedAt', 'periodStart'],
} as const satisfies ResourceContract;

const one = '/api/v1/invoices/:id';
const ids = { id: 'invoice_id' };
const read = ['invoices:read'] as const;
const write = ['invoices:write'] as const;
const refusals = [PROBLEMS.resource_not_found, PROBLEMS.illegal_transition, KERNEL.database_unavailable] as const;

const action = <const N extends string>(name: N, verb: string, summary: string, ...problems: ProblemDefinition[]) =>
  route({
    name,
    method: 'POST',
    url: `${one}/${verb}`,
    scopes: write,
    ids,
    summary,
    schema: { params: idParams, response: answers(200, invoiceView, ...refusals, ...problems) },
    idempotent: true,
  });

/** An answer that is no JSON. */
const file = (contentType: string, description: string) => ({
  ...answers(200, z.any(), PROBLEMS.resource_not_found, KERNEL.database_unavailable),
  200: { description, content: { [contentType]: { schema: z.any() } } },
});

export const invoiceRoutes = {
  ...resourceRoutes(INVOICES),
  generate: action(
    'generateInvoice',
    'generate',
    'Generates the lines from subscriptions and fulfilled orders; what another invoice charges is left out',
    PROBLEMS.amount_out_of_range,
  ),
  issue: action('issueInvoice', 'issue', 'Issues an invoice: it gets its number, and can be paid', PROBLEMS.invoice_empty),
  void: action('voidInvoice', 'void', 'Voids an invoice: what it charges can be invoiced again', PROBLEMS.resource_in_use),
  page: route({
    name: 'getInvoicePage',
    method: 'GET',
    url: `${one}/page`,
    scopes: read,
    ids,
    summary: 'The invoice as a page to read and to print',
    schema: { params: idParams, response: file('text/html', 'A page of A4 format, complete in itself') },
    idempotent: true,
    contentType: 'text/html',
  }),
  pdf: route({
    name: 'getInvoicePdf',
    method: 'GET',
    url: `${one}/pdf`,
    scopes: read,
    ids,
    summary: 'The invoice as a PDF',
    schema: { params: idParams, response: file('application/pdf', 'A PDF of A4 pages') },
    idempotent: true,
    contentType: 'application/pdf',
  }),
};
