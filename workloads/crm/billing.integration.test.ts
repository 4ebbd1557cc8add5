/** Orders and invoices through the API of the service, with a real database behind PgBouncer. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { addDays, endOfMonth } from './billing.ts';
import { CRM_KEY, CrmPlatform } from './testing/platform.ts';
import type { CrmAnswer, CrmClient } from './testing/platform.ts';

const LIMIT = { timeout: 120_000 };
let platform: CrmPlatform;
let api: CrmClient;

before(async () => {
  platform = await CrmPlatform.start();
  api = (await platform.crm()).client;
}, LIMIT);
after(() => platform?.stop(), LIMIT);

type Row = Record<string, unknown>;
const codeOf = ({ status, body }: CrmAnswer): unknown[] => [status, body['code']];
const idOf = ({ body }: CrmAnswer): string => String(body['id']);
const refused = (answer: CrmAnswer): unknown[] => [...codeOf(answer), answer.body['allowed']];
/** A fulfilment has an idempotency key, the other actions have none. */
const act = (path: string, body: object = {}): Promise<CrmAnswer> =>
  path.endsWith('/fulfil') ? api.post(path, body) : api.send('POST', path);

async function created(path: string, body: object): Promise<string> {
  const answer = await api.post(path, body);
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  return idOf(answer);
}

async function done(path: string, body?: object): Promise<Row> {
  const answer = await act(path, body);
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  return answer.body;
}

let codes = 0;
function product(change: object = {}): Promise<string> {
  const base = { code: `product-${(codes += 1)}`, name: 'Fibre 500', category: 'broadband', status: 'active', currency: 'EUR' };
  return created('products', { ...base, recurringMinor: '3100', oneTimeMinor: '4999', taxBasisPoints: 1_900, ...change });
}

const customer = (): Promise<string> => created('customers', { name: 'Jane Example' });

/** A submitted order of some products. */
async function ordered(customerId: string, products: readonly string[]): Promise<string> {
  const id = await created('orders', { customerId });
  for (const productId of products) await created(`orders/${id}/items`, { productId });
  await done(`orders/${id}/submit`);
  return id;
}

/** A subscription that has been used since the first day of a period. */
async function subscribed(customerId: string, productId: string, startDate: string): Promise<string> {
  return created('subscriptions', { customerId, productId, status: 'active', startDate });
}

const JANUARY = { periodStart: '2026-01-01', periodEnd: '2026-01-31' };
const linesOf = (invoice: Row): Row[] => invoice['lines'] as Row[];

test('an order is created, read and listed, and the summary counts it', LIMIT, async () => {
  const earlier = (await api.get('orders/summary')).body as { total: number; byStatus: Record<string, number> };
  const customerId = await customer();
  const order = await api.post('orders', { customerId, reference: 'PO-1' });
  assert.deepEqual([order.status, order.body['status'], order.body['currency'], order.body['items']], [201, 'draft', 'EUR', []]);
  assert.deepEqual((await api.get(`orders/${idOf(order)}`)).body, order.body);
  const list = (await api.get(`orders?customerId=${customerId}`)).body as { items: Row[] };
  assert.deepEqual(list.items, [order.body]);
  assert.deepEqual((await api.get(`customers/${customerId}/orders`)).body['items'], [order.body]);
  const later = (await api.get('orders/summary')).body as typeof earlier;
  assert.deepEqual([later.total, later.byStatus['draft']], [earlier.total + 1, (earlier.byStatus['draft'] ?? 0) + 1]);
});

test('items take the prices of their products, each once for its key', LIMIT, async () => {
  const [customerId, productId] = [await customer(), await product()];
  const id = await created('orders', { customerId });
  const answers = await Promise.all(
    Array.from({ length: 5 }, () => api.post(`orders/${id}/items`, { productId, quantity: 2 }, 'one-item')),
  );
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [201]);
  const order = (await api.get(`orders/${id}`)).body;
  const [item, ...others] = order['items'] as Row[];
  assert.deepEqual([others, order['totalMinor'], order['recurringMinor']], [[], '9998', '6200']);
  assert.deepEqual([item?.['line'], item?.['productId'], item?.['quantity'], item?.['oneTimeMinor']], [1, productId, 2, '4999']);
  const read = await api.get(`products/${productId}`);
  await api.patch(`products/${productId}`, { oneTimeMinor: '1' }, read.etag);
  assert.equal((await api.get(`orders/${id}`)).body['totalMinor'], '9998', 'the agreed price stays');
});

