/** Publishes events through `POST /debug/seed` and waits until the ledger has applied them. */
import { check, fail, sleep } from 'k6';
import { events, waitSeconds } from '../lib/environment.ts';
import { field, send, type Answer } from '../lib/gateway.ts';
import { eventsApplied, eventsPerSecond } from '../lib/metrics.ts';
import { optionsFor } from '../lib/options.ts';
import { writeSummary, type SummaryData } from '../lib/report.ts';

/** The gateway accepts a million events in about a minute. */
const SEED_LIMIT_SECONDS = 180;
/** The check of the ledger has 22 s in the gateway. */
const CHECK_LIMIT_SECONDS = 25;
/** Between two checks of the ledger: each of them reads the whole ledger. */
const POLL_SECONDS = 0.5;

export const options = optionsFor('seed', {
  seed: {
    executor: 'shared-iterations',
    vus: 1,
    iterations: 1,
    maxDuration: `${SEED_LIMIT_SECONDS + Math.ceil(waitSeconds) + 3 * CHECK_LIMIT_SECONDS}s`,
  },
});

export default function seed(): void {
  const before = applied(ledgerCheck());
  if (before === undefined) fail('the ledger cannot be checked: nothing was sent');
  const startedAt = Date.now();
  if (!publish()) fail('the events were not accepted');
  const count = waitForEvents(before);
  eventsApplied.add(count);
  eventsPerSecond.add(count / ((Date.now() - startedAt) / 1000));
  check(ledgerCheck(), { 'postings sum to zero and balances equal their postings': (answer) => field(answer, 'ok') === true });
}

function publish(): boolean {
  return send({
    method: 'POST',
    path: '/debug/seed',
    name: '/debug/seed',
    body: { count: events },
    limitSeconds: SEED_LIMIT_SECONDS,
    expect: {
      'status is 202': ({ status }) => status === 202,
      'accepts every event': (answer) => field(answer, 'accepted') === events,
    },
  }).ok;
}

/** Events applied since `before`: all of them, or those of the time limit. */
function waitForEvents(before: number): number {
  const until = Date.now() + waitSeconds * 1000;
  for (let count = 0; ;) {
    const now = applied(ledgerCheck());
    if (now !== undefined) count = now - before;
    console.log(`${count} of ${events} events applied`);
    if (count >= events || Date.now() > until) return count;
    sleep(POLL_SECONDS);
  }
}

function ledgerCheck(): Answer {
  return send({
    method: 'GET',
    path: '/api/v1/ledger/check',
    name: '/api/v1/ledger/check',
    limitSeconds: CHECK_LIMIT_SECONDS,
    expect: { 'status is 200': ({ status }) => status === 200 },
  }).answer;
}

/** Interest transactions in the ledger; undefined where the answer does not say. */
function applied(answer: Answer): number | undefined {
  const count = field(answer, 'interestTransactions');
  return typeof count === 'number' ? count : undefined;
}

export function handleSummary(data: SummaryData): Record<string, string> {
  return writeSummary('seed', data);
}
