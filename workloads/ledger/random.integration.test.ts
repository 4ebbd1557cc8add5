/**
 * Random runs of the engine against a model, on a real Postgres through PgBouncer: see testing/random-run.ts. LEDGER_SEED=… runs one seed
 * again; LEDGER_RUNS=… and LEDGER_FIRST_SEED=… run more of them (`make torture-ledger`).
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { after, before, test } from 'node:test';
import { LedgerDatabase } from './testing/database.ts';
import { randomRun, type RunFigures } from './testing/random-run.ts';

const RUNS = Number(process.env['LEDGER_RUNS'] ?? 60);
const ONE_SEED = process.env['LEDGER_SEED'];
const FIRST_SEED = Number(process.env['LEDGER_FIRST_SEED'] ?? randomInt(2 ** 31));
const LIMIT = { timeout: 60_000 + RUNS * 5_000 };
let database: LedgerDatabase;
let engine: ReturnType<LedgerDatabase['engine']>;

before(async () => {
  database = await LedgerDatabase.start();
  engine = database.engine();
}, LIMIT);
after(() => database?.stop(), LIMIT);

test('random runs: every outcome and every state is the model’s', LIMIT, async (context) => {
  const seeds = ONE_SEED === undefined ? Array.from({ length: RUNS }, (_value, index) => FIRST_SEED + index) : [Number(ONE_SEED)];
  const total: RunFigures = { operations: 0, accepted: 0, replayed: 0, rejected: {} };
  for (const [index, seed] of seeds.entries()) {
    const figures = await randomRun(seed, `run${index}`, database, engine);
    total.operations += figures.operations;
    total.accepted += figures.accepted;
    total.replayed += figures.replayed;
    for (const [type, count] of Object.entries(figures.rejected)) total.rejected[type] = (total.rejected[type] ?? 0) + count;
  }
  context.diagnostic(`${seeds.length} runs from seed ${seeds[0]}: ${JSON.stringify(total)}`);
  const check = await database.store.check();
  assert.ok(check.ok, JSON.stringify(check));
});
