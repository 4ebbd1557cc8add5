/** What a customer has: subscriptions, services and assets. What happens to it when the customer goes: deletion, retention, export and erasure. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { changeEvent } from '../shared/contracts/crm/events.ts';
import type { ChangeEvent } from '../shared/contracts/crm/events.ts';
import type { Postgres } from '../shared/kernel/postgres.ts';
import { readTopic } from '../shared/testing/read-topic.ts';
import { waitFor } from '../shared/testing/wait.ts';
import type { Workload } from '../shared/testing/workload.ts';
import { Records } from './records.ts';
import { sweep } from './retention.ts';
import type { CrmAnswer, CrmClient } from './testing/platform.ts';
import { CrmPlatform } from './testing/platform.ts';

const LIMIT = { timeout: 120_000 };
const TODAY = new Date().toISOString().slice(0, 10);
let platform: CrmPlatform;
let crm: Workload;
let api: CrmClient;
let database: Postgres;

before(async () => {
  platform = await CrmPlatform.start();
  ({ workload: crm, client: api } = await platform.crm());
  database = platform.openDatabase();
}, LIMIT);
after(async () => {
  await database?.close();
  await platform?.stop();
}, LIMIT);

const code = ({ status, body }: CrmAnswer): unknown[] => [status, body['code']];
const id = ({ body }: CrmAnswer): string => String(body['id']);
const made = async (path: string, body: object): Promise<CrmAnswer> => {
  const answer = await api.post(path, body);
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  return answer;
};
const items = ({ body }: CrmAnswer): Record<string, unknown>[] => body['items'] as Record<string, unknown>[];
let products = 0;
const product = (change: object = {}): Promise<CrmAnswer> =>
  made('products', {
    code: `plan-${(products += 1)}`,
    name: 'Plan',
    category: 'mobile',
    status: 'launched',
    recurringMinor: '1999',
    ...change,
  });
const customer = (name = 'Jane Example'): Promise<CrmAnswer> =>
  made('customers', { name, email: 'jane@example.com', phone: '+491701234567' });

/** A customer with a subscription, its service and a SIM card. */
async function furnished() {
  const owner = await customer();
  const customerId = id(owner);
  const subscription = await made('subscriptions', { customerId, productId: id(await product()), status: 'active' });
  const service = await made('services', { customerId, subscriptionId: id(subscription), type: 'mobile', status: 'active' });
  const serialNumber = `sim-${customerId.slice(-12)}`;
  const asset = await made('assets', { customerId, serviceId: id(service), type: 'sim', model: 'nano', serialNumber, status: 'reserved' });
  const path = `customers/${customerId}`;
  await made(`${path}/addresses`, { line1: '1 Example Street', city: 'Sampletown', postcode: '12345', country: 'DE' });
  return { path, customerId, owner, subscription, service, asset };
}

/** Ends what keeps a customer from being erased or deleted. */
async function end({ subscription, service }: Awaited<ReturnType<typeof furnished>>): Promise<void> {
  for (const [family, one] of [['services', service] as const, ['subscriptions', subscription] as const]) {
    const ended = await api.patch(`${family}/${id(one)}`, { status: 'terminated' }, one.etag);
    assert.deepEqual([ended.status, ended.body['endDate']], [200, TODAY], JSON.stringify(ended.body));
  }
}

test('a subscription has the price of its product when it was made, and begins with the day that it becomes active', LIMIT, async () => {
  const plan = await product({ recurringMinor: '1999', taxBasisPoints: 700 });
  const subscription = await made('subscriptions', { customerId: id(await customer()), productId: id(plan) });
  const { status, recurringMinor, taxBasisPoints, startDate } = subscription.body;
  assert.deepEqual([status, recurringMinor, taxBasisPoints, startDate], ['created', '1999', 700, null]);
  await api.patch(`products/${id(plan)}`, { recurringMinor: '2999' }, plan.etag);
  const active = await api.patch(`subscriptions/${id(subscription)}`, { status: 'active' }, subscription.etag);
  assert.deepEqual([active.body['recurringMinor'], active.body['startDate']], ['1999', TODAY]);
  const early = await api.patch(`subscriptions/${id(subscription)}`, { endDate: '2000-01-01' }, active.etag);
  assert.deepEqual(code(early), [400, 'validation_failed']);
});

