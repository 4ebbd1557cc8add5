/**
 * The monitoring on a cluster: every expression has data, every runbook's commands work, and faults lead to notifications that carry their
 * runbook and end after the repair. Durations of alerts are divided by `DIVISOR`.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { dashboardExpressions, ruleExpressions, selectorsOf } from '../../dashboards/src/testing/expressions.ts';
import { pay } from '../../local/src/demo/orders.ts';
import { until } from '../../local/src/demo/platform.ts';
import { accountPair, balanceAfter, makeTransfer } from '../../local/src/demo/transfers.ts';
import type { Bench } from './alerts/bench.ts';
import { rounds } from './alerts/faults.ts';
import type { Companion } from './alerts/notifications.ts';
import { closeBench, openBench } from './alerts/open.ts';
import { quiet } from './alerts/quiet.ts';
import { lasting, runRound, untilCalm, type FaultResult } from './alerts/run.ts';
import { newOrder, setCrm } from './crm.ts';
import { MINUTE, NAMESPACE, PLATFORM, type Environment } from './environment.ts';
import { Stores } from './stores.ts';

const DIVISOR = 20;
const RUNBOOKS = join(import.meta.dirname, '..', '..', 'docs', 'runbooks');

/** Seconds of load without a fault. */
const QUIET_SECONDS = 60;

let bench: Bench;
let env: Environment;
let stores: Stores;

before(
  async () => {
    bench = await openBench(DIVISOR);
    env = bench.env;
    stores = await Stores.open(env);
    await setCrm(env, true);
  },
  { timeout: 20 * MINUTE },
);

// Other files may go on with the platform.
after(async () => bench && closeBench(bench), { timeout: 2 * MINUTE });

/** What returns nothing on a platform without faults, and why. */
const EMPTY: readonly { readonly matches: RegExp; readonly reason: string }[] = [
  { matches: /annotation Scale actions|annotation Restarts/, reason: 'nothing was scaled or restarted within the last minute' },
  { matches: /annotation Alerts|^rule.*ALERTS|^bss-components: Which alerts fire/, reason: 'no alert fires' },
  { matches: /status=~"5\.\."|status_code=~"5\.\."/, reason: 'no request failed' },
  { matches: /status="failure"/, reason: 'no calculation failed' },
  {
    matches: /otelcol_receiver_(refused|failed)_|otelcol_exporter_(send|enqueue)_failed_/,
    reason: 'a Collector counts failures from the first one on',
  },
  { matches: /loki_discarded_samples_total|tempo_discarded_spans_total/, reason: 'nothing was discarded' },
  {
    matches: /^bss-traces: Which (traces failed|messages failed|database calls are slow|traces are slow)/,
    reason: 'no trace failed or was slow',
  },
  { matches: /^bss-logs: (What went wrong|Which service writes errors)/, reason: 'no service wrote a warning or an error' },
  { matches: /bss_consumer_group_rate_per_replica/, reason: 'it is learnt while a replica has more to do than it can' },
  { matches: /autoscaler!=""/, reason: 'the cluster has no ConsumerAutoscaler' },
  { matches: /^bss-kafka: Pause of a rebalance/, reason: 'no member was in the middle of a rebalance within the last minute' },
];

/** Requests that succeed and that do not, and events, until it is stopped: ranges of the rules are 20 s here. */
function traffic(): { stop: () => Promise<void> } {
  let stopped = false;
  const run = async (): Promise<void> => {
    const gateway = await env.target.forward(NAMESPACE, `${PLATFORM}-gateway`, 8080);
    const { from, to, currency } = await accountPair(env.gateway);
    const transfer = async (): Promise<void> => {
      const request = { fromAccount: from, toAccount: to, amountMinor: '1', currency };
      const { body } = await makeTransfer(env.gateway, request, randomUUID());
      await balanceAfter(env.gateway, to, body.transactionId);
      await env.gateway.send(`/api/v1/accounts/${to}/statement?limit=1`);
    };
    const sell = async (): Promise<void> => {
      const ordered = await newOrder(env);
      await pay(env.gateway, ordered);
      for (const path of ['customers', `customers/${ordered.customerId}`, `customers/${ordered.customerId}`])
        await env.gateway.send(`/api/v1/${path}`);
    };
    while (!stopped) {
      await Promise.all([env.gateway.ledgerCheck(), fetch(`${gateway}/no-such-page`), env.gateway.seed(100), transfer(), sell()]);
      await pause(500);
    }
  };
  const done = run();
  return {
    stop: () => {
      stopped = true;
      return done;
    },
  };
}

