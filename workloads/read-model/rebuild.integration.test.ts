/** A rebuild of the read model under load, while it is read, with real servers. */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { after, before, test } from 'node:test';
import { waitFor } from '../shared/testing/wait.ts';
import type { Workload } from '../shared/testing/workload.ts';
import { get, ReadModelPlatform, recordOf, TOPIC, type Replica } from './testing/platform.ts';

const LIMIT = { timeout: 300_000 };
const SEED = Number(process.env['READ_MODEL_SEED'] ?? randomInt(2 ** 31));

let platform: ReadModelPlatform;
let replicas: Replica[];

before(async () => {
  platform = await ReadModelPlatform.start(100, SEED);
  replicas = await Promise.all([platform.replica(), platform.replica()]);
  for (let round = 0; round < 10; round++) {
    await platform.transfers(500);
    await platform.publish();
  }
  await platform.drained();
}, LIMIT);
after(() => platform?.stop(), LIMIT);

/** Publishes transfers until it is stopped. */
function traffic(): () => Promise<void> {
  let running = true;
  const loop = (async () => {
    while (running) {
      await platform.transfers(50);
      await platform.publish();
    }
  })();
  return async () => {
    running = false;
    await loop;
  };
}

/** Reads balances from all replicas in turn until it is stopped; the sequence of an account never goes back. */
function readers(): () => Promise<number> {
  let running = true;
  let answers = 0;
  const seen = new Map<string, number>();
  const loops = replicas.map(async ({ url }, index) => {
    for (let turn = index; running; turn += 1) {
      const { id } = platform.accounts[(turn * 7) % platform.accounts.length] ?? { id: '' };
      const known = seen.get(id) ?? 0;
      const { status, body } = await get(`${url}/api/v1/accounts/${id}/balance`);
      assert.equal(status, 200, JSON.stringify(body));
      const sequence = Number(body['sequence']);
      assert.ok(sequence >= known, `account ${id} went back from ${known} to ${sequence}`);
      seen.set(id, Math.max(sequence, seen.get(id) ?? 0));
      answers += 1;
    }
  });
  return async () => {
    running = false;
    await Promise.all(loops);
    return answers;
  };
}

async function rebuild(): Promise<Workload> {
  const job = await platform.run('read-model/rebuild', { ...platform.env(), READ_MODEL_BATCH_MAX_RECORDS: '200' });
  await waitFor('the rebuild to end', () => job.exitCode !== null);
  return job;
}

async function deletion(partition: string, offset: string): Promise<Workload> {
  const variables = { DELETE_PARTITION: partition, DELETE_BEFORE_OFFSET: offset };
  const job = await platform.run('read-model/delete-records', { ...platform.env(), ...variables });
  await waitFor('the deletion to end', () => job.exitCode !== null);
  return job;
}

async function generations(): Promise<{ number: number; slot: number; state: string }[]> {
  return platform.sql('SELECT number, slot, state FROM generation ORDER BY number');
}

async function rowsOf(slot: number): Promise<number> {
  const [row] = await platform.sql<{ rows: number }>(
    `SELECT ((SELECT count(*) FROM balance WHERE slot = $1) + (SELECT count(*) FROM statement_line WHERE slot = $1))::int AS rows`,
    [slot],
  );
  return row?.rows ?? -1;
}

test('a rebuild under load: no answer goes back, nothing is lost, and a wrong projection is mended', LIMIT, async () => {
  // What a defect of the projection could have done.
  const [damaged] = platform.accounts;
  await platform.sql(`UPDATE balance SET balance_minor = balance_minor + 1`);
  await platform.sql(`DELETE FROM statement_line WHERE account_id = $1 AND sequence = 1`, [damaged?.id]);
  assert.ok((await platform.differences()).length > 0);
  const stopTraffic = traffic();
  const stopReaders = readers();
  const job = await rebuild();
  assert.equal(job.exitCode, 0, job.log);
  await stopTraffic();
  const answers = await stopReaders();
  assert.ok(answers > 100, `${answers} answers`);
  await platform.publish();
  await platform.drained();
  assert.deepEqual(await platform.differences(), [], `READ_MODEL_SEED=${SEED}`);
  assert.deepEqual(await generations(), [{ number: 2, slot: 1, state: 'serving' }]);
  assert.equal(await rowsOf(0), 0, 'the former generation is removed');
  assert.ok(!(await platform.admin.groups()).some((group) => group.includes('rebuild')), 'and so is the group');
  assert.deepEqual(await platform.sql(`SELECT FROM consumer_offset WHERE consumer_group <> 'read-model'`), []);
  for (const { workload } of replicas) {
    assert.equal(workload.exitCode, null);
    await waitFor('the metric to follow', async () => (await workload.metric('read_model_generation')) === 2);
  }
});

