/** What the systems of a telecom do all day, in the order in which they do it: through the gateway, with a key, down to the ledger. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { PaymentPlatform } from '../crm/testing/payments.ts';
import { CrmClient } from '../crm/testing/platform.ts';
import type { CrmAnswer } from '../crm/testing/platform.ts';
import { customerAccount } from '../crm/payments/transfers.ts';

const LIMIT = { timeout: 120_000 };
const JANE = { name: 'Jane Example', email: 'jane@example.com' };

let platform: PaymentPlatform;
let api: CrmClient;

before(async () => {
  platform = await PaymentPlatform.start();
  api = (await platform.startGateway()).client;
}, LIMIT);
after(() => platform?.stop(), LIMIT);

type Row = Record<string, unknown>;

/** The body of an answer with the status that the flow expects. */
function ok(answer: CrmAnswer, status = 200): Row {
  assert.equal(answer.status, status, JSON.stringify(answer.body));
  return answer.body;
}

const created = async (path: string, body: object): Promise<Row> => ok(await api.post(path, body), 201);
const idOf = (row: Row): string => String(row['id']);
const act = (path: string): Promise<CrmAnswer> => api.send('POST', path);
const itemsOf = (row: Row): Row[] => row['items'] as Row[];

/** A product with a monthly price of 31 EUR, so that a day of a month of 31 days costs 1 EUR. */
const product = (code: string): Promise<Row> =>
  created('products', {
    code,
    name: 'Fibre 500',
    category: 'broadband',
    status: 'active',
    currency: 'EUR',
    recurringMinor: '3100',
    oneTimeMinor: '4999',
    taxBasisPoints: 1_900,
  });

test('customers: create, get, list, update, change of status, delete', LIMIT, async () => {
  const customer = await created('customers', JANE);
  const path = `customers/${idOf(customer)}`;
  const read = await api.get(path);
  assert.deepEqual(ok(read), customer);
  assert.deepEqual(itemsOf(ok(await api.get('customers?status=initialized&sort=-createdAt&limit=1'))), [customer]);
  const updated = await api.patch(path, { name: 'Jane Sample' }, read.etag);
  assert.equal(ok(updated)['name'], 'Jane Sample');
  const active = await api.send('PATCH', `${path}/status`, { body: { status: 'active' }, headers: { 'if-match': updated.etag } });
  assert.equal(ok(active)['status'], 'active');
  assert.equal((await api.remove(path, active.etag)).status, 204);
  assert.equal((await api.get(path)).body['code'], 'resource_not_found');
});

test('orders: create, items, submit, fulfil, get, list, summary', LIMIT, async () => {
  const [customerId, productId] = [idOf(await created('customers', JANE)), idOf(await product('order-flow'))];
  const earlier = ok(await api.get('orders/summary')) as { total: number };
  const id = idOf(await created('orders', { customerId, reference: 'PO-1' }));
  await created(`orders/${id}/items`, { productId, quantity: 2 });
  ok(await act(`orders/${id}/submit`));
  const fulfilled = ok(await api.post(`orders/${id}/fulfil`, {}));
  assert.deepEqual([fulfilled['status'], fulfilled['recurringMinor'], fulfilled['totalMinor']], ['completed', '6200', '9998']);
  assert.deepEqual(ok(await api.get(`orders/${id}`)), fulfilled);
  assert.deepEqual(itemsOf(ok(await api.get(`orders?customerId=${customerId}`))), [fulfilled]);
  assert.equal((ok(await api.get('orders/summary')) as { total: number }).total, earlier.total + 1);
  const subscriptions = itemsOf(ok(await api.get(`customers/${customerId}/subscriptions`)));
  assert.deepEqual(
    subscriptions.map((row) => [row['productId'], row['status']]),
    [[productId, 'active']],
  );
});

test('invoices: create, generate, get, issue', LIMIT, async () => {
  const [customerId, productId] = [idOf(await created('customers', JANE)), idOf(await product('invoice-flow'))];
  await created('subscriptions', { customerId, productId, status: 'active', startDate: '2026-01-22' });
  const id = idOf(await created('invoices', { customerId, periodStart: '2026-01-01', periodEnd: '2026-01-31' }));
  const generated = ok(await act(`invoices/${id}/generate`));
  // Ten days of January: 10.00 EUR, and 19 % of tax.
  assert.deepEqual([generated['netMinor'], generated['taxMinor'], generated['totalMinor']], ['1000', '190', '1190']);
  assert.deepEqual(ok(await api.get(`invoices/${id}`)), generated);
  const issued = ok(await act(`invoices/${id}/issue`));
  assert.match(String(issued['number']), /^INV-\d{4}-\d{6}$/);
});

test('payments: create, process, get; the ledger has moved the amount once, and the invoice is paid', LIMIT, async () => {
  const [customerId, productId] = [idOf(await created('customers', JANE)), idOf(await product('payment-flow'))];
  const account = customerAccount(customerId);
  ok(await api.post('accounts', { id: account, currency: 'EUR', productCode: 'current' }), 201);
  await platform.move('bank', account, 5_000);
  await created('subscriptions', { customerId, productId, status: 'active', startDate: '2026-01-01' });
  const invoiceId = idOf(await created('invoices', { customerId, periodStart: '2026-01-01', periodEnd: '2026-01-31' }));
  ok(await act(`invoices/${invoiceId}/generate`));
  ok(await act(`invoices/${invoiceId}/issue`));
  const id = idOf(await created('payments', { customerId, invoiceId, amountMinor: '3689' }));
  const processed = ok(await act(`payments/${id}/process`));
  assert.equal(processed['status'], 'done');
  assert.deepEqual(ok(await api.get(`payments/${id}`)), processed);
  assert.deepEqual(await platform.customersPostings(customerId), [5_000, -3_689]);
  const paid = ok(await api.get(`invoices/${invoiceId}`));
  assert.deepEqual([paid['status'], paid['paidMinor']], ['settled', '3689']);
});

test('no step of a flow is possible without a key', LIMIT, async () => {
  const stranger = new CrmClient(api.base, 'a-key-that-the-gateway-does-not-know-000');
  for (const family of ['customers', 'orders', 'invoices', 'payments']) {
    assert.deepEqual([(await stranger.get(family)).status, (await stranger.post(family, {})).status], [401, 401], family);
  }
});
