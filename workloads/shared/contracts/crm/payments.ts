/** Payments of customers, which are transfers on the ledger (TMF676). */
import { z } from 'zod';
import { answers } from '../../kernel/http.ts';
import { PROBLEMS as KERNEL } from '../../kernel/problems.ts';
import { PROBLEMS as LEDGER } from '../ledger.ts';
import { currency, id, idParams, minorUnits, moment, resourceFields } from './common.ts';
import { PROBLEMS } from './problems.ts';
import { resourceRoutes } from './resource.ts';
import type { ResourceContract } from './resource.ts';
import { route } from './route.ts';
import { statesOf } from './states.ts';

const status = z.enum(statesOf('payment'));
const method = z.enum(['account', 'bankTransfer', 'card', 'cash', 'directDebit']);
const amountMinor = z.string().regex(/^[1-9]\d{0,17}$/, 'must be a whole number of minor units above 0, of at most 18 digits');

export const paymentView = z.object({
  ...resourceFields,
  customerId: id,
  invoiceId: id.nullable().describe('The invoice that it pays, as a whole or in part'),
  status,
  amountMinor: minorUnits,
  currency,
  method,
  errorType: z.string().nullable().describe('Why the ledger has rejected the payment, or its last refund: such as insufficient_funds'),
  transferId: id.nullable().describe('The transfer to the account of receipts'),
  settledAt: moment.nullable(),
  refundTransferId: id.nullable(),
  refundedAt: moment.nullable(),
});
export type Payment = z.output<typeof paymentView>;

export const newPayment = z.strictObject({
  customerId: id,
  invoiceId: id.nullable().optional(),
  amountMinor: amountMinor.describe('Minor units as text, such as "1250" for 12.50 EUR'),
  currency: currency.optional().describe("Default, and the only one possible: the customer's"),
  method: method.default('account'),
});

export const PAYMENTS = {
  family: 'payments',
  noun: 'payment',
  view: paymentView,
  create: newPayment,
  change: z.strictObject({ method }),
  filters: { status, customerId: id, invoiceId: id },
  sorts: ['createdAt', 'updatedAt'],
  problems: [PROBLEMS.invoice_not_payable, LEDGER.currency_mismatch],
} as const satisfies ResourceContract;

const one = '/api/v1/payments/:id';
const ids = { id: 'payment_id' };
const refusals = [
  PROBLEMS.resource_not_found,
  PROBLEMS.illegal_transition,
  PROBLEMS.payments_not_configured,
  KERNEL.database_unavailable,
] as const;
/** 202: the transfer is requested and will be completed or rejected; a client reads the payment to learn which. */
const requested = { 202: paymentView };

export const paymentRoutes = {
  ...resourceRoutes(PAYMENTS),
  process: route({
    name: 'processPayment',
    method: 'POST',
    url: `${one}/process`,
    scopes: ['payments:write'],
    ids,
    summary: 'Transfers the amount from the account of the customer to that of receipts, once; 202 while the outcome is unknown',
    schema: { params: idParams, response: { ...answers(200, paymentView, ...refusals, PROBLEMS.invoice_not_payable), ...requested } },
    idempotent: true,
  }),
  refund: route({
    name: 'refundPayment',
    method: 'POST',
    url: `${one}/refund`,
    scopes: ['payments:refund'],
    ids,
    summary: 'Transfers the amount back, once; 202 while the outcome is unknown',
    schema: { params: idParams, response: { ...answers(200, paymentView, ...refusals), ...requested } },
    idempotent: true,
  }),
};
