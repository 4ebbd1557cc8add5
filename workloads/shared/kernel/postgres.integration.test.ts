/** Transactions against a real Postgres: what they promise when a statement, a rollback or the connection fails. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startServices, type PostgresService } from '../../../local/src/services/index.ts';
import { bigintArray, dateArray, textArray, uuidArray } from './binary-array.ts';
import { withDeadline } from './deadline.ts';
import { createLogger } from './log.ts';
import { Metrics } from './metrics.ts';
import { countStatements, isDataError, isTransient, Postgres, type Queryable } from './postgres.ts';

const LIMIT = { timeout: 120_000 };
let services: { postgres: PostgresService; stop(): Promise<void> };
let database: Postgres;

before(async () => {
  services = await startServices({ postgres: true });
  const { url, password } = { url: services.postgres.url().replace(/:[^:@]*@/, '@'), password: services.postgres.password };
  const log = createLogger({ service: 'test', platform: 'test', namespace: 'test', pod: 'test' }, 'silent');
  database = new Postgres({ url, password, max: 1, applicationName: 'test' }, log, new Metrics({}));
  await database.query('create table', 'CREATE TABLE IF NOT EXISTS kept (value int)');
}, LIMIT);
after(async () => {
  await database?.close();
  await services?.stop();
}, LIMIT);

const insert = (tx: Queryable) => tx.query('insert', 'INSERT INTO kept VALUES (1)');

async function count(): Promise<number> {
  const [row] = await database.query<{ count: number }>('count', 'SELECT count(*)::int AS count FROM kept');
  return row?.count ?? -1;
}

/** The pool has one connection: another process id shows that it was replaced. */
async function backend(): Promise<number | undefined> {
  const [row] = await database.query<{ pid: number }>('read pid', 'SELECT pg_backend_pid() AS pid');
  return row?.pid;
}

test('a COMMIT that the server answers with ROLLBACK is a failure', LIMIT, async () => {
  const rows = await count();
  const work = database.transaction(async (tx) => {
    await insert(tx);
    await tx.query('fail', 'SELECT 1 / 0').catch(() => undefined);
    return 'committed';
  });
  await assert.rejects(work, /rolled back at COMMIT/);
  assert.equal(await count(), rows, 'nothing was written');
});

test('a rollback that the caller asks for keeps the connection', LIMIT, async () => {
  const [rows, pid] = [await count(), await backend()];
  for (let round = 0; round < 3; round++) {
    const work = database.transaction(async (tx) => {
      await insert(tx);
      throw new Error('insufficient funds');
    });
    await assert.rejects(work, /insufficient funds/);
  }
  assert.equal(await backend(), pid, 'the connection is the same');
  assert.equal(await count(), rows);
});

test('a connection whose ROLLBACK fails is closed, not returned to the pool', LIMIT, async () => {
  const pid = await backend();
  const work = database.transaction(async (tx) => {
    await tx.query('end the session', `SELECT pg_terminate_backend(pg_backend_pid())`);
  });
  await assert.rejects(work, (error) => isTransient(error));
  assert.notEqual(await backend(), pid);
});

test('a statement past its limit fails at the limit, and its connection is closed', LIMIT, async () => {
  const pid = await backend();
  const startedAt = performance.now();
  const work = withDeadline(3_000, () => database.transaction((tx) => tx.query('sleep', 'SELECT pg_sleep(20)')));
  await assert.rejects(work, /timeout/);
  const seconds = (performance.now() - startedAt) / 1000;
  assert.ok(seconds >= 2.9 && seconds < 5.5, `failed after ${seconds.toFixed(2)} s; a limit that is waited for twice takes 6 s`);
  assert.notEqual(await backend(), pid);
});

test('a ROLLBACK that gets no answer closes the connection', LIMIT, async () => {
  const pid = await backend();
  const work = database.transaction(async (tx) => {
    const failed = tx.query('fail', 'SELECT 1 / 0');
    await failed.catch(() => services.postgres.freeze());
    await failed;
  });
  try {
    await assert.rejects(work, /division by zero/);
  } finally {
    services.postgres.thaw();
  }
  assert.notEqual(await backend(), pid, 'the pool must not hand out a connection inside a failed transaction');
});

test('arrays in binary format have the values that their texts have', LIMIT, async () => {
  const texts = ['acc-1', 'null', 'NULL', '', 'a b', '{"x"}'];
  const uuids = ['01890a5d-ac96-774b-bcce-b302099a8057', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '00000000-0000-0000-0000-000000000000'];
  const numbers = [0n, 1n, -1n, 9_223_372_036_854_775_807n, -9_223_372_036_854_775_808n];
  const dates = ['2000-01-01', '1999-12-31', '2024-02-29', '2026-01-31', '0001-01-01', '9999-12-31', '2026-01-31'];
  const read = `SELECT $1::text[]::text AS texts, $2::uuid[]::text AS uuids, $3::bigint[]::text AS numbers, $4::date[]::text AS dates`;
  const binary = [textArray(texts), uuidArray(uuids), bigintArray(numbers), dateArray(dates)];
  const [row] = await database.query('read arrays', read, binary);
  assert.deepEqual([row], await database.query('read arrays', read, [texts, uuids, numbers, dates]));
  const empty = [textArray([]), uuidArray([]), bigintArray([]), dateArray([])];
  assert.deepEqual(await database.query('read arrays', read, empty), [{ texts: '{}', uuids: '{}', numbers: '{}', dates: '{}' }]);
  const [uuid = ''] = uuids;
  for (const bad of ['no UUID', '', uuid.slice(1), `${uuid}0`, uuid.replace('a', 'g'), uuid.replace('a', 'ä'), `${uuid}${uuid}`]) {
    assert.throws(() => uuidArray([uuid, bad]), { message: `"${bad}" is not a UUID` });
  }
  const beyond = database.query('read arrays', 'SELECT $1::bigint[]', [bigintArray([1n, 9_223_372_036_854_775_808n])]);
  await assert.rejects(beyond, isDataError, 'the database refuses it, and the consumer finds the record');
});

test('statements are counted for the work that sends them', LIMIT, async () => {
  const two = countStatements(async () => {
    await database.query('first', 'SELECT 1');
    await database.transaction((tx) => tx.query('second', 'SELECT 2'));
  });
  const one = countStatements(() => database.query('other', 'SELECT 3'));
  await database.query('nobody', 'SELECT 4');
  assert.deepEqual([(await two).statements, (await one).statements], [2, 1]);
});