test('a rebuild that was killed is begun again by the next one', LIMIT, async () => {
  const killed = await platform.run('read-model/rebuild', { ...platform.env(), READ_MODEL_BATCH_MAX_RECORDS: '50' });
  await waitFor('it to have written something', async () => (await rowsOf(0)) > 0);
  await killed.end('SIGKILL');
  assert.deepEqual(
    (await generations()).map(({ state }) => state),
    ['serving', 'building'],
  );
  const stopTraffic = traffic();
  const job = await rebuild();
  await stopTraffic();
  assert.equal(job.exitCode, 0, job.log);
  await platform.publish();
  await platform.drained();
  assert.deepEqual(await platform.differences(), [], `READ_MODEL_SEED=${SEED}`);
  assert.deepEqual(await generations(), [{ number: 4, slot: 0, state: 'serving' }]);
});

test('a rebuild that another one replaces fails, and says why', LIMIT, async () => {
  const slow = await platform.run('read-model/rebuild', { ...platform.env(), READ_MODEL_BATCH_MAX_RECORDS: '1' });
  await waitFor('it to have written something', async () => (await rowsOf(1)) > 0);
  const job = await rebuild();
  assert.equal(job.exitCode, 0, job.log);
  await waitFor('the other one to end', () => slow.exitCode !== null);
  assert.equal(slow.exitCode, 70);
  assert.match(slow.log, /another rebuild has/);
  assert.deepEqual(await platform.differences(), []);
});

test('where the topic no longer has its beginning, a rebuild begins with what is left; balances are right', LIMIT, async () => {
  await platform.deleteRecords();
  await platform.transfers(300);
  const kept = await platform.publish();
  await platform.drained();
  const job = await rebuild();
  assert.equal(job.exitCode, 0, job.log);
  for (const { accountId } of kept.slice(0, 20)) {
    const [account] = await platform.ledger<{ balance: string; sequence: number }>(
      'SELECT balance_minor::text AS balance, posting_count::int AS sequence FROM account WHERE id = $1',
      [accountId],
    );
    const { body } = await get(`${replicas[0]?.url}/api/v1/accounts/${accountId}/balance`);
    assert.deepEqual([body['balanceMinor'], body['sequence']], [account?.balance, account?.sequence]);
  }
});

test(
  'a rebuild that meets a gap fails with its place; without the records before the gap, it succeeds, and the consumers continue',
  LIMIT,
  async () => {
    const [entry] = await platform.sql<{ account_id: string; sequence: number }>(
      'SELECT account_id, sequence::float8 AS sequence FROM balance ORDER BY account_id LIMIT 1',
    );
    assert.ok(entry);
    const former = await generations();
    await platform.send([
      recordOf({
        entryId: '0195a000-0000-7000-8000-000000000000',
        line: 1,
        kind: 'transfer',
        externalId: null,
        accountId: entry.account_id,
        currency: 'EUR',
        amountMinor: '1',
        sequence: entry.sequence + 2,
        balanceAfterMinor: '1',
        valueDate: '2026-01-31',
        postedAt: new Date().toISOString(),
      }),
    ]);
    const job = await rebuild();
    assert.equal(job.exitCode, 70);
    const place = /partition (\d+): account (\S+), offset (\d+): the entry before sequence (\d+) is missing/.exec(job.log);
    assert.deepEqual([place?.[2], place?.[4]], [entry.account_id, String(entry.sequence + 2)], job.log);
    assert.deepEqual((await generations()).slice(0, 1), former);
    const answer = () => get(`${replicas[0]?.url}/api/v1/accounts/${entry.account_id}/balance`);
    assert.deepEqual([(await answer()).status, (await answer()).body['sequence']], [200, entry.sequence]);

    const [partition = '', offset = ''] = [place?.[1], place?.[3]];
    const beyond = await deletion(partition, `${offset}00`);
    assert.equal(beyond.exitCode, 70);
    assert.match(beyond.log, /is beyond the end of partition/);
    const earlier = (await platform.admin.extents(TOPIC)).filter((extent) => String(extent.partition) !== partition);
    for (const records of [/"records":"[1-9]\d*"/, /"records":"0"/]) {
      const deleted = await deletion(partition, offset);
      assert.equal(deleted.exitCode, 0, deleted.log);
      assert.match(deleted.log, records);
    }
    const extents = await platform.admin.extents(TOPIC);
    assert.equal(String(extents[Number(partition)]?.low), offset);
    assert.deepEqual(
      extents.filter((extent) => String(extent.partition) !== partition),
      earlier,
    );
    const mended = await rebuild();
    assert.equal(mended.exitCode, 0, mended.log);
    await waitFor('the consumers to continue', async () => {
      await platform.drained();
      return (await answer()).body['sequence'] === entry.sequence + 2;
    });
  },
);
