/** What the systems of a telecom do all day: they read, and now and then sell, invoice and collect. */
import { fail, sleep } from 'k6';
import { accounts } from './accounts.ts';
import { field, send, type Answer } from './gateway.ts';
import { paymentsDone } from './metrics.ts';

const API = '/api/v1';
/** Active customers that are read and buy. */
const CUSTOMERS = 200;
/** Customers with an account and funds, who pay: one for each virtual user. */
const PAYERS = 10;
const FUNDS_MINOR = '1000';
const THINK_SECONDS = 0.1;
/** One iteration of so many sells. */
const SELL_EVERY = 5;

/** What the iterations use: made or found once, before the load. */
export interface Telecom {
  /** Ids of active customers. */
  readonly customers: readonly string[];
  /** Those of them who can pay. */
  readonly payers: readonly string[];
  /** A product with a price that is paid once. */
  readonly product: string;
}

interface Product {
  readonly id: string;
  readonly currency: string;
  readonly oneTimeMinor: string;
}

let sent = 0;
/** A key of its own for each request that creates something. */
const key = (): Record<string, string> => ({ 'idempotency-key': `flows-${Date.now()}-${__VU}-${(sent += 1)}-${Math.random()}` });
const pick = (ids: readonly string[]): string => ids[Math.floor(Math.random() * ids.length)] ?? '';

function get(path: string, name: string): Answer {
  return send({
    method: 'GET',
    path: `${API}/${path}`,
    name: `${API}/${name}`,
    expect: { 'status is 200': ({ status }) => status === 200 },
  }).answer;
}

/** @returns a field of the answer; undefined when its status is another one */
function post(path: string, name: string, status: number, body: object | undefined, wanted = 'id'): string | undefined {
  const expect = { [`status is ${status}`]: (answer: Answer) => answer.status === status };
  const { answer, ok } = send({ method: 'POST', path: `${API}/${path}`, name: `${API}/${name}`, body, headers: key(), expect });
  const value = ok ? field(answer, wanted) : undefined;
  return typeof value === 'string' ? value : undefined;
}

const itemsOf = <T>(answer: Answer): T[] => (field(answer, 'items') ?? []) as T[];

/** Finds customers and a product, and gives some customers funds. The run ends where the platform has none. */
export function telecom(): Telecom {
  const found = get(`customers?status=active&limit=${CUSTOMERS}`, 'customers');
  const customers = itemsOf<{ id: string; currency: string }>(found)
    .filter(({ currency }) => currency === 'EUR')
    .map(({ id }) => id);
  const products = itemsOf<Product>(get('products?status=launched&limit=100', 'products'));
  const product = products.find(({ currency, oneTimeMinor }) => currency === 'EUR' && Number(oneTimeMinor) > 0);
  if (customers.length === 0 || !product)
    fail(`the platform has no active customers, or no product with a price to pay once (${found.status}): enable spec.workloads.crm.seed`);
  const payers = customers.slice(0, PAYERS);
  fund(payers);
  return { customers, payers, product: product.id };
}

function fund(payers: readonly string[]): void {
  const from = accounts().find(({ currency, balanceMinor }) => currency === 'EUR' && Number(balanceMinor) > PAYERS * Number(FUNDS_MINOR));
  if (!from) fail('no account in EUR has the funds for the customers who pay');
  for (const payer of payers) {
    const account = `crm-${payer}`;
    post('accounts', 'accounts', 201, { id: account, currency: 'EUR', productCode: 'current' });
    const transfer = { fromAccount: from.id, toAccount: account, amountMinor: FUNDS_MINOR, currency: 'EUR' };
    if (post('transfers', 'transfers', 201, transfer, 'transferId') === undefined) fail('a customer cannot be given funds');
  }
}

/** One iteration of a virtual user. */
export function work({ customers, payers, product }: Telecom): void {
  const customer = pick(customers);
  get(`customers/${customer}`, 'customers/{id}');
  get(`customers/${customer}/invoices?limit=12`, 'customers/{id}/invoices');
  get('customers?limit=20', 'customers');
  get('orders/summary', 'orders/summary');
  // A customer of its own: an invoice charges every fulfilled order of its customer, also those of a flow beside it.
  if (Math.random() < 1 / SELL_EVERY) sell(payers[__VU % payers.length] ?? '', product);
  sleep(THINK_SECONDS);
}

/** Order, invoice and payment of one minor unit of it. A step that fails ends the flow. */
function sell(customerId: string, productId: string): void {
  const order = post('orders', 'orders', 201, { customerId });
  if (order === undefined || post(`orders/${order}/items`, 'orders/{id}/items', 201, { productId }) === undefined) return;
  if (post(`orders/${order}/submit`, 'orders/{id}/submit', 200, undefined) === undefined) return;
  if (post(`orders/${order}/fulfil`, 'orders/{id}/fulfil', 200, {}) === undefined) return;
  const today = new Date().toISOString().slice(0, 10);
  const invoiceId = post('invoices', 'invoices', 201, { customerId, periodStart: today, periodEnd: today });
  if (invoiceId === undefined || post(`invoices/${invoiceId}/generate`, 'invoices/{id}/generate', 200, undefined) === undefined) return;
  if (post(`invoices/${invoiceId}/issue`, 'invoices/{id}/issue', 200, undefined) === undefined) return;
  const payment = post('payments', 'payments', 201, { customerId, invoiceId, amountMinor: '1' });
  if (payment === undefined) return;
  const expect = { 'is done': (answer: Answer) => field(answer, 'status') === 'done' };
  const { ok } = send({ method: 'POST', path: `${API}/payments/${payment}/process`, name: `${API}/payments/{id}/process`, expect });
  paymentsDone.add(ok ? 1 : 0);
}
