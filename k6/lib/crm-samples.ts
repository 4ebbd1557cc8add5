/** Samples of the operations of crm, in the order of the daily flows. */
import type { Made, Sample, Step } from './samples.ts';

const API = '/api/v1';
const PERIOD = { periodStart: '2026-01-01', periodEnd: '2026-01-31' };
const unique = `smoke-${Date.now()}-${Math.floor(Math.random() * 1e6)}`;
let keys = 0;
const key = (): Record<string, string> => ({ 'idempotency-key': `${unique}-${(keys += 1)}` });

/** Creates a resource of a family. */
function create(family: string, keep: string, body: (made: Made) => object): Step {
  return [`POST ${API}/${family}`, (made) => ({ path: `${API}/${family}`, body: body(made), headers: key(), status: 201, keep })];
}

/** Reads and changes the resource that is kept under a name. */
function readAndChange(family: string, name: string, change: object): Step[] {
  const path = (made: Made): string => `${API}/${family}/${made.id(name)}`;
  return [
    [`GET ${API}/${family}`, () => ({ path: `${API}/${family}?limit=5`, status: 200 })],
    [`GET ${API}/${family}/{id}`, (made) => ({ path: path(made), status: 200, keep: name })],
    [`PATCH ${API}/${family}/{id}`, (made) => ({ path: path(made), body: change, headers: made.version(name), status: 200, keep: name })],
  ];
}

/** Deletes the resource that is kept under a name. */
function remove(family: string, name: string): Step {
  return [
    `DELETE ${API}/${family}/{id}`,
    (made) => ({ path: `${API}/${family}/${made.id(name)}`, headers: made.version(name), status: 204 }),
  ];
}

/** A request below a resource, such as an action. */
function below(method: string, family: string, name: string, rest: string, more: Omit<Sample, 'path'>): Step {
  const headers = method === 'POST' && more.body !== undefined ? { headers: key() } : {};
  return [
    `${method} ${API}/${family}/{id}/${rest}`,
    (made) => ({ path: `${API}/${family}/${made.id(name)}/${rest}`, ...headers, ...more }),
  ];
}

const product = (suffix: string) => () => ({
  code: `${unique}-${suffix}`,
  name: 'Fibre 500',
  category: 'broadband',
  status: 'launched',
  recurringMinor: '3100',
  oneTimeMinor: '5000',
});
const jane = () => ({ name: 'Jane Example', email: 'jane@example.com' });
const ofCustomer =
  (more: object = {}) =>
  (made: Made) => ({ customerId: made.id('customer'), ...more });
const address = { type: 'billing', line1: '1 Example Street', city: 'Example', postcode: '12345', country: 'DE' };
const switchedOff = ['payments_not_configured', 'illegal_transition'];

