/** Balances and statements through the gateway: from the read model, and from the ledger where it cannot answer. */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { after, before, test } from 'node:test';
import { KEY as READ_MODEL_KEY, ReadModelPlatform, type Replica } from '../read-model/testing/platform.ts';
import { waitFor } from '../shared/testing/wait.ts';
import { freePort, type Workload } from '../shared/testing/workload.ts';

const LIMIT = { timeout: 240_000 };
const KEY = 'the-key-of-the-platform-for-this-test';
const LEDGER_KEY = 'the-key-of-the-ledger-for-this-test-0';

let platform: ReadModelPlatform;
let readModel: Replica;
let gateway: Workload;
let url: string;

before(async () => {
  platform = await ReadModelPlatform.start(40, randomInt(2 ** 31));
  const [ledgerPort, port] = [await freePort(), await freePort()];
  readModel = await platform.replica();
  const ledger = await platform.run('ledger', { ...platform.env('ledger'), PORT: String(ledgerPort), API_KEY: LEDGER_KEY });
  gateway = await platform.run('gateway', {
    ...platform.env('ledger'),
    PORT: String(port),
    API_KEY: KEY,
    LEDGER_URL: `http://127.0.0.1:${ledgerPort}`,
    LEDGER_API_KEY: LEDGER_KEY,
    READ_MODEL_URL: readModel.url,
    READ_MODEL_API_KEY: READ_MODEL_KEY,
    INTEREST_TOPIC: 'interest.transaction.v1',
  });
  url = `http://127.0.0.1:${port}`;
  await Promise.all([ledger.ready(), gateway.ready()]);
  await platform.transfers(300);
}, LIMIT);
after(() => platform?.stop(), LIMIT);

interface Answer {
  status: number;
  source: string | null;
  body: Record<string, unknown>;
}

async function read(path: string, headers: Record<string, string> = {}): Promise<Answer> {
  const response = await fetch(`${url}/api/v1/accounts/${path}`, { headers: { 'x-api-key': KEY, ...headers } });
  return {
    status: response.status,
    source: response.headers.get('x-bss-source'),
    body: (await response.json()) as Record<string, unknown>,
  };
}

async function account(index = 0): Promise<{ id: string; balance: string; sequence: number }> {
  const rows = await platform.ledger<{ id: string; balance: string; sequence: number }>(
    `SELECT id, balance_minor::text AS balance, posting_count::int AS sequence FROM account WHERE kind = 'customer' ORDER BY posting_count DESC, id`,
  );
  const found = rows[index];
  assert.ok(found);
  return found;
}

test('the ledger answers for an account that is not projected; unknown ones are not found', LIMIT, async () => {
  const { id, balance } = await account();
  const answer = await read(`${id}/balance`);
  assert.deepEqual([answer.status, answer.source, answer.body['balanceMinor']], [200, 'ledger', balance]);
  const nobody = await read('nobody/balance');
  assert.deepEqual([nobody.status, nobody.body['code']], [404, 'account_not_found']);
});

test('the read model answers what it has, with its freshness', LIMIT, async () => {
  await platform.publish();
  await platform.drained();
  const { id, balance, sequence } = await account();
  const answer = await read(`${id}/balance?minSequence=${sequence}`);
  assert.deepEqual([answer.status, answer.source], [200, 'read-model']);
  assert.deepEqual([answer.body['balanceMinor'], answer.body['sequence']], [balance, sequence]);
  assert.match(String(answer.body['asOf']), /^\d{4}-\d\d-\d\dT/);
  const page = await read(`${id}/statement?limit=5`);
  assert.deepEqual([page.status, page.source, page.body['sequence']], [200, 'read-model', sequence]);
  const lines = page.body['lines'] as { sequence: number; balanceAfterMinor: string }[];
  assert.deepEqual([lines.length, lines[0]?.balanceAfterMinor, page.body['next']], [5, balance, sequence - 4]);
  assert.equal((await read(`${id}/balance?minSequence=0`)).status, 400);
  assert.ok((await gateway.metric('gateway_account_reads_total', 'source="read-model"')) >= 2);
});

test('a reader waits for its own writes; what does not come in time is a 503 that opens no circuit', LIMIT, async () => {
  const { id, sequence } = await account();
  const early = await Promise.all(
    Array.from({ length: 8 }, () => read(`${id}/balance?minSequence=${sequence + 1}`, { 'x-request-timeout-ms': '2500' })),
  );
  // On a machine that is too busy for the read model to answer in time, the ledger does.
  const inTime = early.filter(({ source }) => source !== 'ledger');
  assert.ok(inTime.length > 0, 'the read model answers in time');
  for (const { status, body } of inTime) assert.deepEqual([status, body['code']], [503, 'not_yet_projected']);
  if (inTime.length === early.length) assert.equal(await gateway.metric('circuit_breaker_state', 'connector="read model"'), 0);

  await platform.transfers(100);
  const written = await account();
  assert.ok(written.sequence > sequence);
  const entries = await platform.unpublished();
  const waiting = read(`${written.id}/statement?minSequence=${written.sequence}`);
  const calls = () => readModel.workload.metric('db_calls_total', 'operation="read sequences"');
  const earlier = await calls();
  await waitFor('the request to wait', async () => (await calls()) > earlier + 2);
  await platform.sendEntries(entries);
  const answer = await waiting;
  assert.deepEqual([answer.status, answer.source, answer.body['sequence']], [200, 'read-model', written.sequence]);
});

test('the ledger answers while the read model hangs, and while it is away; afterwards the read model answers again', LIMIT, async () => {
  const { id, balance, sequence } = await account();
  readModel.workload.signal('SIGSTOP');
  const hung = await read(`${id}/balance`);
  assert.deepEqual([hung.status, hung.source, hung.body['balanceMinor'], hung.body['sequence']], [200, 'ledger', balance, undefined]);
  const short = await read(`${id}/balance`, { 'x-request-timeout-ms': '1500' });
  assert.deepEqual([short.status, short.source], [200, 'ledger']);
  readModel.workload.signal('SIGCONT');
  await readModel.workload.end('SIGKILL');
  for (let turn = 0; turn < 10; turn++) {
    const away = await read(`${id}/balance?minSequence=${sequence}&afterTransaction=0195a000-0000-7000-8000-000000000000`);
    assert.deepEqual([away.status, away.source, away.body['balanceMinor']], [200, 'ledger', balance]);
  }
  assert.equal(await gateway.metric('circuit_breaker_state', 'connector="read model"'), 1);
  const quick = performance.now();
  await read(`${id}/balance`);
  assert.ok(performance.now() - quick < 1_000, 'an open circuit costs no waiting');

  readModel = await platform.replica({ PORT: new URL(readModel.url).port });
  const back = await waitFor('the read model to answer', async () => {
    const answer = await read(`${id}/balance`);
    return answer.source === 'read-model' && answer;
  });
  assert.equal(back.body['sequence'], sequence);
});