test('resources refer to what exists, and to what belongs to the same customer', LIMIT, async () => {
  const { customerId, service, asset } = await furnished();
  const nothing = '01900000-0000-7000-8000-000000000000';
  const refused = await api.post('subscriptions', { customerId, productId: nothing });
  assert.deepEqual(code(refused), [422, 'reference_not_found']);
  assert.deepEqual((refused.body['errors'] as { path: string }[])[0]?.path, 'body.productId');
  const stranger = await customer('Other');
  const foreign = { customerId: id(stranger), serviceId: id(service), type: 'router', model: 'r', serialNumber: 'foreign' };
  assert.deepEqual(code(await api.post('assets', foreign)), [422, 'reference_not_found']);
  const moved = await api.patch(`assets/${id(asset)}`, { customerId: id(stranger) }, asset.etag);
  assert.deepEqual(code(moved), [422, 'reference_not_found'], 'the service stays with the former customer');
  assert.equal((await api.patch(`assets/${id(asset)}`, { customerId: id(stranger), serviceId: null }, asset.etag)).status, 200);
  const closed = await api.patch(`customers/${id(stranger)}/status`, { status: 'closed' }, stranger.etag);
  assert.equal(closed.status, 200, JSON.stringify(closed.body));
  const late = { customerId: id(stranger), type: 'mobile' };
  assert.deepEqual(code(await api.post('services', late)), [422, 'reference_not_found'], 'a closed customer gets nothing new');
});

test('the subscriptions of a customer are listed by page', LIMIT, async () => {
  const { path, customerId, subscription } = await furnished();
  const productId = id(await product());
  for (let number = 0; number < 4; number += 1) await made('subscriptions', { customerId, productId });
  const first = await api.get(`${path}/subscriptions?limit=3`);
  const second = await api.get(`${path}/subscriptions?limit=3&after=${String(first.body['next'])}`);
  assert.deepEqual([items(first).length, items(second).length, second.body['next']], [3, 2, null]);
  assert.equal(items(first)[0]?.['id'], id(subscription));
  assert.deepEqual(items(await api.get(`services?customerId=${customerId}&fields=type`))[0]?.['type'], 'mobile');
});

test('what is in use is not deleted', LIMIT, async () => {
  const all = await furnished();
  const { path, owner, subscription, service, asset } = all;
  for (const [at, one] of [
    [path, owner],
    [`subscriptions/${id(subscription)}`, subscription],
    [`services/${id(service)}`, service],
  ] as const)
    assert.deepEqual(code(await api.remove(at, one.etag)), [409, 'resource_in_use'], at);
  assert.deepEqual(code(await api.patch(`${path}/status`, { status: 'closed' }, owner.etag)), [409, 'resource_in_use']);
  await api.remove(`assets/${id(asset)}`, asset.etag);
  await end(all);
  assert.equal((await api.remove(path, owner.etag)).status, 204);
  const [kept] = await platform.sql<{ deleted: boolean }>('SELECT deleted_at IS NOT NULL AS deleted FROM address WHERE customer_id = $1', [
    all.customerId,
  ]);
  assert.equal(kept?.deleted, true, 'addresses go with their customer');
});

