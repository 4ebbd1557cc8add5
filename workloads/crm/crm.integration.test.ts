/** Customers and products through the API of the service, with a real database behind PgBouncer. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { CrmAnswer, CrmClient } from './testing/platform.ts';
import { CrmPlatform } from './testing/platform.ts';

const LIMIT = { timeout: 120_000 };
let platform: CrmPlatform;
let api: CrmClient;

before(async () => {
  platform = await CrmPlatform.start();
  api = (await platform.crm()).client;
}, LIMIT);
after(() => platform?.stop(), LIMIT);

const code = ({ status, body }: CrmAnswer): unknown[] => [status, body['code']];
const id = ({ body }: CrmAnswer): string => String(body['id']);
const JANE = { name: 'Jane Example', email: 'jane@example.com', phone: '+491701234567' };

test('a customer is created, read, changed and deleted', LIMIT, async () => {
  const created = await api.post('customers', JANE);
  assert.equal(created.status, 201, JSON.stringify(created.body));
  assert.equal(created.headers.get('location'), `/api/v1/customers/${id(created)}`);
  assert.deepEqual([created.etag, created.body['status'], created.body['currency']], ['"1"', 'initialized', 'EUR']);
  const read = await api.get(`customers/${id(created)}`);
  assert.deepEqual([read.status, read.body, read.etag], [200, created.body, '"1"']);
  const changed = await api.patch(`customers/${id(created)}`, { name: 'Jane Sample', phone: null }, read.etag);
  assert.deepEqual([changed.status, changed.etag, changed.body['name'], changed.body['phone']], [200, '"2"', 'Jane Sample', null]);
  assert.equal(changed.body['email'], JANE.email, 'an absent field stays');
  const deleted = await api.remove(`customers/${id(created)}`, changed.etag);
  assert.equal(deleted.status, 204);
  assert.deepEqual(code(await api.get(`customers/${id(created)}`)), [404, 'resource_not_found']);
  assert.deepEqual(code(await api.patch(`customers/${id(created)}`, { name: 'x' }, '"3"')), [404, 'resource_not_found']);
  const [kept] = await platform.sql<{ deleted: boolean }>('SELECT deleted_at IS NOT NULL AS deleted FROM customer WHERE id = $1', [
    id(created),
  ]);
  assert.equal(kept?.deleted, true, 'the row is kept until the end of the retention');
});

test('a change needs the version that it is based on; a read with the current version has no body', LIMIT, async () => {
  const created = await api.post('customers', JANE);
  const path = `customers/${id(created)}`;
  assert.deepEqual(code(await api.patch(path, { name: 'B' })), [428, 'precondition_required']);
  assert.deepEqual(code(await api.remove(path)), [428, 'precondition_required']);
  const [one, two] = await Promise.all([api.patch(path, { name: 'One' }, '"1"'), api.patch(path, { name: 'Two' }, '"1"')]);
  assert.deepEqual(
    [one.status, two.status].toSorted((a, b) => a - b),
    [200, 412],
    'one of two changes of one version wins',
  );
  const refused = one.status === 412 ? one : two;
  assert.equal(refused.etag, '"2"');
  const unchanged = await api.get(path, { 'if-none-match': '"2"' });
  assert.deepEqual([unchanged.status, unchanged.body, unchanged.etag], [304, {}, '"2"']);
  assert.equal((await api.get(path, { 'if-none-match': '"1"' })).status, 200);
});

test(
  '20 parallel requests with one key create one customer; another body is refused, and another client has keys of its own',
  LIMIT,
  async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => api.post('customers', JANE, 'parallel')));
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [201]);
    assert.equal(new Set(answers.map(({ body }) => JSON.stringify(body))).size, 1);
    assert.equal(answers.filter(({ headers }) => headers.get('idempotency-replayed') === null).length, 1);
    const path = `customers/${answers[0] ? id(answers[0]) : ''}`;
    await api.patch(path, { name: 'Somebody Else' }, '"1"');
    const again = await api.post('customers', JANE, 'parallel');
    assert.deepEqual(again.body, answers[0]?.body, 'the answer of the first request, whatever has happened since');
    assert.deepEqual(code(await api.post('customers', { ...JANE, name: 'Other' }, 'parallel')), [422, 'idempotency_key_reused']);
    const other = await api.post('customers', JANE, 'parallel', { 'x-bss-client': 'key:other' });
    assert.notEqual(id(other), answers[0] && id(answers[0]));
    assert.deepEqual(code(await api.send('POST', 'customers', { body: JANE })), [400, 'validation_failed']);
  },
);

test('the status of a customer follows the table, and an illegal change names what is allowed', LIMIT, async () => {
  const created = await api.post('customers', JANE);
  const path = `customers/${id(created)}/status`;
  const active = await api.patch(path, { status: 'active', reason: 'identity checked' }, created.etag);
  assert.deepEqual([active.status, active.body['status'], active.body['statusReason']], [200, 'active', 'identity checked']);
  const illegal = await api.patch(path, { status: 'validated' }, active.etag);
  assert.deepEqual(code(illegal), [409, 'illegal_transition']);
  assert.deepEqual(illegal.body['allowed'], ['suspended', 'closed']);
  const former = (await api.get('customers/summary')).body as { total: number; byStatus: Record<string, number> };
  await api.patch(path, { status: 'suspended' }, active.etag);
  const now = (await api.get('customers/summary')).body as typeof former;
  assert.deepEqual([now.total, now.byStatus['active'] ?? 0], [former.total, (former.byStatus['active'] ?? 0) - 1]);
});

test('addresses belong to a customer', LIMIT, async () => {
  const customer = await api.post('customers', JANE);
  const path = `customers/${id(customer)}/addresses`;
  const home = { line1: '1 Example Street', city: 'Sampletown', postcode: '12345', country: 'DE' };
  const added = await api.post(path, home, 'home');
  assert.equal(added.status, 201, JSON.stringify(added.body));
  assert.deepEqual((await api.post(path, home, 'home')).body, added.body);
  await api.post(path, { ...home, type: 'delivery' });
  const all = (await api.get(`${path}?limit=1`)).body as { items: unknown[]; next: string };
  assert.deepEqual(all.items, [added.body]);
  const rest = (await api.get(`${path}?limit=1&after=${all.next}`)).body as { items: { type: string }[]; next: null };
  assert.deepEqual([rest.items[0]?.type, rest.next], ['delivery', null]);
  const nobody = 'customers/01900000-0000-7000-8000-000000000000/addresses';
  assert.deepEqual(code(await api.get(nobody)), [404, 'resource_not_found']);
  assert.deepEqual(code(await api.post(nobody, home)), [404, 'resource_not_found']);
});

test('products are filtered, sorted and selected by field; a code is unique among those that are not deleted', LIMIT, async () => {
  const product = { name: 'Mobile S', category: 'mobile', recurringMinor: '999', status: 'launched' };
  const small = await api.post('products', { ...product, code: 'mobile-s' });
  assert.equal(small.status, 201, JSON.stringify(small.body));
  await api.post('products', { ...product, name: 'Fibre', code: 'fibre', category: 'broadband' });
  await api.post('products', { ...product, name: 'Mobile L', code: 'mobile-l', recurringMinor: '2999' });
  assert.deepEqual(code(await api.post('products', { ...product, code: 'mobile-s' })), [409, 'resource_exists']);
  const list = (await api.get('products?category=mobile&sort=-name&fields=name,recurringMinor')).body;
  assert.deepEqual(
    (list['items'] as object[]).map((item) => ({ ...item, id: '' })),
    [
      { id: '', name: 'Mobile S', recurringMinor: '999' },
      { id: '', name: 'Mobile L', recurringMinor: '2999' },
    ],
  );
  const illegal = await api.patch(`products/${id(small)}`, { status: 'inDesign' }, small.etag);
  assert.deepEqual([illegal.status, illegal.body['allowed']], [409, ['retired']]);
  await api.remove(`products/${id(small)}`, small.etag);
  assert.equal((await api.post('products', { ...product, code: 'mobile-s' })).status, 201);
  for (const query of ['colour=red', 'sort=description', 'fields=secret', 'after=AAAA', 'limit=0'])
    assert.deepEqual(code(await api.get(`products?${query}`)), [400, 'validation_failed'], query);
});

test('each change has an audit row and an event in its transaction, without personal data', LIMIT, async () => {
  const created = await api.post('customers', JANE, 'audited', { 'x-bss-client': 'key:shop' });
  await api.patch(`customers/${id(created)}`, { email: 'new@example.com', type: 'organization' }, created.etag);
  await api.patch(`customers/${id(created)}`, { name: 'nobody' }, '"9"');
  const audit = await platform.sql<{ client: string; action: string; changes: Record<string, unknown> }>(
    'SELECT client, action, changes FROM audit WHERE entity_id = $1 ORDER BY seq',
    [id(created)],
  );
  assert.deepEqual(
    audit.map(({ client, action }) => [client, action]),
    [
      ['key:shop', 'created'],
      ['key:services', 'updated'],
    ],
  );
  assert.deepEqual(audit[1]?.changes, { email: ['personal'], type: ['individual', 'organization'] });
  const stored = await platform.sql<{ text: string }>(
    `SELECT row_to_json(a)::text AS text FROM audit a UNION ALL SELECT row_to_json(e)::text FROM change_event e
      UNION ALL SELECT row_to_json(i)::text FROM idempotency i`,
  );
  const personal = stored.filter(({ text }) => /Jane|example\.com|49170|Example Street/.test(text));
  assert.deepEqual(personal, []);
});