interface Query {
  readonly place: string;
  readonly expr: string;
  /** Where to ask; Prometheus when absent. */
  readonly source?: string;
}

/** Number of series, streams or traces that a query returns now. */
async function resultsOf({ expr, source }: Query): Promise<number> {
  if (source === 'loki') return stores.logql(expr);
  if (source === 'tempo') return stores.traceql(expr);
  return (await bench.query(expr)).length;
}

/** False for a query to a store that the platform has not. */
const canAsk = ({ source }: Query): boolean => (source !== 'loki' && source !== 'tempo') || stores.has(source);

/** Expressions without a series, although there is traffic. What needs two samples is asked again for a minute. */
async function withoutData(expressions: readonly Query[]): Promise<string[]> {
  let left = expressions.filter(({ place, expr }) => !EMPTY.some(({ matches }) => matches.test(place) || matches.test(expr)));
  const load = traffic();
  try {
    const ask = async (): Promise<boolean> => {
      const answers = await Promise.all(left.map((one) => resultsOf(one)));
      left = left.filter((_, index) => answers[index] === 0);
      return left.length === 0;
    };
    await until('every expression to have data', MINUTE, ask, 5000).catch(() => undefined);
  } finally {
    await load.stop();
  }
  return left.map(({ place, expr }) => `${place}: ${expr}`);
}

test('every query of every dashboard returns data', { timeout: 4 * MINUTE }, async (t) => {
  const all: Query[] = await dashboardExpressions({ namespace: NAMESPACE, platform: PLATFORM, rateInterval: '2m' });
  const expressions = all.filter(canAsk);
  const unasked = all.length - expressions.length;
  if (unasked > 0) t.diagnostic(`${unasked} queries are left out: the platform has no Loki or no Tempo`);
  const empty = await withoutData(expressions);
  t.diagnostic(`${expressions.length} expressions, ${empty.length} without data`);
  assert.deepEqual(empty, []);
});

test('every series that a rule reads exists', { timeout: 3 * MINUTE }, async (t) => {
  const selectors = (await ruleExpressions()).flatMap(({ place, expr }) =>
    selectorsOf(expr).map((selector) => ({ place, expr: selector })),
  );
  const empty = await withoutData(selectors);
  t.diagnostic(`${selectors.length} selectors, ${empty.length} without data`);
  assert.deepEqual(empty, []);
});

test('Prometheus evaluates every rule without an error', async () => {
  const response = await fetch(`${bench.prometheus}/api/v1/rules`);
  const { data } = (await response.json()) as {
    data: { groups: { name: string; rules: { name: string; health: string; lastError?: string }[] }[] };
  };
  const failing = data.groups.flatMap(({ rules }) =>
    rules.filter(({ health }) => health !== 'ok').map(({ name, lastError }) => `${name}: ${lastError}`),
  );
  assert.deepEqual(failing, []);
  assert.ok(data.groups.length > 10, `only ${data.groups.length} groups`);
});

/** The shell commands of a page: the first block of the index, or the one under "Confirm". */
function commandsOf(text: string): string {
  const block = /```sh\n([\s\S]*?)```/.exec(text)?.[1];
  assert.ok(block, 'the page has a block of commands');
  return block;
}

/** @returns what it printed on standard error when it fails */
function shell(script: string): Promise<string | undefined> {
  const { kubectl } = env;
  const path = `${dirname(kubectl.program)}:${process.env['PATH'] ?? ''}`;
  return new Promise((resolve) => {
    const child = spawn('bash', ['-euo', 'pipefail', '-c', script], {
      env: { ...kubectl.env, PATH: path, NS: NAMESPACE, PLATFORM },
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: MINUTE,
    });
    let problem = '';
    child.stderr.on('data', (chunk: Buffer) => (problem += chunk.toString()));
    child.on('close', (code) => resolve(code === 0 ? undefined : problem || `ended with ${code}`));
  });
}

test('the commands that confirm an alert work, on every page', { timeout: 6 * MINUTE }, async () => {
  const prelude = commandsOf(await readFile(join(RUNBOOKS, 'README.md'), 'utf8'));
  const files = (await readdir(RUNBOOKS)).filter((file) => file !== 'README.md').toSorted();
  const problems: string[] = [];
  for (const file of files) {
    const problem = await shell(`${prelude}\n${commandsOf(await readFile(join(RUNBOOKS, file), 'utf8'))}`);
    if (problem !== undefined) problems.push(`${file}: ${problem}`);
  }
  assert.deepEqual(problems, []);
});