test(
  'an export has everything about a customer; after the erasure nothing stored has personal data, and what the books need is there',
  LIMIT,
  async () => {
    const all = await furnished();
    const { path, customerId, asset } = all;
    await platform.sql(
      `INSERT INTO invoice (id, customer_id, status, currency, period_start, period_end, net_minor, tax_minor, total_minor)
     VALUES (gen_random_uuid(), $1, 'settled', 'EUR', '2026-01-01', '2026-01-31', 1000, 190, 1190)`,
      [customerId],
    );
    const copy = await api.get(`${path}/export`);
    const text = JSON.stringify(copy.body);
    assert.equal(copy.status, 200, text);
    for (const part of ['Jane Example', 'jane@example.com', '+491701234567', '1 Example Street', id(asset)])
      assert.ok(text.includes(part), part);
    assert.deepEqual(code(await api.send('POST', `${path}/erase`)), [409, 'resource_in_use'], 'the subscription goes on');
    await end(all);
    const erased = await api.send('POST', `${path}/erase`);
    assert.deepEqual([erased.status, erased.body['name'], erased.body['email'], erased.body['status']], [200, '[erased]', null, 'closed']);
    assert.deepEqual((await api.send('POST', `${path}/erase`)).body, erased.body, 'again: no second effect');
    assert.deepEqual(code(await api.patch(path, { name: 'Back' }, erased.etag)), [409, 'customer_erased']);
    const rest = JSON.stringify((await api.get(`${path}/export`)).body);
    assert.doesNotMatch(rest, /Jane|jane@|49170|Example Street|Sampletown|12345/);
    const tables = await platform.sql<{ name: string }>(
      `SELECT format('%I', relname) AS name FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace`,
    );
    for (const { name } of tables) {
      const owned = name === 'customer' ? 'id = $1' : 'to_jsonb(t)::text LIKE format($$%%%s%%$$, $1::uuid)';
      const rows = await platform.sql<{ text: string }>(`SELECT to_jsonb(t)::text AS text FROM ${name} t WHERE ${owned}`, [customerId]);
      for (const row of rows) assert.doesNotMatch(row.text, /Jane|jane@|49170|Example Street|Sampletown/, name);
    }
    const [invoice] = await platform.sql<{ total: string }>('SELECT total_minor::text AS total FROM invoice WHERE customer_id = $1', [
      customerId,
    ]);
    assert.equal(invoice?.total, '1190');
    assert.equal((await api.get(`assets/${id(asset)}`)).body['customerId'], null);
  },
);

test('the retention removes what nothing refers to, and erases customers whose rows stay for the books', LIMIT, async () => {
  const [gone, kept, recent] = [await customer('Gone'), await customer('Kept'), await customer('Recent')];
  await platform.sql(
    `INSERT INTO invoice (id, customer_id, status, currency, period_start, period_end) VALUES (gen_random_uuid(), $1, 'settled', 'EUR', '2026-01-01', '2026-01-31')`,
    [id(kept)],
  );
  for (const one of [gone, kept, recent]) {
    await made(`customers/${id(one)}/addresses`, { line1: 'Somewhere 1', city: 'Sampletown', postcode: '1', country: 'DE' });
    assert.equal((await api.remove(`customers/${id(one)}`, one.etag)).status, 204);
  }
  for (const table of ['customer', 'address'])
    await platform.sql(
      `UPDATE ${table} SET deleted_at = deleted_at - interval '8 days' WHERE ${table === 'customer' ? 'id' : 'customer_id'} = ANY ($1)`,
      [[id(gone), id(kept)]],
    );
  const records = new Records(database, () => undefined);
  while (await sweep({ database, records }, { days: 7, keyHours: 1 }));
  const left = await platform.sql<{ id: string; name: string }>('SELECT id, name FROM customer WHERE id = ANY ($1) ORDER BY name', [
    [id(gone), id(kept), id(recent)],
  ]);
  assert.deepEqual(
    left,
    [
      { id: id(recent), name: 'Recent' },
      { id: id(kept), name: '[erased]' },
    ].toSorted((a, b) => (a.name < b.name ? -1 : 1)),
  );
  const [audit] = await platform.sql<{ client: string; action: string }>(
    'SELECT client, action FROM audit WHERE entity_id = $1 ORDER BY seq DESC LIMIT 1',
    [id(gone)],
  );
  assert.deepEqual(audit, { client: 'retention', action: 'removed' });
  const key = await api.post('products', { code: 'keyed', name: 'x', category: 'iot' }, 'old');
  await platform.sql(`UPDATE idempotency SET created_at = created_at - interval '2 hours' WHERE key = 'old'`);
  await sweep({ database, records }, { days: 7, keyHours: 1 });
  assert.deepEqual(
    code(await api.post('products', { code: 'keyed', name: 'x', category: 'iot' }, 'old')),
    [409, 'resource_exists'],
    JSON.stringify(key.body),
  );
});

