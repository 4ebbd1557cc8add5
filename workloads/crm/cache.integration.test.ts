/** The cache on real Postgres and Redis: what a change removes, the races around it, and what is lost and healed. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { createClient } from '@redis/client';
import { NotificationTable } from '../shared/kernel/cache/notifications.ts';
import { Problem, PROBLEMS } from '../shared/kernel/problems.ts';
import { waitFor } from '../shared/testing/wait.ts';
import { CACHED, cachedFamily, entityKey, listKey, ownedKey } from './cache-keys.ts';
import { CacheLab } from './testing/cache-lab.ts';
import type { CacheInstance } from './testing/cache-lab.ts';

const LIMIT = { timeout: 60_000 };
/** The bound that the tests configure. */
const BOUND_MS = 1_000;

const of = (name: string) => cachedFamily(name) ?? assert.fail(name);

let lab: CacheLab;
let one: CacheInstance;
let other: CacheInstance;
/** Looks into Redis. */
let inspector: ReturnType<typeof createClient>;

before(async () => {
  lab = await CacheLab.start({ notify: true });
  inspector = createClient({ url: lab.redis.url });
  inspector.on('error', () => undefined);
  await inspector.connect();
  const env = { CACHE_MAX_STALENESS_MS: String(BOUND_MS) };
  [one, other] = await Promise.all([lab.instance(env), lab.instance(env)]);
  await Promise.all([one.ready(), other.ready()]);
}, LIMIT);
after(async () => {
  inspector?.destroy();
  await lab?.stop();
}, LIMIT);

async function customer(name = 'first'): Promise<string> {
  const id = randomUUID();
  await lab.sql(`INSERT INTO customer (id, type, name, status, currency) VALUES ($1, 'individual', $2, 'active', 'EUR')`, [id, name]);
  return id;
}
const rename = (id: string, name: string) => lab.sql('UPDATE customer SET name = $2, version = version + 1 WHERE id = $1', [id, name]);
async function order(customerId: string): Promise<string> {
  const id = randomUUID();
  await lab.sql(`INSERT INTO "order" (id, customer_id, status, currency) VALUES ($1, $2, 'draft', 'EUR')`, [id, customerId]);
  return id;
}

/** Reads that the databases answered. */
let loads = 0;
async function nameOf(id: string, instance: CacheInstance): Promise<string | undefined> {
  loads += 1;
  const [row] = await instance.database.query<{ name: string }>('read customer', 'SELECT name FROM customer WHERE id = $1', [id]);
  return row?.name;
}
const read = (instance: CacheInstance, id: string) => instance.cache.getOrLoad(entityKey(of('customers'), id), () => nameOf(id, instance));
/** Has a customer's current value in Redis: processes store it there without waiting. */
async function cacheInRedis(id: string): Promise<void> {
  await settle();
  await read(one, id);
  await waitFor('Redis to have the value', async () => (await inspector.exists(`{test/test/crm}:value:customer:${id}`)) === 1, 5_000);
}
/** More names than any message of a test has. */
const MARKED = 1_000;
const messagesTo = (instance: CacheInstance) => instance.metric('cache_invalidations_total', 'cause="message"');
/** Waits until both processes have read the notifications up to now, and have what they have told each other about them. */
async function settle(): Promise<void> {
  const instances = [one, other];
  await Promise.all(instances.map((instance) => instance.feed.readNow()));
  const earlier = await Promise.all(instances.map(messagesTo));
  const names = Array.from({ length: MARKED }, () => 'marker');
  await inspector.publish('cache:invalidation', JSON.stringify({ scope: 'test/test/crm', origin: 'test', names, patterns: [] }));
  await waitFor('the messages up to this one', async () => {
    const counts = await Promise.all(instances.map(messagesTo));
    return counts.every((count, index) => count >= (earlier[index] ?? 0) + MARKED);
  });
}

