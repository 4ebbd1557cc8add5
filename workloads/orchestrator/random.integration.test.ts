/**
 * Random runs: clients send requests, repeat them and use keys for other bodies, while orchestrator and ledger are killed. TRANSFERS_SEED=… runs
 * one seed again; TRANSFERS_RUNS=… runs more of them.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { random, type Random } from '../ledger/testing/random.ts';
import { waitFor } from '../shared/testing/wait.ts';
import { END_STATEMENT, LEDGER_POST, TransferPlatform } from './testing/platform.ts';
import type { Answer, TransferBody } from './testing/platform.ts';

const RUNS = Number(process.env['TRANSFERS_RUNS'] ?? 2);
const ONE_SEED = process.env['TRANSFERS_SEED'];
const FIRST_SEED = Number(process.env['TRANSFERS_FIRST_SEED'] ?? randomInt(2 ** 31));
const LIMIT = { timeout: 120_000 + RUNS * 60_000 };
const CUSTOMERS = ['c0', 'c1', 'c2', 'c3', 'c4'];
const CLIENTS = ['key:one', 'key:two'];
const KEYS = 40;
const SENDERS = 8;
const REQUESTS = 25;
const FAULTS = 4;
const PAUSE_MS = 20;
/** Answers between two faults. */
const CALM = 60;

let platform: TransferPlatform;
before(async () => {
  platform = await TransferPlatform.start(CUSTOMERS);
}, LIMIT);
after(() => platform?.stop(), LIMIT);

interface Wanted {
  client: string;
  key: string;
  body: TransferBody;
}

/** What the requests of a run should lead to, and what they were answered with. */
interface Run {
  wanted: Wanted[];
  /** Final answers by key of {@link nameOf}. */
  finals: Map<string, Set<string>>;
  unanswered: number;
  answered: number;
  /** Faults are still to come. */
  faulty: boolean;
  refused: number;
}

const nameOf = ({ client, key }: Wanted): string => `${client} ${key}`;

function wantedOf(numbers: Random, run: string): Wanted[] {
  return Array.from({ length: KEYS }, (_value, index) => {
    const from = numbers.pick(['bank', ...CUSTOMERS]);
    const to = numbers.pick(CUSTOMERS.filter((id) => id !== from));
    // Some of them are more than the account has.
    const amount = 1 + numbers.below(numbers.below(4) === 0 ? 1_000_000 : 2_000);
    const body = { fromAccount: from, toAccount: to, amountMinor: String(amount), currency: numbers.below(20) === 0 ? 'USD' : 'EUR' };
    return { client: numbers.pick(CLIENTS), key: `${run}-${Math.floor(index / 2)}${index % 2}`, body };
  });
}

/** A final answer is kept; 409 in progress, 503 and a lost connection are not. */
function keep(run: Run, wanted: Wanted, answer: Answer | undefined): boolean {
  const code = answer?.body['code'];
  if (!answer || answer.status >= 500 || code === 'transfer_in_progress') {
    run.unanswered += 1;
    return false;
  }
  run.answered += 1;
  const known = run.finals.get(nameOf(wanted)) ?? new Set();
  run.finals.set(nameOf(wanted), known.add(JSON.stringify([answer.status, answer.body])));
  return true;
}

async function ask({ client, key, body }: Wanted): Promise<Answer | undefined> {
  return platform.transfer(key, body, { 'x-bss-client': client }).catch(() => undefined);
}

async function sender(numbers: Random, run: Run): Promise<void> {
  for (let sent = 0; run.faulty || sent < REQUESTS; sent++) {
    const wanted = numbers.pick(run.wanted);
    if (numbers.below(10) > 0) {
      // A client waits before it repeats a request.
      if (!keep(run, wanted, await ask(wanted))) await pause(PAUSE_MS);
      continue;
    }
    // The key is used for another body, after the right one: whichever came first would else decide what the key means.
    if (!run.finals.has(nameOf(wanted))) continue;
    const other = await ask({ ...wanted, body: { ...wanted.body, amountMinor: `${wanted.body.amountMinor}1` } });
    if (other === undefined || other.status >= 500) continue;
    assert.deepEqual([other.status, other.body['code']], [422, 'idempotency_key_reused']);
    run.refused += 1;
  }
}

