/** Transfers over HTTP, with real databases, lost answers and killed processes. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { seriesWithinBudget } from '../shared/testing/series.ts';
import { waitFor } from '../shared/testing/wait.ts';
import { END_STATEMENT, FUNDS, LEDGER_POST, TransferPlatform } from './testing/platform.ts';

const LIMIT = { timeout: 180_000 };
let platform: TransferPlatform;

before(async () => {
  platform = await TransferPlatform.start(['alice', 'bob', 'carol']);
}, LIMIT);
after(() => platform?.stop(), LIMIT);

const body = (amount: number, change: object = {}) => ({
  fromAccount: 'alice',
  toAccount: 'bob',
  amountMinor: String(amount),
  currency: 'EUR',
  ...change,
});
const metric = (name: string, labels?: string) => platform.orchestrator.metric(name, labels);

/** Calls of the own database so far by operation, without those of the sweeper: one reading, so that none comes between. */
async function calls(): Promise<Record<string, number>> {
  const text = await (await fetch(`${platform.orchestrator.metricsUrl}/metrics`)).text();
  const series = [...text.matchAll(/^db_calls_total\{.*operation="([^"]+)".*\} (\d+)/gm)];
  const counts = series.map(([, operation = '', count]): [string, number] => [operation, Number(count)]);
  return Object.fromEntries(counts.filter(([operation]) => !/abandoned|expire|oldest/.test(operation)));
}

test('a transfer is one transaction of the ledger, with two calls of the own database', LIMIT, async () => {
  const initial = { alice: await platform.balance('alice'), bob: await platform.balance('bob'), calls: await calls() };
  const completed = await metric('transfers_completed_total');
  const { status, body: made, headers } = await platform.transfer('first', body(1_250));
  assert.equal(status, 201, JSON.stringify(made));
  assert.equal(headers.get('idempotency-replayed'), null);
  const { transferId, transactionId, createdAt, completedAt, ...rest } = made;
  assert.deepEqual(rest, { ...body(1_250), status: 'completed' });
  assert.ok(String(createdAt) <= String(completedAt));
  const ownCalls = Object.entries(await calls()).map(([operation, count]): [string, number] => [
    operation,
    count - (initial.calls[operation] ?? 0),
  ]);
  assert.deepEqual(Object.fromEntries(ownCalls.filter(([, count]) => count !== 0)), { 'initiate transfers': 1, 'end transfers': 1 });
  assert.deepEqual([await platform.balance('alice'), await platform.balance('bob')], [initial.alice - 1_250, initial.bob + 1_250]);
  const [entry] = await platform.database.sql<{ id: string }>('SELECT id::text FROM journal_transaction WHERE external_id = $1', [
    `transfer:${String(transferId)}`,
  ]);
  assert.equal(entry?.id, transactionId);
  const read = await platform.read(String(transferId));
  assert.deepEqual(read.body, { ...made, errorType: null });
  assert.equal(await metric('transfers_completed_total'), completed + 1);
  for (const { name, log } of [platform.orchestrator, platform.ledger])
    assert.match(log, new RegExp(`"transfer_id":"${String(transferId)}"`), `the log of the ${name}`);
});

test('50 parallel requests with one key make one transfer, and have one answer', LIMIT, async () => {
  const [alice, hits] = [await platform.balance('alice'), await metric('idempotency_hits_total')];
  const answers = await Promise.all(Array.from({ length: 50 }, () => platform.transfer('parallel', body(7))));
  assert.deepEqual([...new Set(answers.map(({ status }) => status))], [201]);
  assert.equal(new Set(answers.map((answer) => JSON.stringify(answer.body))).size, 1);
  assert.equal(answers.filter(({ headers }) => headers.get('idempotency-replayed') === null).length, 1, 'one of them has made it');
  assert.equal(await platform.balance('alice'), alice - 7);
  assert.equal(await metric('idempotency_hits_total'), hits + 49);
});

test('requests with one key at two replicas make one transfer', LIMIT, async () => {
  const other = await platform.replica();
  const alice = await platform.balance('alice');
  for (let round = 0; round < 10; round++) {
    const key = `replicas-${round}`;
    const answers = await Promise.all([
      platform.transfer(key, body(1)),
      platform.transfer(key, body(1), {}, other),
      platform.transfer(key, body(1)),
      platform.transfer(key, body(1), {}, other),
    ]);
    assert.deepEqual([...new Set(answers.map(({ status }) => status))], [201], JSON.stringify(answers));
    assert.equal(new Set(answers.map((answer) => JSON.stringify(answer.body))).size, 1);
  }
  assert.equal(await platform.balance('alice'), alice - 10);
  await platform.stopReplicas();
});

test('a key with another body is refused, and is another one for another client', LIMIT, async () => {
  const first = await platform.transfer('reused', body(1));
  for (const change of [{ amountMinor: '2' }, { toAccount: 'carol' }, { fromAccount: 'carol' }, { currency: 'USD' }]) {
    const refused = await platform.transfer('reused', body(1, change));
    assert.deepEqual([refused.status, refused.body['code']], [422, 'idempotency_key_reused'], JSON.stringify(change));
  }
  const other = await platform.transfer('reused', body(2), { 'x-bss-client': 'key:billing' });
  assert.equal(other.status, 201);
  assert.notEqual(other.body['transferId'], first.body['transferId']);
});

test('a rejected transfer leaves nothing, and repeats its problem', LIMIT, async () => {
  const alice = await platform.balance('alice');
  const failed = await metric('transfers_failed_total', 'error_type="insufficient_funds"');
  const first = await platform.transfer('rejected', body(FUNDS * 2));
  assert.deepEqual([first.status, first.body['code']], [422, 'insufficient_funds']);
  // Even when the account could pay now: the key has its answer.
  await platform.transfer(randomUUID(), body(FUNDS * 3, { fromAccount: 'bank', toAccount: 'alice' }));
  const again = await platform.transfer('rejected', body(FUNDS * 2));
  assert.deepEqual([again.status, again.body], [first.status, first.body]);
  assert.equal(again.headers.get('idempotency-replayed'), 'true');
  assert.equal(await platform.balance('alice'), alice + FUNDS * 3);
  assert.equal(await metric('transfers_failed_total', 'error_type="insufficient_funds"'), failed + 1);
  const [row] = await platform.sql<{ id: string }>(`SELECT id::text FROM transfer WHERE idempotency_key = 'rejected'`);
  const read = await platform.read(row?.id ?? '');
  assert.deepEqual([read.body['status'], read.body['errorType'], read.body['completedAt']], ['rejected', 'insufficient_funds', null]);
});

const invalid: Record<string, [string, object, RegExp]> = {
  'a key with a space': ['a key', body(1), /header\.idempotency-key: must be 1 to 128 visible/],
  'a key that is too long': ['k'.repeat(129), body(1), /header\.idempotency-key/],
  'an amount of 0': ['x', body(0), /body\.amountMinor/],
  'an amount as a number': ['x', body(1, { amountMinor: 1 }), /body\.amountMinor/],
  'an unknown field': ['x', body(1, { note: 'x' }), /note/],
};
for (const [name, [key, content, detail]] of Object.entries(invalid)) {
  test(`refuses ${name}`, LIMIT, async () => {
    const answer = await platform.transfer(key, content);
    assert.deepEqual([answer.status, answer.body['code']], [400, 'validation_failed']);
    assert.match(String(answer.body['detail']), detail);
  });
}

test('refuses a transfer from an account to itself, and does not use its key up', LIMIT, async () => {
  const refused = await platform.transfer('itself', body(1, { toAccount: 'alice' }));
  assert.deepEqual([refused.status, refused.body['code']], [422, 'same_account']);
  assert.equal((await platform.transfer('itself', body(1))).status, 201);
});

test('a transfer whose answer from the ledger is lost is posted once', LIMIT, async () => {
  const lost = platform.toLedger.dropAnswers(LEDGER_POST);
  const answer = await platform.transfer('lost', body(3));
  await lost;
  assert.equal(answer.status, 201, JSON.stringify(answer.body));
  assert.equal((await platform.posted()).get(String(answer.body['transferId'])), 1);
});

test('a process that is killed after the commit of the ledger: the transfer is resumed, and applied once', LIMIT, async () => {
  const alice = await platform.balance('alice');
  const held = platform.toDatabase.hold(END_STATEMENT);
  const request = platform.transfer('killed', body(11)).catch(() => undefined);
  await held;
  await platform.orchestrator.end('SIGKILL');
  assert.equal(await request, undefined, 'the client has no answer');
  assert.equal(await platform.balance('alice'), alice - 11, 'the ledger has committed');
  const [row] = await platform.sql<{ id: string; status: string }>(
    `SELECT id::text, status FROM transfer WHERE idempotency_key = 'killed'`,
  );
  assert.equal(row?.status, 'initiated');
  await platform.startOrchestrator();
  await waitFor('the transfer to be resumed', async () => (await platform.read(row.id)).body['status'] === 'completed', 60_000);
  const answer = await platform.transfer('killed', body(11));
  assert.deepEqual([answer.status, answer.headers.get('idempotency-replayed')], [201, 'true']);
  assert.equal(await platform.balance('alice'), alice - 11);
  assert.equal((await platform.posted()).get(row.id), 1);
});

test('a second request while the transfer is in progress gets 409, and later the answer', LIMIT, async () => {
  platform.ledger.signal('SIGSTOP');
  const first = platform.transfer('slow', body(5));
  await waitFor(
    'the transfer to be initiated',
    async () => (await platform.sql(`SELECT FROM transfer WHERE idempotency_key = 'slow'`)).length === 1,
  );
  const second = await platform.transfer('slow', body(5));
  platform.ledger.signal('SIGCONT');
  assert.deepEqual([second.status, second.body['code'], second.headers.get('retry-after')], [409, 'transfer_in_progress', '1']);
  await first;
  await waitFor('the answer', async () => (await platform.transfer('slow', body(5))).status === 201, 60_000);
});

test('while the ledger is away the client gets 503, and the same key completes later', LIMIT, async () => {
  const alice = await platform.balance('alice');
  await platform.ledger.end('SIGTERM');
  const away = await platform.transfer('away', body(13));
  assert.deepEqual([away.status, away.body['code']], [503, 'ledger_unavailable']);
  assert.ok((await metric('transfers_failed_total', 'error_type="ledger_unavailable"')) > 0);
  await platform.transfer('away-too', body(17));
  await platform.startLedger();
  await waitFor('the same key to complete', async () => (await platform.transfer('away', body(13))).status === 201, 60_000);
  await waitFor(
    'the sweeper to complete the other one',
    async () => (await platform.sql(`SELECT FROM transfer WHERE status = 'initiated'`)).length === 0,
    60_000,
  );
  assert.equal(await platform.balance('alice'), alice - 13 - 17);
  assert.ok((await metric('transfers_resumed_total')) >= 1);
});

test('whatever clients send, the series of the process stay within their budget', LIMIT, async (context) => {
  // A test before this one has stopped the ledger.
  await waitFor('the circuit to close', async () => (await platform.transfer(randomUUID(), body(1))).status === 201);
  const statuses = new Set<number>();
  // One round after the other: more requests in progress than the limit would be refused unread.
  for (let index = 0; index < 100; index++) {
    const answers = await Promise.all([
      platform.transfer(`hostile-${index}`, body(1, { toAccount: `hostile-${index}` })),
      platform.transfer(`hostile-${index}`, body(1), { 'x-api-key': `hostile-${index}-0123456789012345` }),
      platform.transfer(`hostile ${index}`, { [`hostile-${index}`]: 1 }),
      platform.read(`hostile-${index}`),
    ]);
    for (const { status } of answers) statuses.add(status);
  }
  assert.ok(
    [400, 401, 404].every((status) => statuses.has(status)),
    [...statuses].join(' '),
  );
  context.diagnostic(`series: ${await seriesWithinBudget('orchestrator', platform.orchestrator.metricsUrl, /hostile/)}`);
});

test('an ended transfer cannot be changed', LIMIT, async () => {
  await assert.rejects(platform.sql(`UPDATE transfer SET status = 'initiated', transaction_id = NULL, ended_at = NULL`), /has ended/);
});

test('every transfer has ended as the ledger has it, and money is conserved', LIMIT, async () => {
  await platform.assertSound();
});