test('the tables of the cached families, and no others, have the triggers', LIMIT, async () => {
  const rows = await lab.sql<{ name: string; triggers: string[] }>(
    `SELECT c.relname AS name, array_agg(t.tgname::text ORDER BY t.tgname) AS triggers FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
      WHERE t.tgname LIKE 'trg%cache_invalidation%' GROUP BY 1`,
  );
  const expected = CACHED.map(({ table }) => {
    const name = `trg_${table}_cache_invalidation`;
    return { name: table, triggers: [name, `${name}_delete`, `${name}_insert`, `${name}_truncate`] };
  });
  const byName = (a: { name: string }, b: { name: string }): number => a.name.localeCompare(b.name);
  assert.deepEqual(rows.toSorted(byName), expected.toSorted(byName));
});

test('a value is loaded once, comes from the process, and another process takes it from Redis', LIMIT, async () => {
  // A busy machine may distrust the entries for a moment: then another row follows.
  await waitFor(
    'three reads of a new row with one load',
    async () => (await resultsOfThreeReads()) === 'loads 1, local 1, redis 1',
    30_000,
  );
});

async function resultsOfThreeReads(): Promise<string> {
  const id = await customer();
  await settle();
  const local = await one.metric('cache_requests_total', 'result="local"');
  const redis = await other.metric('cache_requests_total', 'result="redis"');
  loads = 0;
  assert.deepEqual([await read(one, id), await read(one, id)], ['first', 'first']);
  await waitFor('Redis to have the value', async () => (await inspector.exists(`{test/test/crm}:value:customer:${id}`)) === 1, 5_000);
  assert.equal(await read(other, id), 'first');
  const fromProcess = (await one.metric('cache_requests_total', 'result="local"')) - local;
  const fromRedis = (await other.metric('cache_requests_total', 'result="redis"')) - redis;
  return `loads ${loads}, local ${fromProcess}, redis ${fromRedis}`;
}

test('what is not there is cached too, and its creation removes that', LIMIT, async () => {
  const id = randomUUID();
  assert.equal(await read(one, id), undefined);
  loads = 0;
  assert.equal(await read(one, id), undefined);
  assert.equal(loads, 0);
  await lab.sql(`INSERT INTO customer (id, type, name, status, currency) VALUES ($1, 'individual', 'new', 'active', 'EUR')`, [id]);
  await waitFor('the new customer to be seen', async () => (await read(one, id)) === 'new' && (await read(other, id)) === 'new', 5_000);
});

test('a change of a row is seen in every process, and its lists, summaries and dependent entries go', LIMIT, async () => {
  const id = await customer();
  await order(id);
  const key = ownedKey(of('orders'), id, 'q');
  let listed = 0;
  const list = (instance: CacheInstance) => instance.cache.getOrLoad(key, () => Promise.resolve((listed += 1)));
  await settle();
  assert.deepEqual([await list(one), await list(one)], [1, 1]);
  await order(id);
  await waitFor('an order to remove the list of its customer', async () => (await list(one)) === 2, 5_000);
  await rename(id, 'second');
  await waitFor('the customer to remove it too', async () => (await list(one)) === 3, 5_000);
  const [first] = await lab.sql<{ id: string }>('SELECT id FROM "order" WHERE customer_id = $1', [id]);
  const elsewhere = await customer();
  await lab.sql('UPDATE "order" SET customer_id = $2 WHERE id = $1', [first?.id, elsewhere]);
  await waitFor('an order that moves to remove the list of its former customer', async () => (await list(one)) === 4, 5_000);
});

test('a value that was loaded before a change is stored neither in the process nor in Redis after it', LIMIT, async () => {
  const id = await customer('old');
  await settle();
  const loaded = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  const slow = one.cache.getOrLoad(entityKey(of('customers'), id), async () => {
    const name = await nameOf(id, one);
    loaded.resolve();
    await release.promise;
    return name;
  });
  await loaded.promise;
  await rename(id, 'new');
  await settle();
  assert.equal(await read(other, id), 'new');
  await waitFor('Redis to have the new value', async () => (await inspector.exists(`{test/test/crm}:value:customer:${id}`)) === 1, 5_000);
  release.resolve();
  assert.equal(await slow, 'old', 'the reader that asked before the change may get what was there');
  loads = 0;
  assert.equal(await read(one, id), 'new', 'nobody else does');
  const third = await (await lab.instance()).ready();
  assert.equal(await read(third, id), 'new', 'nor from Redis');
  assert.equal(loads, 0, 'which still has the new value');
  await third.stop();
});

