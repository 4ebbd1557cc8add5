/** Accounts are opened through the gateway, with real Kafka and databases, lost answers and a killed process. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Pool } from 'pg';
import { FaultProxy } from '../shared/testing/fault-proxy.ts';
import { TestPlatform } from '../shared/testing/platform.ts';
import { readTopic } from '../shared/testing/read-topic.ts';
import { seriesWithinBudget } from '../shared/testing/series.ts';
import { waitFor } from '../shared/testing/wait.ts';
import { freePort, type Workload } from '../shared/testing/workload.ts';

const LIMIT = { timeout: 180_000 };
const KEY = 'the-key-of-the-platform-for-this-test';
const LEDGER_KEY = 'the-key-of-the-ledger-for-this-test-0';
const ACCOUNTS_KEY = 'the-key-of-the-accounts-for-this-test-';
const TOPIC = 'account.opened.v1';
const POST = (chunk: Buffer): boolean => chunk.includes('POST /api/v1/accounts');
const END_STATEMENT = (chunk: Buffer): boolean => chunk.includes("SET status = 'opened'");

let platform: TestPlatform;
let toLedger: FaultProxy;
let toDatabase: FaultProxy;
let accounts: Workload;
let database: Pool;
let base: string;
let accountsPort: number;

const startAccounts = async (): Promise<void> => {
  accounts = await platform.run('accounts', {
    ...platform.env('accounts'),
    DATABASE_URL: `postgresql://accounts@${toDatabase.host}:${toDatabase.port}/accounts`,
    PORT: String(accountsPort),
    LEDGER_URL: `http://127.0.0.1:${toLedger.port}`,
    LEDGER_API_KEY: LEDGER_KEY,
    API_KEY: ACCOUNTS_KEY,
  });
  await accounts.ready();
};

before(async () => {
  platform = await TestPlatform.start(10);
  await platform.createTopic(TOPIC, 3);
  const [ledgerPort, gatewayPort] = [await freePort(), await freePort()];
  accountsPort = await freePort();
  toLedger = await FaultProxy.start({ host: '127.0.0.1', port: ledgerPort });
  toDatabase = await FaultProxy.start({ host: platform.services.pgbouncer.host, port: platform.services.pgbouncer.port });
  database = new Pool({ connectionString: platform.services.postgres.url('accounts'), max: 2 });
  const ledger = await platform.run('ledger', { ...platform.env('ledger'), PORT: String(ledgerPort), API_KEY: LEDGER_KEY });
  const gateway = await platform.run('gateway', {
    ...platform.env('ledger'),
    PORT: String(gatewayPort),
    API_KEY: KEY,
    LEDGER_URL: `http://127.0.0.1:${ledgerPort}`,
    LEDGER_API_KEY: LEDGER_KEY,
    ACCOUNTS_URL: `http://127.0.0.1:${accountsPort}`,
    ACCOUNTS_API_KEY: ACCOUNTS_KEY,
  });
  base = `http://127.0.0.1:${gatewayPort}`;
  await Promise.all([startAccounts(), ledger.ready(), gateway.ready()]);
}, LIMIT);
after(async () => {
  await database?.end();
  await platform?.stop();
  await Promise.all([toLedger?.stop(), toDatabase?.stop()]);
}, LIMIT);

async function open(body: object, key?: string) {
  const headers = { 'x-api-key': KEY, 'content-type': 'application/json', ...(key === undefined ? {} : { 'idempotency-key': key }) };
  const response = await fetch(`${base}/api/v1/accounts`, { method: 'POST', headers, body: JSON.stringify(body) });
  return { status: response.status, headers: response.headers, body: (await response.json()) as Record<string, unknown> };
}

const product = { currency: 'EUR', productCode: 'current' };
const inLedger = async (id: string): Promise<number> => (await platform.sql('SELECT FROM account WHERE id = $1', [id])).length;
async function events(): Promise<{ key: string; value: string; headers: Record<string, string> }[]> {
  const records = await readTopic(platform.services.kafka.brokers, TOPIC);
  return records.map(({ key, value, headers }) => ({ key: String(key), value: String(value), headers }));
}

test('50 parallel requests with one key open one account, whose event follows', LIMIT, async () => {
  const answers = await Promise.all(Array.from({ length: 50 }, () => open(product, 'parallel')));
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [201], JSON.stringify(answers[0]?.body));
  assert.equal(new Set(answers.map(({ body }) => JSON.stringify(body))).size, 1);
  const account = answers[0]?.body ?? {};
  assert.equal(await inLedger(String(account['id'])), 1);
  assert.equal(await accounts.metric('accounts_created_total'), 1);
  const event = await waitFor('the event', async () => (await events()).find(({ key }) => key === account['id']));
  assert.deepEqual(JSON.parse(event.value), account);
  assert.equal(event.headers['ce_type'], TOPIC);
});

test('an id is a key as well; another content is refused', LIMIT, async () => {
  const first = await open({ ...product, id: 'alice', minBalanceMinor: '-50' });
  assert.equal(first.status, 201, JSON.stringify(first.body));
  assert.equal(first.body['minBalanceMinor'], '-50');
  const again = await open({ ...product, id: 'alice', minBalanceMinor: '-50' });
  assert.deepEqual([again.status, again.body, again.headers.get('idempotency-replayed')], [201, first.body, 'true']);
  assert.equal((await open({ ...product, id: 'alice' })).body['code'], 'account_exists');
  await open({ ...product, id: 'bob' }, 'bob');
  assert.equal((await open({ ...product, id: 'bob', minBalanceMinor: null }, 'bob')).body['code'], 'idempotency_key_reused');
  assert.equal((await open(product)).body['code'], 'validation_failed', 'neither key nor id');
});

test('a rejected request repeats its problem, and leaves its id free', LIMIT, async () => {
  const wrong = { ...product, id: 'carol', productCode: 'none' };
  const first = await open(wrong, 'carol');
  assert.deepEqual([first.status, first.body['code']], [422, 'product_not_found']);
  const again = await open(wrong, 'carol');
  assert.deepEqual([again.body, again.headers.get('idempotency-replayed')], [first.body, 'true']);
  assert.equal((await open({ ...product, id: 'carol' }, 'carol-2')).status, 201);
  assert.equal(await accounts.metric('account_creation_errors_total', 'product_not_found'), 1);
});

test('an account whose answer from the ledger is lost is opened once', LIMIT, async () => {
  const lost = toLedger.dropAnswers(POST);
  const answer = await open({ ...product, id: 'dave' });
  await lost;
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
});

test('a process that is killed after the ledger has opened the account: the request is resumed, and the event follows', LIMIT, async () => {
  const held = toDatabase.hold(END_STATEMENT);
  const request = open({ ...product, id: 'erin' }, 'erin').catch(() => undefined);
  await held;
  await accounts.end('SIGKILL');
  assert.equal(await inLedger('erin'), 1, 'the ledger has it');
  await request;
  const state = async () =>
    (await database.query<{ status: string }>(`SELECT status FROM account_request WHERE account_id = 'erin'`)).rows[0]?.status;
  assert.equal(await state(), 'requested');
  await startAccounts();
  await waitFor('the request to be resumed', async () => (await state()) === 'opened', 60_000);
  await waitFor('the event', async () => (await events()).some(({ key }) => key === 'erin'), 60_000);
  assert.equal((await open({ ...product, id: 'erin' }, 'erin')).headers.get('idempotency-replayed'), 'true');
});

test('whatever clients send, the series of the process stay within their budget', LIMIT, async (context) => {
  const requests = Array.from({ length: 100 }, async (_value, index) => {
    const own = `http://127.0.0.1:${accountsPort}`;
    const answers = await Promise.all([
      open({ ...product, id: `hostile-${index}`, productCode: `hostile-${index}` }),
      open({ ...product, currency: `hostile-${index}` }, `hostile-${index}`),
      fetch(`${own}/hostile/${index}`, { headers: { 'x-api-key': ACCOUNTS_KEY } }),
      fetch(`${own}/api/v1/accounts`, { method: 'POST', headers: { 'x-api-key': `hostile-${index}-0123456789012345` } }),
    ]);
    return answers.map(({ status }) => status);
  });
  const statuses = new Set((await Promise.all(requests)).flat());
  assert.ok(
    [400, 401, 404, 422].every((status) => statuses.has(status)),
    [...statuses].join(' '),
  );
  context.diagnostic(`series: ${await seriesWithinBudget('accounts', accounts.metricsUrl, /hostile/)}`);
});

test('every opened account has an event, and the outbox is empty', LIMIT, async () => {
  await waitFor('the outbox to be empty', async () => (await database.query('SELECT FROM outbox')).rowCount === 0);
  const opened = await database.query<{ id: string }>(`SELECT account_id AS id FROM account_request WHERE status = 'opened' ORDER BY 1`);
  const published = new Set((await events()).map(({ key }) => key));
  assert.deepEqual(
    opened.rows.filter(({ id }) => !published.has(id)),
    [],
  );
});
