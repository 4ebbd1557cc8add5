import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LedgerCheck } from './platform.ts';
import { formatMissing, formatSummary, verdicts, type DemoFacts } from './summary.ts';

const BEFORE: LedgerCheck = {
  ok: true,
  accounts: 100,
  transactions: 50,
  postings: 100,
  sumMinor: '0',
  balanceMismatches: 0,
  unbalancedTransactions: 0,
};

const INCIDENT = { alert: 'PostgresDown', firedSeconds: 14.2, resolvedSeconds: 11.8, trace: 6, logs: 3 };

const MADE = { transferId: 't', repeated: true, source: 'read-model', spans: 17 };
const PAID = { invoice: 'INV-2026-000001', totalMinor: '15351', currency: 'EUR', settled: true, receivedMinor: '15351' };
const PAYMENT = 'the payment of an invoice is in the ledger';
const TRANSFER = 'a repeated transfer is made once, and its trace is found';

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
  transfer: MADE,
  order: PAID,
  incident: INCIDENT,
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

function omitIncident({ incident: _incident, ...facts }: DemoFacts): DemoFacts {
  return facts;
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
  {
    reason: 'a comparison of no account',
    facts: { ...GOOD, audit: { events: 1050, accounts: 0, wrong: [] } },
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
  {
    reason: 'an alert that did not fire',
    facts: { ...GOOD, incident: 'waited 90 s for PostgresDown to fire' },
    fails: ['the alert fired and was resolved'],
  },
  {
    reason: 'an incident whose trace was lost',
    facts: { ...GOOD, incident: { ...INCIDENT, trace: 0 } },
    fails: ['the alert fired and was resolved'],
  },
  { reason: 'before the incident', facts: omitIncident(GOOD), fails: [] },
  { reason: 'a platform without the orchestrator', facts: { ...GOOD, transfer: undefined }, fails: [] },
  { reason: 'a platform without crm', facts: { ...GOOD, order: undefined }, fails: [] },
  { reason: 'an order that failed', facts: { ...GOOD, order: 'answered 503' }, fails: [PAYMENT] },
  { reason: 'an invoice that stays open', facts: { ...GOOD, order: { ...PAID, settled: false } }, fails: [PAYMENT] },
  { reason: 'a payment that the ledger has twice', facts: { ...GOOD, order: { ...PAID, receivedMinor: '30702' } }, fails: [PAYMENT] },
  { reason: 'a transfer that failed', facts: { ...GOOD, transfer: 'answered 503' }, fails: [TRANSFER] },
  { reason: 'a repeated transfer that was made twice', facts: { ...GOOD, transfer: { ...MADE, repeated: false } }, fails: [TRANSFER] },
  { reason: 'a transfer whose trace was lost', facts: { ...GOOD, transfer: { ...MADE, spans: 0 } }, fails: [TRANSFER] },
  { reason: 'a platform without a store for traces', facts: { ...GOOD, incident: { ...INCIDENT, trace: undefined } }, fails: [] },
  {
    reason: 'an incident without log lines',
    facts: { ...GOOD, incident: { ...INCIDENT, logs: 0 } },
    fails: ['the alert fired and was resolved'],
  },
];

for (const { reason, facts, fails } of CASES) {
  test(`verdict: ${reason}`, () => assert.deepEqual(failing(facts), fails));
}

test('of many missing components three are named', () => {
  assert.equal(formatMissing(['kafka 0/1', 'redis 0/1', 'loki 0/1']), 'kafka 0/1; redis 0/1; loki 0/1');
  assert.equal(formatMissing(['kafka 0/1', 'redis 0/1', 'loki 0/1', 'then 2 more']), 'kafka 0/1; redis 0/1; loki 0/1; and others');
});

test('the incident is judged when it is over, not before', () => {
  assert.match(formatSummary(GOOD), /the alert fired and was resolved/);
  assert.doesNotMatch(formatSummary(omitIncident(GOOD)), /the alert fired/);
});

test('the summary has the figures, the scale actions with times, and the way out', () => {
  const text = formatSummary(GOOD);
  assert.match(text, /events in\s+1,000/);
  assert.match(text, /1 -> 3 at 10 s, 3 -> 1 at 20 s/);
  assert.match(text, /database calls per batch\s+2\.00/);
  assert.match(text, /PostgresDown 14 s after the fault, resolved 12 s after the repair; the failed request: 6 spans, 3 log lines/);
  assert.match(text, /make down/);
});
