/** An order, its invoice and its payment through the gateway, as the demo and the end-to-end tests make them. */
import { randomUUID } from 'node:crypto';
import { readBody, type Gateway } from './platform.ts';

export interface Invoice {
  readonly id: string;
  readonly number: string;
  readonly status: string;
  readonly totalMinor: string;
  readonly currency: string;
}

export interface Payment {
  readonly id: string;
  readonly status: string;
  readonly transferId: string | null;
  readonly errorType: string | null;
}

/** What a customer has ordered, and the invoice that charges it. */
export interface Ordered {
  readonly customerId: string;
  readonly orderId: string;
  readonly invoice: Invoice;
}

/** @returns the body @throws Error when the answer is not a success */
export async function getJson<T>(gateway: Gateway, path: string): Promise<T> {
  return readBody<T>(await gateway.send(`/api/v1/${path}`));
}

/** Sends JSON with an idempotency key of its own. @returns the body @throws Error when the answer is not a success */
export async function postJson<T>(gateway: Gateway, path: string, body?: object): Promise<T> {
  const headers = { 'idempotency-key': randomUUID(), ...(body ? { 'content-type': 'application/json' } : {}) };
  return readBody<T>(await gateway.send(`/api/v1/${path}`, { method: 'POST', headers, ...(body ? { body: JSON.stringify(body) } : {}) }));
}

/** A customer orders a product, the order is fulfilled, and the days from the first of the month until today are invoiced. */
export async function orderAndInvoice(gateway: Gateway, customerId: string, productId: string): Promise<Ordered> {
  const { id: orderId } = await postJson<{ id: string }>(gateway, 'orders', { customerId });
  await postJson(gateway, `orders/${orderId}/items`, { productId });
  await postJson(gateway, `orders/${orderId}/submit`);
  await postJson(gateway, `orders/${orderId}/fulfil`);
  const periodEnd = new Date().toISOString().slice(0, 10);
  const period = { periodStart: `${periodEnd.slice(0, 8)}01`, periodEnd };
  const { id } = await postJson<Invoice>(gateway, 'invoices', { customerId, ...period });
  await postJson(gateway, `invoices/${id}/generate`);
  return { customerId, orderId, invoice: await postJson<Invoice>(gateway, `invoices/${id}/issue`) };
}

/** The customer gets the amount of the invoice from another account, and pays. @returns the payment as it was processed */
export async function pay(gateway: Gateway, { customerId, invoice }: Ordered): Promise<Payment> {
  const { totalMinor: amountMinor, currency, id: invoiceId } = invoice;
  const account = accountOf(customerId);
  const opened = { id: account, currency, productCode: 'current' };
  // Whoever has paid before has the account: the answer is the same.
  await postJson(gateway, 'accounts', opened);
  const payer = (await gateway.accounts(50)).find((one) => one.currency === currency && one.id.startsWith('acc-'));
  if (!payer) throw new Error(`the ledger has no account in ${currency} that could pay: set spec.seedAccounts`);
  await postJson(gateway, 'transfers', { fromAccount: payer.id, toAccount: account, amountMinor, currency });
  const { id } = await postJson<Payment>(gateway, 'payments', { customerId, invoiceId, amountMinor });
  return postJson<Payment>(gateway, `payments/${id}/process`);
}

/** The account of a customer in the ledger. */
export function accountOf(customerId: string): string {
  return `crm-${customerId}`;
}

/** Balance of an account that receives payments; 0 before the first payment opens it. @throws Error when the answer is neither 404 nor a success */
export async function receivedOn(gateway: Gateway, account: string): Promise<bigint> {
  const response = await gateway.send(`/api/v1/accounts/${account}/balance`);
  if (response.status === 404) return 0n;
  return BigInt((await readBody<{ balanceMinor: string }>(response)).balanceMinor);
}