test('500 concurrent reads of a missing key in two processes are one load', LIMIT, async () => {
  const id = await customer();
  await settle();
  loads = 0;
  const all = await Promise.all(Array.from({ length: 500 }, (_value, index) => read(index % 2 === 0 ? one : other, id)));
  assert.deepEqual([...new Set(all)], ['first']);
  assert.equal(loads, 1);
});

test('a process loads itself when the one that has the lock does not deliver', LIMIT, async () => {
  const id = await customer();
  await settle();
  const held = Promise.withResolvers<string>();
  const stuck = one.cache.getOrLoad(entityKey(of('customers'), id), () => held.promise);
  await waitFor('the lock to be taken', async () => (await inspector.exists(`{test/test/crm}:lock:customer:${id}`)) === 1);
  const startedAt = performance.now();
  assert.equal(await read(other, id), 'first');
  assert.ok(performance.now() - startedAt >= 900, 'it waited first');
  held.resolve('late');
  assert.equal(await stuck, 'late');
  assert.equal(await read(other, id), 'first');
});

test('what changes while Redis is away is not read from it after its return', LIMIT, async () => {
  const id = await customer('old');
  const third = await (await lab.instance()).ready();
  await cacheInRedis(id);
  assert.equal(await read(third, id), 'old');
  for (const { links } of [one, other, third]) links.redis.cut();
  await waitFor('the loss to be noticed', () => [one, other, third].every(({ cache }) => cache.statistics().redis === 'unavailable'));
  await rename(id, 'new');
  await waitFor('the change to be seen without Redis', async () => (await read(one, id)) === 'new', 5_000);
  await third.stop();
  one.links.redis.heal();
  other.links.redis.heal();
  await Promise.all([one.ready(), other.ready()]);
  // Its own entries are gone with it: what it reads is in Redis or in the database.
  const fourth = await (await lab.instance()).ready();
  assert.equal(await read(fourth, id), 'new');
  await fourth.stop();
});

test('a process that starts after changes that nobody applied does not read older values from Redis', LIMIT, async () => {
  const id = await customer('old');
  await cacheInRedis(id);
  for (const { links } of [one, other]) {
    links.redis.cut();
    links.pool.cut();
    links.listener.cut();
  }
  await rename(id, 'new');
  const third = await (await lab.instance()).ready();
  assert.equal(await read(third, id), 'new');
  await third.stop();
  for (const { links } of [one, other]) for (const link of Object.values(links)) link.heal();
  await Promise.all([one.ready(), other.ready()]);
});

test('a Redis that lost its last writes is not believed', LIMIT, async () => {
  const id = await customer('old');
  await cacheInRedis(id);
  // What a Redis that had not yet written the invalidation to disk would still have after a crash.
  const tags = [`{test/test/crm}:epoch:customer:${id}`, `{test/test/crm}:epoch:customers`];
  const [entity, family] = await waitFor('the value', async () => {
    const found = await inspector.mGet([...tags, `{test/test/crm}:value:customer:${id}`]);
    return found.every((part) => part !== null) && found;
  });
  const value = await inspector.get(`{test/test/crm}:value:customer:${id}`);
  await rename(id, 'new');
  await settle();
  await inspector.set(tags[0] ?? '', entity ?? '');
  await inspector.set(tags[1] ?? '', family ?? '');
  await inspector.set(`{test/test/crm}:value:customer:${id}`, value ?? '');
  const third = await (await lab.instance()).ready();
  assert.equal(await read(third, id), 'old', 'the test has put the older value back');
  await lab.redis.kill();
  await lab.redis.start();
  await Promise.all([one.ready(), other.ready(), third.ready()]);
  const fourth = await (await lab.instance()).ready();
  assert.equal(await read(fourth, id), 'new');
  await Promise.all([third.stop(), fourth.stop()]);
});

test('without a connection to listen on, changes are found by reading the table', LIMIT, async () => {
  const id = await customer('old');
  await read(one, id);
  one.links.listener.cut();
  await rename(id, 'new');
  await waitFor('the change', async () => (await read(one, id)) === 'new', BOUND_MS);
  one.links.listener.heal();
});