test('every change of a resource has its event, in the order of the versions, and without personal data', LIMIT, async () => {
  const one = await customer('Ordered');
  const path = `customers/${id(one)}`;
  for (let version = 1; version <= 5; version += 1) await api.patch(path, { name: `Ordered ${version}` }, `"${version}"`);
  await crm.end('SIGKILL');
  ({ workload: crm, client: api } = await platform.crm());
  await api.patch(`${path}/status`, { status: 'active' }, '"6"');
  await waitFor('the outbox to be empty', async () => (await platform.sql('SELECT FROM change_event')).length === 0);
  const records = await readTopic(platform.services.kafka.brokers, 'crm.change.v1');
  const events = records
    .filter(({ key }) => String(key) === id(one))
    .map(({ value, headers }) => ({ event: changeEvent.parse(JSON.parse(String(value))), headers }));
  const versions = [...new Set(events.map(({ event }) => event.version))];
  assert.deepEqual(versions, [1, 2, 3, 4, 5, 6, 7], 'repeated deliveries come after their first');
  const last = events.at(-1);
  assert.equal(last?.headers['ce_type'], 'crm.customers.statusChanged.v1');
  assert.deepEqual(last?.event.changed, ['status'] satisfies ChangeEvent['changed']);
  assert.equal(last?.event.resource['status'], 'active');
  const published = records.filter(({ value }) => /Jane|Ordered|jane@|Example Street/.test(String(value)));
  assert.deepEqual(published, []);
});

test('the role of the service can neither change nor delete audit rows', LIMIT, async () => {
  for (const statement of ['DELETE FROM audit', `UPDATE audit SET client = 'nobody'`, 'TRUNCATE audit'])
    await assert.rejects(database.query('change audit', statement), /permission denied/, statement);
});

test('log records name the ids of resources, and no personal data', LIMIT, async () => {
  const one = await customer('Logged Person');
  await api.patch(`customers/${id(one)}`, { name: 'Logged Person the Second' }, one.etag);
  await waitFor('the log', () => new RegExp(`"method":"PATCH".*"customer_id":"${id(one)}"`).test(crm.log));
  assert.match(crm.log, new RegExp(`"method":"POST".*"customer_id":"${id(one)}"`));
  assert.doesNotMatch(crm.log, /Jane|Logged|jane@|49170|Example Street/);
});

test('the metrics count the changes', LIMIT, async () => {
  const count = (name: string, labels = ''): Promise<number> => crm.metric(name, labels);
  const former = [
    await count('bss_customers_created_total'),
    await count('bss_events_total'),
    await count('bss_customers_create_time_count'),
  ];
  const one = await customer();
  await api.patch(`customers/${id(one)}/status`, { status: 'active' }, one.etag);
  const now = [await count('bss_customers_created_total'), await count('bss_events_total'), await count('bss_customers_create_time_count')];
  assert.deepEqual(
    now.map((value, index) => value - (former[index] ?? 0)),
    [1, 2, 1],
  );
  assert.ok((await count('bss_current_event_rate')) > 0);
  await waitFor('the event to be counted', async () => (await count('bss_events_by_component_total', 'Kafka')) > 0);
  assert.ok((await count('bss_request_duration_seconds_count', 'api="customers"')) > 0);
});
