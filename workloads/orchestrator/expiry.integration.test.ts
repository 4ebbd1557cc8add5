/** Idempotency keys expire, with a real database: ids of transfers, which have the time of their initiation, are moved to the past. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { log } from '../ledger/testing/database.ts';
import { CLIENT_HEADER } from '../shared/contracts/idempotency.ts';
import { Metrics } from '../shared/kernel/metrics.ts';
import { Postgres } from '../shared/kernel/postgres.ts';
import { waitFor } from '../shared/testing/wait.ts';
import { TransferStore } from './store.ts';
import { expireKeys, firstIdAt } from './sweeper.ts';
import { TransferPlatform } from './testing/platform.ts';

const LIMIT = { timeout: 120_000 };
const HOUR_MS = 3_600_000;
const TTL_MS = 24 * HOUR_MS;

let platform: TransferPlatform;
let pool: Postgres;
let store: TransferStore;

before(async () => {
  platform = await TransferPlatform.start(['alice', 'bob']);
  const { host, port } = platform.database.pgbouncer;
  const url = `postgresql://orchestrator@${host}:${port}/orchestrator`;
  const password = platform.database.env('ledger')['PGPASSWORD'] ?? '';
  pool = new Postgres({ url, password, max: 2, applicationName: 'test' }, log, new Metrics({}));
  store = new TransferStore(pool, log, 1_000);
}, LIMIT);
after(async () => {
  await pool?.close();
  await platform?.stop();
}, LIMIT);

const body = (amount: number) => ({ fromAccount: 'alice', toAccount: 'bob', amountMinor: String(amount), currency: 'EUR' });

/** As if the transfer with the key had been initiated so many hours ago. Its lease is over. @returns its id */
async function age(key: string, hours: number): Promise<string> {
  const first = firstIdAt(Date.now() - hours * HOUR_MS);
  const [row] = await platform.sql<{ id: string }>(
    `UPDATE transfer SET id = (left($2, 15) || right(id::text, 21))::uuid, created_at = created_at - $3 * interval '1 hour',
            lease_until = lease_until - $3 * interval '1 hour' WHERE idempotency_key = $1 RETURNING id::text`,
    [key, first, hours],
  );
  assert.ok(row);
  return row.id;
}

async function keysOf(id: string): Promise<(string | null)[]> {
  const rows = await platform.sql<{ key: string | null }>('SELECT idempotency_key AS key FROM transfer WHERE id = $1', [id]);
  return rows.map(({ key }) => key);
}

async function transferIdsWith(key: string): Promise<string[]> {
  const rows = await platform.sql<{ id: string }>('SELECT id::text FROM transfer WHERE idempotency_key = $1', [key]);
  return rows.map(({ id }) => id);
}

/** A transfer whose ledger does not answer. */
async function interrupted(key: string): Promise<void> {
  await platform.ledger.end('SIGKILL');
  const { status, body: problem } = await platform.transfer(key, body(3));
  assert.deepEqual([status, problem['code']], [503, 'ledger_unavailable']);
}

test('keys of ended transfers expire after the time, and neither other keys nor those of services of the platform', LIMIT, async () => {
  const first = new Map<string, string>();
  for (const key of ['new', 'kept', 'old']) first.set(key, String((await platform.transfer(key, body(1))).body['transferId']));
  assert.equal((await platform.transfer('old-rejected', body(10_000_000))).status, 422);
  assert.equal((await platform.transfer('of-a-service', body(1), { [CLIENT_HEADER]: 'service:crm' })).status, 201);
  await interrupted('in-progress');
  const kept = await age('kept', 23.9);
  const ofService = await age('of-a-service', 400);
  const old = [await age('old', 24.1), await age('old-rejected', 400)];
  const inProgress = await age('in-progress', 30);

  // The first round is at the start of the process.
  await platform.orchestrator.end('SIGKILL');
  await platform.startOrchestrator();
  await waitFor('the old keys to expire', async () => (await Promise.all(old.map(keysOf))).flat().every((key) => key === null));
  assert.deepEqual([await keysOf(kept), await keysOf(ofService)], [['kept'], ['of-a-service']]);
  for (const key of ['new', 'kept']) {
    const again = await platform.transfer(key, body(1));
    assert.deepEqual([again.status, again.headers.get('idempotency-replayed')], [201, 'true']);
    assert.equal(again.body['transferId'], key === 'kept' ? kept : first.get(key));
  }
  // However old: the answer is not known, and another transfer would be a second one.
  assert.equal((await platform.transfer('in-progress', body(4))).body['code'], 'idempotency_key_reused');
  assert.equal((await platform.transfer('in-progress', body(3))).body['code'], 'ledger_unavailable');
  assert.deepEqual(await transferIdsWith('in-progress'), [inProgress]);

  await platform.startLedger();
  // The circuit to the ledger is open for a while.
  await waitFor('transfers to succeed', async () => (await platform.transfer(randomUUID(), body(1))).status === 201);
  const other = await platform.transfer('old', body(2));
  assert.deepEqual([other.status, other.headers.get('idempotency-replayed')], [201, null]);
  assert.notEqual(other.body['transferId'], old[0]);
  const [former] = await platform.sql<{ status: string }>('SELECT status FROM transfer WHERE id = $1', [old[0]]);
  assert.equal(former?.status, 'completed', 'the transfer stays');
  await waitFor('the interrupted transfer to end', async () => (await platform.read(inProgress)).body['status'] === 'completed');
});

test('a transfer that ends after its time has passed: the next round expires its key', LIMIT, async () => {
  await platform.transfer('other', body(1));
  const other = await age('other', 50);
  await interrupted('late');
  // No other process may expire it.
  await platform.orchestrator.end('SIGKILL');
  const late = await age('late', 49);
  const from = await expireKeys(store, firstIdAt(0), TTL_MS);
  assert.deepEqual([await keysOf(late), await keysOf(other)], [['late'], [null]]);
  await store.end({ id: late, transactionId: late });
  const next = await expireKeys(store, from, TTL_MS);
  assert.deepEqual(await keysOf(late), [null]);
  assert.ok(next > from && next <= firstIdAt(Date.now() - TTL_MS), 'transfers that are looked at once are not looked at again');
});

test('more keys than one statement takes', LIMIT, async () => {
  const at = firstIdAt(Date.now() - 100 * HOUR_MS);
  await platform.sql(
    `INSERT INTO transfer (id, client, idempotency_key, from_account, to_account, currency, amount_minor, status, transaction_id, ended_at, lease_until)
     SELECT (left($1, 24) || lpad(to_hex(n), 12, '0'))::uuid, 'key:many', 'many-' || n, 'alice', 'bob', 'EUR', 1, 'completed', $1::uuid, now(), now()
       FROM generate_series(1, 2500) AS n`,
    [at],
  );
  await expireKeys(store, at, TTL_MS);
  assert.deepEqual(await platform.sql(`SELECT FROM transfer WHERE client = 'key:many' AND idempotency_key IS NOT NULL`), []);
});