async function fault(numbers: Random): Promise<string> {
  const kind = numbers.pick(['kill orchestrator', 'kill ledger', 'lose answers', 'kill after the ledger'] as const);
  if (kind === 'kill ledger') {
    await platform.ledger.end('SIGKILL');
    await platform.startLedger();
  } else if (kind === 'lose answers') {
    void platform.toLedger.dropAnswers(LEDGER_POST, 2);
  } else {
    // Without further traffic no statement comes to be held.
    if (kind === 'kill after the ledger') await Promise.race([platform.toDatabase.hold(END_STATEMENT), pause(500)]);
    await platform.orchestrator.end('SIGKILL');
    await platform.startOrchestrator();
  }
  return kind;
}

/** Repeats every request until it has a final answer. */
async function settle(run: Run): Promise<void> {
  const settled = (wanted: Wanted) => async (): Promise<boolean> => keep(run, wanted, await ask(wanted));
  await Promise.all(run.wanted.map((wanted) => waitFor(`an answer for ${nameOf(wanted)}`, settled(wanted), 60_000)));
  await waitFor(
    'no transfer to be in progress',
    async () => (await platform.sql(`SELECT FROM transfer WHERE status = 'initiated'`)).length === 0,
  );
}

async function balances(): Promise<Map<string, number>> {
  return new Map(await Promise.all(['bank', ...CUSTOMERS].map(async (id): Promise<[string, number]> => [id, await platform.balance(id)])));
}

/** What the answers say against what the databases have. */
async function verify(run: Run, start: ReadonlyMap<string, number>): Promise<{ completed: number; rejected: number }> {
  const expected = new Map(start);
  const move = (id: string, amount: number) => expected.set(id, (expected.get(id) ?? 0) + amount);
  let completed = 0;
  for (const wanted of run.wanted) {
    const finals = [...(run.finals.get(nameOf(wanted)) ?? [])];
    assert.equal(finals.length, 1, `${nameOf(wanted)} has ${finals.length} answers: ${finals.join('\n')}`);
    const [status, body] = JSON.parse(finals[0] ?? '') as [number, Record<string, unknown>];
    const { fromAccount, toAccount, amountMinor } = wanted.body;
    const rows = await platform.sql<{ id: string; status: string }>(
      'SELECT id::text, status FROM transfer WHERE client = $1 AND idempotency_key = $2',
      [wanted.client, wanted.key],
    );
    assert.deepEqual(
      rows.map((row) => row.status),
      [status === 201 ? 'completed' : 'rejected'],
      nameOf(wanted),
    );
    if (status !== 201) continue;
    assert.equal(body['transferId'], rows[0]?.id);
    completed += 1;
    move(fromAccount, -Number(amountMinor));
    move(toAccount, Number(amountMinor));
  }
  assert.deepEqual(await balances(), expected);
  return { completed, rejected: run.wanted.length - completed };
}

test('random runs: each key is one transfer, and the ledger has what the answers say', LIMIT, async (context) => {
  const seeds = ONE_SEED === undefined ? Array.from({ length: RUNS }, (_value, index) => FIRST_SEED + index) : [Number(ONE_SEED)];
  for (const [index, seed] of seeds.entries()) {
    context.diagnostic(`seed ${seed}`);
    const numbers = random(seed);
    const run: Run = { wanted: wantedOf(numbers, `run${index}`), finals: new Map(), unanswered: 0, answered: 0, faulty: true, refused: 0 };
    const start = await balances();
    const senders = Array.from({ length: SENDERS }, (_value, number) => sender(random(seed + number), run));
    const faults: string[] = [];
    for (let count = 0; count < FAULTS; count++) {
      const answered = run.answered + CALM;
      await waitFor('answers', () => run.answered >= answered);
      faults.push(await fault(numbers));
    }
    run.faulty = false;
    await Promise.all(senders);
    await settle(run);
    const counts = await verify(run, start);
    context.diagnostic(
      JSON.stringify({ seed, ...counts, answered: run.answered, unanswered: run.unanswered, refused: run.refused, faults }),
    );
  }
  await platform.assertSound();
});