/** @param from account that pays the customer, so that the customer can pay */
export function crmSteps(from: string | undefined): Step[] {
  return [
    create('products', 'product', product('product')),
    ...readAndChange('products', 'product', { name: 'Fibre 1000' }),
    create('customers', 'customer', jane),
    ...readAndChange('customers', 'customer', { name: 'Jane Sample' }),
    [
      `PATCH ${API}/customers/{id}/status`,
      (made) => ({
        path: `${API}/customers/${made.id('customer')}/status`,
        body: { status: 'active' },
        headers: made.version('customer'),
        status: 200,
      }),
    ],
    [`GET ${API}/customers/summary`, () => ({ path: `${API}/customers/summary`, status: 200 })],
    below('POST', 'customers', 'customer', 'addresses', { body: address, status: 201 }),
    below('GET', 'customers', 'customer', 'addresses', { status: 200 }),
    create('orders', 'order', ofCustomer()),
    ...readAndChange('orders', 'order', { reference: 'PO-1' }),
    [
      `POST ${API}/orders/{id}/items`,
      (made) => ({
        path: `${API}/orders/${made.id('order')}/items`,
        body: { productId: made.id('product') },
        headers: key(),
        status: 201,
      }),
    ],
    below('POST', 'orders', 'order', 'submit', { status: 200 }),
    below('POST', 'orders', 'order', 'fulfil', { body: {}, status: 200 }),
    [`GET ${API}/orders/summary`, () => ({ path: `${API}/orders/summary`, status: 200 })],
    create('orders', 'other order', ofCustomer()),
    below('POST', 'orders', 'other order', 'cancel', { status: 200 }),
    create('orders', 'third order', ofCustomer()),
    remove('orders', 'third order'),
    create('subscriptions', 'subscription', (made) => ({ ...ofCustomer()(made), productId: made.id('product'), startDate: '2026-01-22' })),
    ...readAndChange('subscriptions', 'subscription', { quantity: 2 }),
    create('services', 'service', ofCustomer({ type: 'broadband' })),
    ...readAndChange('services', 'service', { status: 'designed' }),
    create('assets', 'asset', () => ({ type: 'router', model: 'Example 1', serialNumber: `${unique}-asset` })),
    ...readAndChange('assets', 'asset', { model: 'Example 2' }),
    below('GET', 'customers', 'customer', 'orders', { status: 200 }),
    below('GET', 'customers', 'customer', 'subscriptions', { status: 200 }),
    create('invoices', 'invoice', ofCustomer(PERIOD)),
    ...readAndChange('invoices', 'invoice', { periodEnd: '2026-12-31' }),
    below('POST', 'invoices', 'invoice', 'generate', { status: 200 }),
    below('POST', 'invoices', 'invoice', 'issue', { status: 200 }),
    below('GET', 'invoices', 'invoice', 'page', { status: 200 }),
    below('GET', 'invoices', 'invoice', 'pdf', { status: 200 }),
    below('GET', 'customers', 'customer', 'invoices', { status: 200 }),
    create('invoices', 'other invoice', ofCustomer(PERIOD)),
    below('POST', 'invoices', 'other invoice', 'void', { status: 200 }),
    create('invoices', 'third invoice', ofCustomer(PERIOD)),
    remove('invoices', 'third invoice'),
    ...(from === undefined ? [] : funds(from)),
    ...PAYMENTS,
    below('GET', 'customers', 'customer', 'export', { status: 200 }),
    [`GET ${API}/cache/statistics`, () => ({ path: `${API}/cache/statistics`, status: 200 })],
    [
      `POST ${API}/cache/invalidate`,
      (made) => ({ path: `${API}/cache/invalidate`, body: { customers: [made.id('customer')] }, status: 200 }),
    ],
    ...['assets', 'services', 'subscriptions'].map((family) => remove(family, family.slice(0, -1))),
    create('products', 'other product', product('other')),
    remove('products', 'other product'),
    create('customers', 'other customer', jane),
    remove('customers', 'other customer'),
    create('customers', 'erased customer', jane),
    below('POST', 'customers', 'erased customer', 'erase', { status: 200 }),
  ];
}

/** The customer gets an account with funds. */
function funds(from: string): Step[] {
  const account = (made: Made): string => `crm-${made.id('customer')}`;
  return [
    [
      `POST ${API}/accounts`,
      (made) => ({
        path: `${API}/accounts`,
        body: { id: account(made), currency: 'EUR', productCode: 'current' },
        headers: key(),
        status: 201,
      }),
    ],
    [
      `POST ${API}/transfers`,
      (made) => ({
        path: `${API}/transfers`,
        body: { fromAccount: from, toAccount: account(made), amountMinor: '1', currency: 'EUR' },
        headers: key(),
        status: 201,
      }),
    ],
  ];
}

/** The customer pays, and gets the payment back. */
const PAYMENTS: Step[] = [
  create('payments', 'payment', ofCustomer({ amountMinor: '1' })),
  ...readAndChange('payments', 'payment', { method: 'directDebit' }),
  below('POST', 'payments', 'payment', 'process', { status: 200, unless: switchedOff }),
  below('POST', 'payments', 'payment', 'refund', { status: 200, unless: switchedOff }),
  create('payments', 'other payment', ofCustomer({ amountMinor: '1' })),
  remove('payments', 'other payment'),
];
