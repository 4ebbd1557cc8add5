/** The disk of Postgres is full while requests are made: they are refused as unavailable, none is half done, and space is all that it takes. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { freeDisk } from '../shared/testing/full-disk.ts';
import { waitFor } from '../shared/testing/wait.ts';
import { freePort, Workload } from '../shared/testing/workload.ts';
import { LedgerDatabase } from './testing/database.ts';

const LIMIT = { timeout: 240_000 };
const KEY = 'the-key-of-the-ledger-for-this-test-0';
const CLIENTS = 8;
const DISK_MEBIBYTES = 512;
/** Answers during which the disk stays full. */
const REFUSALS = 20;

let database: LedgerDatabase;
let ledger: Workload;
let base: string;

before(async () => {
  database = await LedgerDatabase.start(CLIENTS * 2, { diskMebibytes: DISK_MEBIBYTES });
  const port = await freePort();
  base = `http://127.0.0.1:${port}/api/v1`;
  ledger = await Workload.start('ledger', { ...database.env('ledger'), PORT: String(port), API_KEY: KEY });
  await ledger.ready();
}, LIMIT);
after(async () => {
  await ledger?.stop();
  await database?.stop();
}, LIMIT);

/** @returns status and problem code */
async function post(externalId: string, from: string, to: string, currency: string): Promise<{ status: number; code?: string }> {
  const postings = [
    { accountId: from, amountMinor: '-1' },
    { accountId: to, amountMinor: '1' },
  ];
  const response = await fetch(`${base}/transactions`, {
    method: 'POST',
    headers: { 'x-api-key': KEY, 'content-type': 'application/json' },
    body: JSON.stringify({ externalId, currency, postings }),
  });
  return { status: response.status, code: ((await response.json()) as { code?: string }).code ?? '' };
}

test(
  'requests on a full disk are refused as unavailable; each that was accepted is there once, and the same process goes on',
  LIMIT,
  async () => {
    const accounts = await database.sql<{ id: string; currency: string }>(
      `SELECT id, currency FROM account WHERE kind = 'customer' AND currency = 'EUR' ORDER BY id LIMIT 2`,
    );
    const [from, to] = [accounts[0]?.id ?? '', accounts[1]?.id ?? ''];
    const accepted: string[] = [];
    const refusals: string[] = [];
    let stopped = false;
    const client = async (_value: unknown, index: number): Promise<void> => {
      for (let count = 0; !stopped; count += 1) {
        const externalId = `client-${index}-${count}`;
        const { status, code } = await post(externalId, from, to, 'EUR');
        if (status === 200) accepted.push(externalId);
        else refusals.push(`${status} ${code}`);
      }
    };
    const clients = Array.from({ length: CLIENTS }, client);
    try {
      await waitFor('requests to be accepted', () => accepted.length > 50);
      await database.postgres.disk?.fill();
      await waitFor('requests to be refused', () => refusals.length >= REFUSALS);
      await freeDisk(database.postgres, () => database.sql('SELECT'));
      const acceptedBefore = accepted.length;
      await waitFor('requests to be accepted again', () => accepted.length > acceptedBefore + 50);
    } finally {
      stopped = true;
    }
    await Promise.all(clients);
    assert.deepEqual(
      [...new Set(refusals)].filter((text) => !/^503 (database_unavailable|overloaded|deadline_exceeded)$/.test(text)),
      [],
    );
    const rows = await database.sql<{ id: string; times: number }>(
      'SELECT external_id AS id, count(*)::int AS times FROM journal_transaction WHERE external_id = ANY($1) GROUP BY 1',
      [accepted],
    );
    assert.equal(rows.length, accepted.length, 'every accepted transaction is there');
    assert.ok(
      rows.every(({ times }) => times === 1),
      'once',
    );
    const check = await database.store.check();
    assert.deepEqual([check.balanceMismatches, ledger.exitCode], [0, null]);
  },
);
