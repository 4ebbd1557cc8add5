/** The HTTP API of the ledger: the process with its real database, as its callers use it, and killed in the middle of their requests. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { PROBLEMS } from '../shared/contracts/ledger.ts';
import { waitFor } from '../shared/testing/wait.ts';
import { freePort, Workload } from '../shared/testing/workload.ts';
import { LedgerDatabase } from './testing/database.ts';

const LIMIT = { timeout: 180_000 };
const KEY = 'the-key-of-the-ledger-for-this-test-0';
let database: LedgerDatabase;
let ledger: Workload;
let base: string;

interface Answer {
  status: number;
  body: Record<string, unknown>;
}

async function start(): Promise<void> {
  const port = await freePort();
  base = `http://127.0.0.1:${port}`;
  ledger = await Workload.start('ledger', { ...database.env('ledger'), PORT: String(port), API_KEY: KEY });
  await ledger.ready();
}

before(async () => {
  database = await LedgerDatabase.start(20);
  await start();
}, LIMIT);
after(async () => {
  await ledger?.stop();
  await database?.stop();
}, LIMIT);

async function call(method: 'GET' | 'POST', path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  const content = body === undefined ? {} : { body: JSON.stringify(body) };
  const type: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' };
  const response = await fetch(`${base}${path}`, { method, headers: { 'x-api-key': KEY, ...type, ...headers }, ...content });
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}
const post = (path: string, body?: unknown) => call('POST', `/api/v1${path}`, body);
const get = (path: string) => call('GET', `/api/v1${path}`);

const transfer = (externalId: string, from: string, to: string, amount: number, change: object = {}) => ({
  externalId,
  currency: 'EUR',
  postings: [
    { accountId: from, amountMinor: String(-amount) },
    { accountId: to, amountMinor: String(amount) },
  ],
  ...change,
});

test('opens accounts: repeated requests return the account, another content is refused', LIMIT, async () => {
  const alice = { id: 'alice', kind: 'customer', currency: 'EUR', productCode: 'current' };
  const opened = await post('/accounts', alice);
  assert.equal(opened.status, 200, JSON.stringify(opened));
  assert.equal(opened.body['minBalanceMinor'], '0', 'no overdraft unless allowed');
  assert.deepEqual(await post('/accounts', alice), opened);
  assert.equal((await post('/accounts', { ...alice, currency: 'USD' })).body['code'], 'account_exists');
  assert.equal((await post('/accounts', { ...alice, id: 'x', currency: 'XXX' })).body['code'], 'currency_not_found');
  assert.equal((await post('/accounts', { ...alice, id: 'x', productCode: 'none' })).body['code'], 'product_not_found');
  assert.equal((await post('/accounts', { id: 'x', kind: 'customer', currency: 'EUR' })).status, 400);
  assert.equal((await post('/accounts', { id: 'bank', kind: 'internal', currency: 'EUR' })).body['minBalanceMinor'], null);
  const bob = { ...alice, id: 'bob', minBalanceMinor: '-50' };
  assert.equal((await post('/accounts', bob)).body['minBalanceMinor'], '-50');
});

test('posts transactions, and answers a repeated one with the first', LIMIT, async () => {
  const first = await post('/transactions', transfer('t1', 'bank', 'alice', 100));
  assert.equal(first.status, 200, JSON.stringify(first));
  assert.equal(first.body['replayed'], false);
  const again = await post('/transactions', transfer('t1', 'bank', 'alice', 100));
  assert.deepEqual(again.body, { ...first.body, replayed: true });
  const view = await get(`/transactions/${String(first.body['transactionId'])}`);
  assert.deepEqual(view.body['postings'], [
    { accountId: 'bank', amountMinor: '-100', sequence: 1 },
    { accountId: 'alice', amountMinor: '100', sequence: 1 },
  ]);
  assert.equal((await get('/accounts/alice/balance')).body['balanceMinor'], '100');
});

const refused: Record<string, { body: object; status: number; code: string; detail: RegExp }> = {
  'too little money': {
    body: transfer('r', 'alice', 'bob', 101),
    status: 422,
    code: 'insufficient_funds',
    detail: /Account alice has not enough/,
  },
  'an unknown account': { body: transfer('r', 'alice', 'nobody', 1), status: 404, code: 'account_not_found', detail: /no account nobody/ },
  'another currency': {
    body: transfer('r', 'alice', 'bob', 1, { currency: 'USD' }),
    status: 422,
    code: 'currency_mismatch',
    detail: /Account alice is not in USD/,
  },
  'a used external id': { body: transfer('t1', 'bank', 'alice', 99), status: 409, code: 'duplicate', detail: /External id t1/ },
  'postings that do not sum to zero': {
    body: {
      externalId: 'r',
      currency: 'EUR',
      postings: [
        { accountId: 'alice', amountMinor: '5' },
        { accountId: 'bob', amountMinor: '-4' },
      ],
    },
    status: 422,
    code: 'unbalanced',
    detail: /sum to 1/,
  },
};
for (const [name, { body, status, code, detail }] of Object.entries(refused)) {
  test(`refuses ${name}, counts it by error type, and leaves nothing`, LIMIT, async () => {
    const [state, counted] = [await database.store.check(), await ledger.metric('ledger_entry_validation_errors_total', `"${code}"`)];
    const answer = await post('/transactions', body);
    assert.equal(answer.status, status, JSON.stringify(answer));
    assert.equal(answer.body['code'], code);
    assert.match(String(answer.body['detail']), detail);
    assert.deepEqual(await database.store.check(), state);
    assert.equal(await ledger.metric('ledger_entry_validation_errors_total', `"${code}"`), counted + 1);
  });
}

test('a batch accepts and rejects each transaction on its own, in order', LIMIT, async () => {
  const created = await ledger.metric('ledger_entries_created_total');
  const batch = [
    transfer('b1', 'alice', 'bob', 100),
    transfer('b2', 'alice', 'bob', 1),
    transfer('b3', 'bob', 'alice', 30),
    transfer('b4', 'alice', 'bob', 30),
    transfer('b1', 'alice', 'bob', 100),
    {
      ...transfer('b5', 'alice', 'bob', 30),
      postings: [
        { accountId: 'bob', amountMinor: '1' },
        { accountId: 'bob', amountMinor: '1' },
      ],
    },
  ];
  const { status, body } = await post('/transactions/batch', { transactions: batch });
  assert.equal(status, 200, JSON.stringify(body));
  const results = body['results'] as { status: string; errorType: string | null; transactionId: string }[];
  assert.deepEqual(
    results.map((result) => result.errorType ?? result.status),
    ['posted', 'insufficient_funds', 'posted', 'posted', 'replayed', 'unbalanced'],
  );
  assert.equal(results[4]?.transactionId, results[0]?.transactionId);
  assert.equal(await ledger.metric('ledger_entries_created_total'), created + 3);
});

test('a batch of 500 transactions is within the limits of a request', LIMIT, async () => {
  const transactions = Array.from({ length: 500 }, (_value, index) => transfer(`${'long-id-'.repeat(10)}${index}`, 'bank', 'bob', 1));
  const { status, body } = await post('/transactions/batch', { transactions });
  assert.equal(status, 200, JSON.stringify(body).slice(0, 300));
  assert.ok((body['results'] as { status: string }[]).every((result) => result.status === 'posted'));
  assert.equal(await ledger.metric('ledger_batch_size_bucket', 'le="250"'), (await ledger.metric('ledger_batch_size_count')) - 1);
});

test('holds reserve, are settled in part, voided, and expire', LIMIT, async () => {
  await post('/transactions', transfer('fund', 'bank', 'alice', 200));
  const hold = (externalId: string, amount: number, change: object = {}) =>
    post('/holds', { externalId, accountId: 'alice', currency: 'EUR', amountMinor: String(amount), ...change });
  const balance = async () => {
    const { body } = await get('/accounts/alice');
    return [body['balanceMinor'], body['heldMinor']];
  };
  const [funds = ''] = (await balance()) as string[];
  const placed = await hold('h1', 150);
  assert.equal(placed.body['state'], 'pending', JSON.stringify(placed));
  assert.equal((await post('/transactions', transfer('h-over', 'alice', 'bob', Number(funds) - 149))).body['code'], 'insufficient_funds');
  const path = `/holds/${String(placed.body['id'])}`;
  assert.equal((await post(`${path}/settle`, { externalId: 's1', toAccountId: 'bob', amountMinor: '151' })).body['code'], 'hold_exceeded');
  const settled = await post(`${path}/settle`, { externalId: 's1', toAccountId: 'bob', amountMinor: '120' });
  assert.equal(settled.status, 200, JSON.stringify(settled));
  assert.equal((await post(`${path}/settle`, { externalId: 's1', toAccountId: 'bob', amountMinor: '120' })).body['replayed'], true);
  assert.equal((await post(`${path}/settle`, { externalId: 's2', toAccountId: 'bob' })).body['code'], 'hold_not_pending');
  assert.deepEqual(await balance(), [String(Number(funds) - 120), '0']);
  assert.equal((await get(path)).body['settledMinor'], '120');

  const second = `/holds/${String((await hold('h2', 10)).body['id'])}`;
  assert.equal((await post(`${second}/void`)).body['state'], 'voided');
  assert.equal((await post(`${second}/void`)).body['state'], 'voided', 'repeated');
  const soon = new Date(Date.now() + 1_000).toISOString();
  const third = `/holds/${String((await hold('h3', 10, { expiresAt: soon })).body['id'])}`;
  assert.deepEqual((await balance())[1], '10');
  await waitFor('the hold to expire', async () => (await get(third)).body['state'] === 'expired', 20_000);
  assert.equal((await post(`${third}/settle`, { externalId: 's3', toAccountId: 'bob' })).body['code'], 'hold_expired');
  assert.deepEqual((await balance())[1], '0');
  assert.equal((await post('/holds/01890a5d-ac96-774b-bcce-b302099a8057/void')).body['code'], 'hold_not_found');
  assert.equal(await ledger.metric('ledger_holds_expired_total'), 1);
});

test('reverses a transaction once', LIMIT, async () => {
  const { body } = await post('/transactions', transfer('mistake', 'bank', 'bob', 77));
  const path = `/transactions/${String(body['transactionId'])}/reversal`;
  const reversal = await post(path, { externalId: 'undo' });
  assert.equal(reversal.status, 200, JSON.stringify(reversal));
  assert.equal((await post(path, { externalId: 'undo' })).body['replayed'], true);
  assert.equal((await post(path, { externalId: 'undo-2' })).body['code'], 'already_reversed');
  const again = `/transactions/${String(reversal.body['transactionId'])}/reversal`;
  assert.equal((await post(again, { externalId: 'undo-3' })).body['code'], 'not_reversible');
  assert.equal((await get(`/transactions/${String(body['transactionId'])}`)).body['reversedBy'], reversal.body['transactionId']);
  assert.equal(
    (await post('/transactions/01890a5d-ac96-774b-bcce-b302099a8057/reversal', { externalId: 'x' })).body['code'],
    'transaction_not_found',
  );
});

interface Line {
  sequence: number;
  balanceAfterMinor: string;
  amountMinor: string;
  postedAt: string;
}

test('a statement has pages and periods, and the balance at a time is that of its line', LIMIT, async () => {
  const lines: Line[] = [];
  for (let page = ''; ;) {
    const { status, body } = await get(`/accounts/bob/statement?limit=100${page}`);
    assert.equal(status, 200, JSON.stringify(body));
    lines.push(...(body['lines'] as Line[]));
    const { next } = body;
    if (typeof next !== 'number') break;
    page = `&before=${next}`;
  }
  assert.deepEqual(
    lines.map(({ sequence }) => sequence),
    lines.map((_line, index) => lines.length - index),
    'no gap, none twice',
  );
  const { body: account } = await get('/accounts/bob/balance');
  assert.equal(lines[0]?.balanceAfterMinor, account['balanceMinor']);
  const middle = lines.findIndex(({ postedAt }, index) => index > 0 && postedAt < (lines[index - 1]?.postedAt ?? ''));
  const cut = lines[middle - 1]?.postedAt ?? '';
  const older = await get(`/accounts/bob/statement?to=${cut}&limit=1`);
  assert.equal((older.body['lines'] as Line[])[0]?.sequence, lines[middle]?.sequence);
  const newer = await get(`/accounts/bob/statement?from=${cut}&limit=1000`);
  assert.equal((newer.body['lines'] as Line[]).at(-1)?.sequence, lines[middle - 1]?.sequence);
  const just = new Date(Date.parse(cut) - 1).toISOString();
  assert.equal((await get(`/accounts/bob/balance?at=${just}`)).body['balanceMinor'], lines[middle]?.balanceAfterMinor);
  assert.equal((await get('/accounts/bob/balance?at=2020-01-01T00:00:00Z')).body['balanceMinor'], '0');
});

test('closes an empty account, and refuses its postings', LIMIT, async () => {
  await post('/accounts', { id: 'short', kind: 'internal', currency: 'EUR', minBalanceMinor: '0' });
  await post('/transactions', transfer('c1', 'bank', 'short', 1));
  assert.equal((await post('/accounts/short/close')).body['code'], 'account_not_empty');
  await post('/transactions', transfer('c2', 'short', 'bank', 1));
  assert.notEqual((await post('/accounts/short/close')).body['closedAt'], null);
  assert.equal((await post('/accounts/short/close')).status, 200, 'repeated');
  assert.equal((await post('/transactions', transfer('c3', 'bank', 'short', 1))).body['code'], 'account_closed');
  assert.equal((await post('/accounts/nobody/close')).body['code'], 'account_not_found');
});

test('a caller without the key is refused, and OpenAPI lists the problems of every operation', LIMIT, async () => {
  const anonymous = await call('POST', '/api/v1/transactions', transfer('x', 'bank', 'bob', 1), { 'x-api-key': 'wrong'.repeat(8) });
  assert.equal(anonymous.status, 401);
  const { paths } = (await call('GET', '/openapi.json')).body as { paths: Record<string, Record<string, { responses: object }>> };
  const documented = JSON.stringify(paths['/api/v1/transactions']?.['post']?.responses);
  for (const code of ['insufficient_funds', 'account_not_found', 'currency_mismatch', 'duplicate', 'account_closed', 'unbalanced']) {
    assert.ok(documented.includes(`\`${code}\``), code);
  }
  const all = JSON.stringify(paths);
  for (const code of Object.keys(PROBLEMS)) assert.ok(all.includes(`\`${code}\``), code);
});

test('transactions whose process is killed are applied once when they are repeated', LIMIT, async () => {
  const atStart = await database.store.check();
  const ids = Array.from({ length: 300 }, (_value, index) => `kill-${index}`);
  const send = async (id: string): Promise<string | undefined> => {
    const { status, body } = await post('/transactions', transfer(id, 'bank', 'alice', 1));
    return status === 200 ? String(body['transactionId']) : undefined;
  };
  const first = Promise.allSettled(ids.map(send));
  await waitFor('the first of them', async () => (await database.store.check()).transactions > atStart.transactions);
  await ledger.end('SIGKILL');
  const answered = (await first).map((result) => (result.status === 'fulfilled' ? result.value : undefined));
  await start();
  const repeated: (string | undefined)[] = [];
  for (let at = 0; at < ids.length; at += 100) repeated.push(...(await Promise.all(ids.slice(at, at + 100).map(send))));
  assert.ok(repeated.every((id) => id !== undefined));
  for (const [index, id] of answered.entries()) if (id !== undefined) assert.equal(repeated[index], id, 'an answer stays true');
  const check = await database.store.check();
  assert.equal(check.transactions - atStart.transactions, ids.length);
  assert.ok(check.ok, JSON.stringify(check));
});