test('what is not offered cannot be ordered', LIMIT, async () => {
  const id = await created('orders', { customerId: await customer() });
  const add = async (productId: string, quantity = 1) => codeOf(await api.post(`orders/${id}/items`, { productId, quantity }));
  assert.deepEqual(await add(await product({ status: 'inStudy' })), [422, 'product_not_offered']);
  assert.deepEqual(await add(await product({ currency: 'USD' })), [422, 'product_not_offered']);
  assert.deepEqual(await add('019a0000-0000-7000-8000-000000000001'), [422, 'reference_not_found']);
  assert.deepEqual(await add(await product({ oneTimeMinor: '999999999999999999' }), 2), [422, 'amount_out_of_range']);
  assert.deepEqual(codeOf(await act(`orders/${id}/submit`)), [422, 'order_empty']);
});

test('a submitted order is fulfilled by item: monthly prices become subscriptions', LIMIT, async () => {
  const customerId = await customer();
  const order = await ordered(customerId, [await product(), await product({ recurringMinor: '0' })]);
  assert.deepEqual(refused(await api.post(`orders/${order}/items`, { productId: await product() })), [
    409,
    'illegal_transition',
    ['inProgress', 'completed', 'cancelled'],
  ]);
  const begun = await done(`orders/${order}/fulfil`, { items: [1] });
  assert.equal(begun['status'], 'inProgress');
  const subscriptions = (await api.get(`customers/${customerId}/subscriptions`)).body['items'] as Row[];
  assert.deepEqual(
    subscriptions.map(({ status, recurringMinor, orderId }) => [status, recurringMinor, orderId]),
    [['active', '3100', order]],
  );
  assert.deepEqual(codeOf(await act(`orders/${order}/fulfil`, { items: [1] })), [422, 'item_not_open']);
  const completed = await done(`orders/${order}/fulfil`);
  assert.equal(completed['status'], 'completed');
  const items = completed['items'] as Row[];
  assert.deepEqual(
    items.map(({ subscriptionId, fulfilledAt }) => [subscriptionId, typeof fulfilledAt]),
    [
      [subscriptions[0]?.['id'], 'string'],
      [null, 'string'],
    ],
  );
  for (const action of ['submit', 'fulfil', 'cancel'])
    assert.deepEqual(refused(await act(`orders/${order}/${action}`)), [409, 'illegal_transition', []]);
  const { etag } = await api.get(`orders/${order}`);
  assert.deepEqual(codeOf(await api.remove(`orders/${order}`, etag)), [409, 'resource_in_use']);
});

test('a cancelled order that was fulfilled in part is partial', LIMIT, async () => {
  const customerId = await customer();
  const whole = await ordered(customerId, [await product()]);
  assert.equal((await done(`orders/${whole}/cancel`))['status'], 'cancelled');
  assert.deepEqual(refused(await act(`orders/${whole}/cancel`)), [409, 'illegal_transition', []]);
  const part = await ordered(customerId, [await product(), await product()]);
  await done(`orders/${part}/fulfil`, { items: [2] });
  assert.equal((await done(`orders/${part}/cancel`))['status'], 'partial');
  assert.deepEqual(refused(await act(`orders/${part}/cancel`)), [409, 'illegal_transition', []]);
});

test('an invoice is created, generated and read: it charges the days that are used, and what was fulfilled', LIMIT, async () => {
  const customerId = await customer();
  const today = new Date().toISOString().slice(0, 10);
  const [periodStart, periodEnd] = [`${today.slice(0, 8)}01`, endOfMonth(today)];
  await subscribed(customerId, await product({ name: 'Mobile L', oneTimeMinor: '0' }), '2025-05-05');
  await done(`orders/${await ordered(customerId, [await product({ recurringMinor: '0', name: 'Router', taxBasisPoints: 700 })])}/fulfil`);
  const invoice = await api.post('invoices', { customerId, periodStart, periodEnd });
  assert.deepEqual([invoice.status, invoice.body['status'], invoice.body['totalMinor'], invoice.body['lines']], [201, 'new', '0', []]);
  const generated = await done(`invoices/${idOf(invoice)}/generate`);
  assert.deepEqual(
    linesOf(generated).map(({ description, netMinor, taxMinor, periodStart: start, periodEnd: end }) => [
      description,
      netMinor,
      taxMinor,
      start,
      end,
    ]),
    [
      ['Mobile L', '3100', '589', periodStart, periodEnd],
      ['Router', '4999', '350', null, null],
    ],
  );
  assert.deepEqual(
    [generated['status'], generated['netMinor'], generated['taxMinor'], generated['totalMinor']],
    ['validated', '8099', '939', '9038'],
  );
  assert.deepEqual((await api.get(`invoices/${idOf(invoice)}`)).body, generated);
  assert.deepEqual((await api.get(`customers/${customerId}/invoices`)).body['items'], [generated]);
});