test('a transaction that commits after later ones is seen', LIMIT, async () => {
  const id = await customer('old');
  const early = await lab.connection();
  await early.query('BEGIN');
  await early.query(`UPDATE customer SET name = 'new' WHERE id = $1`, [id]);
  const later = await customer('later');
  await settle();
  assert.equal(await read(one, id), 'old');
  assert.equal(await read(one, later), 'later');
  await early.query('COMMIT');
  early.release();
  await waitFor('the early transaction that committed late', async () => (await read(one, id)) === 'new', 5_000);
});

test('while the database is away: an older value where that is allowed, and an error for orders and payments', LIMIT, async () => {
  const id = await customer('known');
  const key = entityKey(of('payments'), id);
  const payment = () => one.cache.getOrLoad(key, async () => nameOf(id, one));
  await settle();
  assert.deepEqual([await read(one, id), await payment()], ['known', 'known']);
  one.links.pool.cut();
  one.links.listener.cut();
  await waitFor('the entries to be distrusted', () => !one.feed.trusted, BOUND_MS + 1_000);
  assert.equal(await read(one, id), 'known');
  await assert.rejects(payment());
  assert.ok((await one.metric('cache_requests_total', 'result="stale"')) >= 1);
  assert.equal(await one.metric('cache_trusted', 'cache="payments"'), 0);
  await assert.rejects(
    one.cache.getOrLoad(entityKey(of('customers'), id), () => Promise.reject(new Problem(PROBLEMS.not_found))),
    Problem,
    'an error that is an answer is never replaced',
  );
  one.links.pool.heal();
  one.links.listener.heal();
  await one.ready();
  loads = 0;
  assert.equal(await payment(), 'known');
  assert.equal(loads, 0, 'nothing was missed, so its entry is used again');
});

test('after a restart of the database every entry is loaded again', LIMIT, async () => {
  const id = await customer('kept');
  await settle();
  await read(one, id);
  await lab.restartPostgres();
  await waitFor('the gap to be noticed', async () => (await one.metric('cache_invalidations_total', 'cause="gap"')) >= 1);
  await Promise.all([one.ready(), other.ready()]);
  loads = 0;
  assert.equal(await read(one, id), 'kept');
  assert.equal(loads, 1);
});

test('a statement sends one message, with a row for each entity up to a thousand, and one for the table beyond', LIMIT, async () => {
  const listener = await lab.connection();
  const messages: string[] = [];
  listener.on('notification', ({ payload }) => void messages.push(payload ?? ''));
  await listener.query('LISTEN cache_invalidation');
  const insert = (from: number, to: number) =>
    lab.sql(
      `INSERT INTO product (id, code, name, category, status, currency, recurring_minor, one_time_minor, tax_basis_points)
       SELECT gen_random_uuid(), 'code-' || n, 'name', 'tv', 'active', 'EUR', 1, 0, 1900 FROM generate_series($1::int, $2::int) n`,
      [from, to],
    );
  await lab.sql('DELETE FROM cache_notification');
  await insert(1, 1000);
  await waitFor('the message', () => messages.length === 1);
  assert.deepEqual(JSON.parse(messages[0] ?? ''), { table: 'product', operation: 'INSERT' });
  const rows = () => lab.sql('SELECT FROM cache_notification');
  assert.equal((await rows()).length, 1000);
  let listed = 0;
  const list = () => one.cache.getOrLoad(listKey(of('products'), 'all'), () => Promise.resolve((listed += 1)));
  await settle();
  await list();
  await lab.sql('DELETE FROM cache_notification');
  await insert(1001, 3000);
  assert.equal((await rows()).length, 1002);
  await waitFor('the list to be loaded again', async () => (await list()) === 2, 5_000);
  await lab.sql('UPDATE product SET name = name WHERE false');
  await lab.sql('TRUNCATE product CASCADE');
  await waitFor('the message of TRUNCATE', () => messages.some((text) => text.includes('TRUNCATE')));
  assert.equal(messages.filter((text) => text.includes('UPDATE')).length, 0, 'a statement that changes nothing sends nothing');
  listener.release(true);
});