test('no alert fires under a load without faults', { timeout: 9 * MINUTE }, async (t) => {
  // The faults and what they lead to are those of the platform of the demo.
  await setCrm(env, false);
  // A pod that drains does not answer Prometheus any more.
  await until('Prometheus to have forgotten crm', 2 * MINUTE, async () => (await bench.query('up{job="crm"}')).length === 0);
  await untilCalm(bench);
  const { requests, failed, events, fired, pending } = await quiet(bench, QUIET_SECONDS, (text) => t.diagnostic(text));
  t.diagnostic(
    `${requests} requests, ${failed} not answered with 200; ${events} events; true for a while: ${pending.join(', ') || 'none'}`,
  );
  assert.deepEqual(fired, []);
  assert.ok(requests > QUIET_SECONDS && events > QUIET_SECONDS, 'there was a load');
});

function assertNotified(t: TestContext, { fault, alerts, problem }: FaultResult): void {
  assert.equal(problem, undefined, fault);
  for (const { name, alert, annotations, notifiedAfter, resolvedAfter } of alerts) {
    t.diagnostic(`${name} notified ${notifiedAfter.toFixed(1)} s after the fault, resolved ${resolvedAfter.toFixed(1)} s after the repair`);
    assert.equal(annotations['runbook_url'], `docs/runbooks/${alert['alertname']}.md`);
    assert.ok(annotations['summary'] && annotations['description'], 'the notification says what is wrong');
  }
}

const earlier: Companion[] = [];
for (const round of rounds()) {
  test(`faults, ${round.name}: alerts are notified with runbooks and resolved, and no others`, { timeout: 12 * MINUTE }, async (t) => {
    const result = await runRound(bench, round, { earlier, note: (text) => t.diagnostic(text) });
    earlier.push(...lasting(round));
    for (const one of result.faults) await t.test(one.fault, (inner) => assertNotified(inner, one));
    t.diagnostic(`the round took ${result.seconds.toFixed(0)} s; notified besides: ${result.besides.join(', ') || 'none'}`);
    assert.deepEqual(result.unrelated, [], 'alerts that belong to no fault');
  });
}

/** Exemplars of requests that failed within the last half hour: trace ids, newest first. */
async function failedTraces(): Promise<string[]> {
  const end = Date.now() / 1000;
  const query = '{__name__=~"http_request_duration_seconds(_bucket)?",service="ledger",status=~"5.."}';
  const parameters = new URLSearchParams({ query, start: String(end - 1800), end: String(end) });
  const response = await fetch(`${bench.prometheus}/api/v1/query_exemplars?${parameters.toString()}`);
  const { data } = (await response.json()) as { data: { exemplars: { labels: Record<string, string>; timestamp: number }[] }[] };
  const newest = data.flatMap(({ exemplars }) => exemplars).toSorted((a, b) => b.timestamp - a.timestamp);
  return [...new Set(newest.flatMap(({ labels }) => labels['trace_id'] ?? []))];
}

test(
  'an exemplar of a failed request leads to its trace, the trace to its logs, and a log line back',
  { timeout: 3 * MINUTE },
  async (t) => {
    const traceStores = (['tempo', 'jaeger'] as const).filter((name) => stores.has(name));
    if (!stores.has('loki') || traceStores.length === 0) return t.skip('the platform has no Loki, or neither Tempo nor Jaeger');
    const ids = await failedTraces();
    assert.ok(ids.length > 0, 'failed requests left exemplars');
    for (const store of traceStores) {
      const { id, spans, lines } = await until(`a trace in ${store} with log lines in Loki`, MINUTE, () => joined(store, ids));
      assert.ok(
        spans.some(({ service, error }) => service === 'ledger' && error !== undefined),
        'the trace names the failure',
      );
      const [line] = lines.filter(({ labels }) => labels['service_name'] === 'ledger');
      assert.equal(line?.labels['trace_id'], id);
      assert.ok(
        spans.some((span) => span.id === line?.labels['span_id']),
        'the line names a span of the trace',
      );
      t.diagnostic(`${store}: ${spans.length} spans, ${lines.length} log lines of one request`);
    }
  },
);

/** The first of the traces that a store has and that has log lines. */
async function joined(store: 'tempo' | 'jaeger', ids: readonly string[]) {
  for (const id of ids.slice(0, 10)) {
    const [spans, lines] = await Promise.all([stores.trace(store, id), stores.linesOf(id)]);
    if (spans.length > 0 && lines.length > 0) return { id, spans, lines };
  }
  return undefined;
}