test('days and items are charged once, whoever generates first; a voided invoice gives them back', LIMIT, async () => {
  const customerId = await customer();
  await subscribed(customerId, await product(), '2026-01-01');
  const halves = [{ periodStart: '2026-01-01', periodEnd: '2026-01-20' }, { periodStart: '2026-01-10', periodEnd: '2026-01-31' }, JANUARY];
  const ids = await Promise.all(halves.map((period) => created('invoices', { customerId, ...period })));
  const generated = await Promise.all(ids.map((id) => done(`invoices/${id}/generate`)));
  const charged = generated.flatMap(linesOf).flatMap(({ periodStart, periodEnd }) => {
    const days: string[] = [];
    for (let day = String(periodStart); day <= String(periodEnd); day = addDays(day, 1)) days.push(day);
    return days;
  });
  assert.equal(charged.length, 31);
  assert.equal(new Set(charged).size, 31);
  const total = generated.reduce((sum, { netMinor }) => sum + Number(netMinor), 0);
  assert.equal(total, 3_100);
  const again = await done(`invoices/${ids[0] ?? ''}/generate`);
  assert.deepEqual(linesOf(again), linesOf(generated[0] ?? {}), 'a repeated generation changes nothing');
  for (const id of ids.slice(0, 2)) await done(`invoices/${id}/void`);
  const rest = await done(`invoices/${ids[2] ?? ''}/generate`);
  assert.deepEqual([linesOf(rest).length, rest['netMinor']], [1, '3100']);
});

test('issued invoices have numbers without gaps, and do not change', LIMIT, async () => {
  const customerId = await customer();
  const productId = await product();
  const ready = async (month: number): Promise<string> => {
    const periodStart = `2025-${String(month).padStart(2, '0')}-01`;
    await subscribed(customerId, productId, periodStart);
    const id = await created('invoices', { customerId, periodStart, periodEnd: endOfMonth(periodStart) });
    await done(`invoices/${id}/generate`);
    return id;
  };
  const ids: string[] = [];
  for (const month of [1, 2, 3, 4, 5, 6, 7, 8]) ids.push(await ready(month));
  const empty = await created('invoices', { customerId: await customer(), ...JANUARY });
  assert.deepEqual(refused(await act(`invoices/${empty}/issue`)), [409, 'illegal_transition', ['validated', 'voided']]);
  await done(`invoices/${empty}/generate`);
  const [issued, nothing] = await Promise.all([Promise.all(ids.map((id) => done(`invoices/${id}/issue`))), act(`invoices/${empty}/issue`)]);
  assert.deepEqual(codeOf(nothing), [422, 'invoice_empty']);
  const numbers = issued.map(({ number }) => Number(/^INV-\d{4}-(\d{6})$/.exec(String(number))?.[1])).toSorted((one, other) => one - other);
  assert.deepEqual(
    numbers,
    numbers.map((_number, index) => (numbers[0] ?? 0) + index),
  );
  const [first = ''] = ids;
  const { etag, body } = await api.get(`invoices/${first}`);
  assert.equal(body['dueDate'], addDays(String(body['issueDate']), 14));
  assert.deepEqual(refused(await api.patch(`invoices/${first}`, { dueDate: '2030-01-01' }, etag)), [
    409,
    'illegal_transition',
    ['partiallyPaid', 'settled', 'voided'],
  ]);
  assert.deepEqual(refused(await act(`invoices/${first}/generate`)), [409, 'illegal_transition', ['partiallyPaid', 'settled', 'voided']]);
  assert.deepEqual(codeOf(await api.remove(`invoices/${first}`, etag)), [409, 'resource_in_use']);
  await assert.rejects(platform.sql('UPDATE invoice SET net_minor = 1, total_minor = 1 + tax_minor WHERE id = $1', [first]), /is issued/);
  assert.equal((await done(`invoices/${first}/void`))['status'], 'voided');
});

