/** Two crm processes with one Redis: reads through the cache, own writes, statistics, and requests to invalidate. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startServices } from '../../local/src/services/index.ts';
import type { ServiceSet } from '../../local/src/services/index.ts';
import type { Workload } from '../shared/testing/workload.ts';
import { waitFor } from '../shared/testing/wait.ts';
import { CrmPlatform } from './testing/platform.ts';
import type { CrmClient } from './testing/platform.ts';

const LIMIT = { timeout: 120_000 };

let platform: CrmPlatform;
let redis: { redis: ServiceSet['redis']; stop(): Promise<void> };
let one: { workload: Workload; client: CrmClient };
let other: { workload: Workload; client: CrmClient };

before(async () => {
  [platform, redis] = await Promise.all([CrmPlatform.start(), startServices({ redis: true })]);
  const { host, port } = platform.services.postgres;
  const env = { REDIS_URL: redis.redis.url, CACHE_LISTENER_URL: `postgresql://crm@${host}:${port}/crm` };
  [one, other] = await Promise.all([platform.crm(env), platform.crm(env)]);
  for (const { client } of [one, other])
    await waitFor('the cache to be in use', async () => {
      const { body } = await client.get('cache/statistics');
      return body['trusted'] === true && body['redis'] === 'joined';
    });
}, LIMIT);
after(async () => {
  await platform?.stop();
  await redis?.stop();
}, LIMIT);

const reads = (workload: Workload, result: string) => workload.metric('cache_requests_total', `cache="customers",result="${result}"`);

test('a client sees its own writes at once, and another process sees them soon', LIMIT, async () => {
  const created = await one.client.post('customers', { name: 'Ada' });
  assert.equal(created.status, 201, JSON.stringify(created.body));
  const path = `customers/${String(created.body['id'])}`;
  let { etag } = created;
  assert.equal((await other.client.get(path)).etag, etag);
  for (let n = 0; n < 5; n += 1) {
    const changed = await one.client.patch(path, { name: `Ada ${n}` }, etag);
    assert.equal(changed.status, 200, JSON.stringify(changed.body));
    ({ etag } = changed);
    assert.equal((await one.client.get(path)).body['name'], `Ada ${n}`);
    await waitFor('the other process to see it', async () => (await other.client.get(path)).etag === etag, 2_000);
  }
});

test('repeated reads of a customer, of a list and of a summary come from the cache', LIMIT, async () => {
  const { body } = await one.client.post('customers', { name: 'Grace' });
  const paths = [`customers/${String(body['id'])}`, 'customers?limit=5', 'customers/summary', `customers/${String(body['id'])}/addresses`];
  for (const path of paths) {
    const first = await one.client.get(path);
    assert.equal(first.status, 200);
    // The message of the other process about the new row may arrive after the first read and remove what it stored.
    await waitFor(`${path} to come from the cache`, async () => {
      const misses = await reads(one.workload, 'miss');
      assert.deepEqual((await one.client.get(path)).body, first.body);
      return (await reads(one.workload, 'miss')) === misses;
    });
  }
  assert.ok((await reads(one.workload, 'local')) >= 3);
  const { body: statistics } = await one.client.get('cache/statistics');
  assert.ok(Number(statistics['entries']) >= 4 && Number(statistics['hitRatio']) > 0);
});

test('a request to one process invalidates in both; a request without content or with too many stars is refused', LIMIT, async () => {
  const { body } = await one.client.post('customers', { name: 'Edsger' });
  const id = String(body['id']);
  await other.client.get(`customers/${id}`);
  await platform.sql('ALTER TABLE customer DISABLE TRIGGER USER');
  await platform.sql(`UPDATE customer SET name = 'changed' WHERE id = $1`, [id]);
  await platform.sql('ALTER TABLE customer ENABLE TRIGGER USER');
  assert.equal((await other.client.get(`customers/${id}`)).body['name'], 'Edsger', 'nobody has been notified');
  const answer = await one.client.post('cache/invalidate', { customers: [id], patterns: ['customers:list:*'] });
  assert.equal(answer.status, 200, JSON.stringify(answer.body));
  assert.ok((answer.body['names'] as string[]).includes(`customer:${id}`));
  await waitFor('the other process to load it', async () => (await other.client.get(`customers/${id}`)).body['name'] === 'changed', 2_000);
  assert.equal((await one.client.post('cache/invalidate', {})).status, 400);
  assert.equal((await one.client.post('cache/invalidate', { patterns: ['*a*b*c*d*e'] })).status, 400);
});
