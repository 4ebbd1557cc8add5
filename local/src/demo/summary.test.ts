import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LedgerCheck } from './platform.ts';
import { formatSummary, verdicts, type DemoFacts } from './summary.ts';

const BEFORE: LedgerCheck = {
  ok: true,
  accounts: 100,
  transactions: 50,
  postings: 100,
  sumMinor: '0',
  balanceMismatches: 0,
  unbalancedTransactions: 0,
};

const GOOD: DemoFacts = {
  accepted: 1000,
  before: BEFORE,
  after: { ...BEFORE, transactions: 1050, postings: 2100 },
  audit: { events: 1050, accounts: 90, wrong: [] },
  samples: [
    { at: 0, lag: 0, applied: 0, wanted: 1, ready: 1 },
    { at: 10, lag: 900, applied: 100, wanted: 3, ready: 1 },
    { at: 20, lag: 0, applied: 1000, wanted: 1, ready: 3 },
  ],
  callsPerBatch: 2,
  memoryBytes: 2 ** 31,
  readySeconds: 41,
  totalSeconds: 200,
  addresses: [{ what: 'gateway', url: 'http://127.0.0.1:1' }],
  hints: ['make down'],
};

function failing(facts: DemoFacts): string[] {
  return verdicts(facts)
    .filter((verdict) => !verdict.ok)
    .map((verdict) => verdict.name);
}

const CASES: { reason: string; facts: DemoFacts; fails: string[] }[] = [
  { reason: 'a good run', facts: GOOD, fails: [] },
  { reason: 'one event lost', facts: { ...GOOD, accepted: 1001 }, fails: ['every event applied exactly once'] },
  {
    reason: 'one event applied twice, with entries for it',
    facts: { ...GOOD, audit: { events: 1050, accounts: 90, wrong: ['a: expected 1, is 2'] } },
    fails: ['balances equal an independent calculation'],
  },
  {
    reason: 'a topic that cannot be read',
    facts: { ...GOOD, audit: 'the events are deleted already' },
    fails: ['balances equal an independent calculation'],
  },
  {
    reason: 'a calculation over no event',
    facts: { ...GOOD, audit: { events: 0, accounts: 90, wrong: [] } },
    fails: ['balances equal an independent calculation'],
  },
  { reason: 'money made from nothing', facts: { ...GOOD, after: { ...GOOD.after, sumMinor: '5' } }, fails: ['entries sum to zero'] },
  {
    reason: 'a balance that drifted',
    facts: { ...GOOD, after: { ...GOOD.after, balanceMismatches: 1 } },
    fails: ['balances equal their entries'],
  },
  {
    reason: 'never scaled',
    facts: { ...GOOD, samples: GOOD.samples.slice(0, 1) },
    fails: ['consumers were added', 'consumers were taken away'],
  },
];

for (const { reason, facts, fails } of CASES) {
  test(`verdict: ${reason}`, () => assert.deepEqual(failing(facts), fails));
}

test('the summary has the figures, the scale actions with times, and the way out', () => {
  const text = formatSummary(GOOD);
  assert.match(text, /events in\s+1,000/);
  assert.match(text, /1 -> 3 at 10 s, 3 -> 1 at 20 s/);
  assert.match(text, /database calls per batch\s+2\.00/);
  assert.match(text, /make down/);
});