test('a period is checked, and can change until the lines are generated', LIMIT, async () => {
  const customerId = await customer();
  const wrong = await api.post('invoices', { customerId, periodStart: '2026-01-02', periodEnd: '2026-01-01' });
  assert.deepEqual([...codeOf(wrong), (wrong.body['errors'] as Row[])[0]?.['path']], [400, 'validation_failed', 'body.periodEnd']);
  assert.deepEqual(codeOf(await api.post('invoices', { customerId, periodStart: '2026-01-01', periodEnd: '2027-01-02' })), [
    400,
    'validation_failed',
  ]);
  const invoice = await api.post('invoices', { customerId, ...JANUARY });
  const path = `invoices/${idOf(invoice)}`;
  const moved = await api.patch(path, { periodEnd: '2026-02-28', dueDate: '2026-03-15' }, invoice.etag);
  assert.deepEqual([moved.status, moved.body['periodEnd']], [200, '2026-02-28']);
  assert.deepEqual(codeOf(await api.patch(path, { periodEnd: '2025-12-31' }, moved.etag)), [400, 'validation_failed']);
  const generated = await act(`${path}/generate`);
  assert.deepEqual(refused(await api.patch(path, { periodEnd: '2026-03-31' }, generated.etag)), [
    409,
    'illegal_transition',
    ['validated', 'sent', 'voided'],
  ]);
  assert.equal((await api.patch(path, { dueDate: '2026-04-01' }, generated.etag)).status, 200);
});

test('an invoice can be read as a page and as a PDF', LIMIT, async () => {
  const customerId = await created('customers', { name: 'Jörg <b>Beispiel</b>' });
  const address = { line1: 'Hauptstraße 1', city: 'Sampletown', postcode: '12345', country: 'DE' };
  await created(`customers/${customerId}/addresses`, { ...address, type: 'delivery', line1: 'Elsewhere 2' });
  await created(`customers/${customerId}/addresses`, address);
  await subscribed(customerId, await product({ name: 'Fibre <500>' }), '2026-01-20');
  const id = await created('invoices', { customerId, ...JANUARY });
  await done(`invoices/${id}/generate`);
  const number = String((await done(`invoices/${id}/issue`))['number']);
  const load = (path: string) => fetch(`${api.base}/api/v1/invoices/${id}/${path}`, { headers: { authorization: `Bearer ${CRM_KEY}` } });
  const page = await load('page');
  assert.deepEqual([page.status, page.headers.get('content-type')], [200, 'text/html; charset=utf-8']);
  assert.match(page.headers.get('content-security-policy') ?? '', /^default-src 'none'/);
  const text = await page.text();
  for (const shown of [
    'Jörg &lt;b&gt;Beispiel&lt;/b&gt;',
    'Hauptstraße 1',
    '12345 Sampletown',
    'Germany',
    'Fibre &lt;500&gt;',
    number,
    '12 of 31 days',
  ])
    assert.ok(text.includes(shown), shown);
  assert.ok(!text.includes('Elsewhere'), 'the address for bills');
  const pdf = await load('pdf');
  assert.deepEqual([pdf.status, pdf.headers.get('content-type')], [200, 'application/pdf']);
  assert.equal(
    Buffer.from(await pdf.arrayBuffer())
      .subarray(0, 5)
      .toString(),
    '%PDF-',
  );
  assert.deepEqual(codeOf(await api.get('invoices/019a0000-0000-7000-8000-000000000001/page')), [404, 'resource_not_found']);
});

test('without an orchestrator a payment is created, and processing says what is missing', LIMIT, async () => {
  const id = await created('payments', { customerId: await customer(), amountMinor: '100' });
  assert.deepEqual(codeOf(await act(`payments/${id}/process`)), [503, 'payments_not_configured']);
  const { etag, body } = await api.get(`payments/${id}`);
  assert.equal(body['status'], 'pendingAuthorization');
  assert.equal((await api.remove(`payments/${id}`, etag)).status, 204);
});