test('a request invalidates keys, patterns, prefixes, entities and customers, in every process and in Redis', LIMIT, async () => {
  const id = await customer();
  const keys = [entityKey(of('customers'), id), ownedKey(of('orders'), id, 'q'), listKey(of('orders'), 'q'), listKey(of('products'), 'q')];
  let made = 0;
  const values = (instance: CacheInstance) =>
    Promise.all(keys.map((key) => instance.cache.getOrLoad(key, () => Promise.resolve((made += 1)))));
  const [customerKey, , listed] = keys;
  const { cache } = one;
  // A pattern removes every entry of the families whose keys it may match.
  const requests: [string, () => Promise<void>, boolean[]][] = [
    ['key', () => cache.invalidateKey(customerKey?.key ?? ''), [true, true, false, false]],
    ['pattern', () => cache.invalidateByPattern('orders:*'), [false, true, true, false]],
    ['prefix', () => cache.invalidateByPrefix(`customer:${id}`), [true, true, true, false]],
    ['batch', () => cache.invalidateBatch([customerKey?.key ?? '', listed?.key ?? '']), [true, true, true, false]],
    ['entity', () => cache.invalidateEntity('customer', id), [true, true, false, false]],
    ['customer', () => cache.invalidateCustomerData(id), [true, true, false, false]],
  ];
  for (const [what, request, expected] of requests) {
    await settle();
    const former = await values(one);
    await waitFor('both to have the same', async () => String(await values(other)) === String(former));
    await request();
    await settle();
    const now = await values(other);
    assert.deepEqual(
      now.map((value, index) => value !== former[index]),
      expected,
      what,
    );
  }
});

test('a registered dependency and a registered pattern are followed', LIMIT, async () => {
  const [id, orderId] = [await customer(), randomUUID()];
  const key = entityKey(of('orders'), orderId);
  let made = 0;
  const value = () => one.cache.getOrLoad(key, () => Promise.resolve((made += 1)));
  await settle();
  await value();
  one.cache.registerDependency(key.key, `customer:${id}`);
  const former = await value();
  await rename(id, 'second');
  await waitFor('the order to go with its customer', async () => (await value()) !== former, 5_000);
  one.cache.registerPattern('segment:*', ['order:*']);
  await settle();
  const then = await value();
  await one.cache.invalidateKey('segment:1');
  assert.notEqual(await value(), then);
});

test('notifications are deleted once every transaction could see them for the retention', LIMIT, async () => {
  const table = new NotificationTable(one.database);
  await lab.sql('DELETE FROM cache_notification_mark');
  await lab.sql('DELETE FROM cache_notification');
  const open = await lab.connection();
  await open.query('BEGIN');
  await open.query(`INSERT INTO cache_notification (table_name, operation, entity_id) VALUES ('customer', 'UPDATE', gen_random_uuid())`);
  await customer();
  await table.clean(0);
  const left = async () => (await lab.sql('SELECT FROM cache_notification')).length;
  assert.equal(await left(), 1, 'no mark is old enough yet, or none is behind the open transaction');
  await lab.sql(`UPDATE cache_notification_mark SET made_at = made_at - interval '2 minutes'`);
  await table.clean(0);
  await open.query('COMMIT');
  open.release();
  await table.clean(0);
  assert.equal(await left(), 2, 'what was in progress at the mark is kept');
  await lab.sql(`UPDATE cache_notification_mark SET made_at = made_at - interval '2 minutes'`);
  await table.clean(0);
  await table.clean(0);
  await lab.sql(`UPDATE cache_notification_mark SET made_at = made_at - interval '2 minutes'`);
  await table.clean(0);
  assert.equal(await left(), 0);
});

test('the periodic check makes entries due, which the next read replaces while it returns the entry', LIMIT, async () => {
  const id = await customer();
  await settle();
  await read(one, id);
  loads = 0;
  // The probability grows from 0 with the age of the entry.
  await waitFor(
    'the reload',
    async () => {
      one.cache.checkExpiry(() => 0);
      assert.equal(await read(one, id), 'first');
      return loads >= 1;
    },
    5_000,
  );
  assert.ok((await one.metric('cache_early_expirations_total')) >= 1);
  const { earlyExpiration, hitRatio } = one.cache.statistics();
  assert.ok(earlyExpiration.checks >= 1 && earlyExpiration.expirations >= 1 && hitRatio !== undefined && hitRatio > 0);
});
