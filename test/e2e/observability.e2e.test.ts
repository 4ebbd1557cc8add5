/**
 * The monitoring on a cluster: every expression has data, every runbook's commands work, and faults lead to notifications that carry their
 * runbook and end after the repair. Durations of alerts are divided by `DIVISOR`.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { dashboardExpressions, ruleExpressions, selectorsOf } from '../../dashboards/src/testing/expressions.ts';
import { kafkaAt } from '../../local/src/demo/kafka.ts';
import { until } from '../../local/src/demo/platform.ts';
import { Catcher, CATCHER, type Notification } from './catcher.ts';
import { component, Environment, MINUTE, NAMESPACE, PLATFORM } from './environment.ts';
import { TOPIC } from './events.ts';

const DIVISOR = 20;
const RUNBOOKS = join(import.meta.dirname, '..', '..', 'docs', 'runbooks');

let env: Environment;
let prometheus: string;
let catcher: Catcher;

before(
  async () => {
    env = await Environment.start();
    catcher = await Catcher.start(env);
    await patch({
      prometheus: { alerts: { durationDivisor: DIVISOR } },
      alertmanager: { receivers: { secretName: CATCHER.name, webhook: { port: CATCHER.port } } },
    });
    await env.waitReady(2 * MINUTE);
    prometheus = await env.target.forward(NAMESPACE, `${PLATFORM}-prometheus`, 9090);
  },
  { timeout: 20 * MINUTE },
);

after(
  async () => {
    // Other files may go on with the platform.
    await patch({ prometheus: null, alertmanager: null });
    await catcher.stop();
    await env.end();
  },
  { timeout: 2 * MINUTE },
);

async function patch(spec: object): Promise<void> {
  await env.kubectl.run(['patch', 'bss', PLATFORM, '-n', NAMESPACE, '--type=merge', '-p', JSON.stringify({ spec })]);
}

/** Number of series that an expression returns now. */
async function seriesOf(expr: string): Promise<number> {
  const response = await fetch(`${prometheus}/api/v1/query?${new URLSearchParams({ query: expr }).toString()}`);
  const body = (await response.json()) as { error?: string; data?: { result: unknown[] } };
  if (body.data === undefined) throw new Error(`${expr}: ${body.error}`);
  return body.data.result.length;
}

/** What returns nothing on a platform without faults, and why. */
const EMPTY: readonly { readonly matches: RegExp; readonly reason: string }[] = [
  { matches: /annotation Scale actions|annotation Restarts/, reason: 'nothing was scaled or restarted within the last minute' },
  { matches: /annotation Alerts|^rule.*ALERTS/, reason: 'no alert fires' },
  { matches: /status=~"5\.\."/, reason: 'no request failed' },
  { matches: /^bss-cache: Hit rate/, reason: 'no workload reads the cache yet: 0 hits of 0 reads is no number' },
  { matches: /bss_consumer_group_rate_per_replica/, reason: 'it is learnt while a replica has more to do than it can' },
  { matches: /^bss-kafka: Pause of a rebalance/, reason: 'no member was in the middle of a rebalance within the last minute' },
];

/** Requests that succeed and that do not, and events, until it is stopped: ranges of the rules are 20 s here. */
function traffic(): { stop: () => Promise<void> } {
  let stopped = false;
  const run = async (): Promise<void> => {
    const gateway = await env.target.forward(NAMESPACE, `${PLATFORM}-gateway`, 8080);
    while (!stopped) {
      await Promise.all([env.gateway.ledgerCheck(), fetch(`${gateway}/no-such-page`), env.gateway.seed(100)]);
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

/** Expressions without a series, although there is traffic. What needs two samples is asked again for a minute. */
async function withoutData(expressions: readonly { place: string; expr: string }[]): Promise<string[]> {
  let left = expressions.filter(({ place, expr }) => !EMPTY.some(({ matches }) => matches.test(place) || matches.test(expr)));
  const load = traffic();
  try {
    const ask = async (): Promise<boolean> => {
      const counts = await Promise.all(left.map(({ expr }) => seriesOf(expr)));
      left = left.filter((_, index) => counts[index] === 0);
      return left.length === 0;
    };
    await until('every expression to have data', MINUTE, ask, 5000).catch(() => undefined);
  } finally {
    await load.stop();
  }
  return left.map(({ place, expr }) => `${place}: ${expr}`);
}

test('every query of every dashboard returns data', { timeout: 4 * MINUTE }, async (t) => {
  const expressions = await dashboardExpressions({ namespace: NAMESPACE, platform: PLATFORM, rateInterval: '2m' });
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
  const response = await fetch(`${prometheus}/api/v1/rules`);
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

/** Waits for a notification that arrived after an instant. */
function notified(status: Notification['status'], labels: Record<string, string>, since: number): Promise<Notification> {
  const text = Object.values(labels).join(' ');
  return until(`a notification that ${text} is ${status}`, 2 * MINUTE, async () =>
    (await catcher.notifications()).find(
      (one) =>
        one.receivedAt > since && one.status === status && Object.entries(labels).every(([label, value]) => one.labels[label] === value),
    ),
  );
}

interface Fault {
  readonly name: string;
  /** Labels of the alerts that must reach the receiver. */
  readonly alerts: readonly Record<string, string>[];
  readonly cause: () => Promise<void>;
  readonly repair: () => Promise<void>;
}

/** The operator leaves the platform alone meanwhile, else it would repair the fault within a second. */
async function scaledToZero(object: string): Promise<void> {
  await patch({ paused: true });
  await until('the operator to pause', MINUTE, async () => {
    const platform = await env.platform.get();
    return platform?.status?.conditions?.some(({ type, status: value }) => type === 'Paused' && value === 'True');
  });
  await env.kubectl.run(['scale', object, '-n', NAMESPACE, '--replicas=0']);
}

const resume = (): Promise<void> => patch({ paused: false });

async function poison(): Promise<void> {
  const producer = kafkaAt(await env.target.forward(NAMESPACE, `${PLATFORM}-kafka`, 9092)).producer();
  await producer.connect();
  try {
    await producer.send({ topic: TOPIC, messages: [{ key: 'poison', value: 'not JSON' }] });
  } finally {
    await producer.disconnect();
  }
}

const FAULTS: readonly Fault[] = [
  {
    name: 'a poison record',
    alerts: [{ alertname: 'DeadLetters', reason: 'not_json' }],
    cause: poison,
    // The window of the alert ends it.
    repair: () => Promise.resolve(),
  },
  {
    name: 'no consumer is left',
    alerts: [{ alertname: 'KafkaConsumerGroupEmpty' }, { alertname: 'TargetMissing', job: 'interest' }],
    cause: async () => {
      await scaledToZero('deployment/demo-interest');
      // A member that drains would consume the events yet.
      await env.kubectl.run(['wait', '--for=delete', 'pod', '-l', component('interest'), '-n', NAMESPACE, '--timeout=60s']);
      await env.gateway.seed(500);
    },
    repair: resume,
  },
  { name: 'Redis is down', alerts: [{ alertname: 'RedisDown' }], cause: () => scaledToZero('deployment/demo-redis'), repair: resume },
  { name: 'Kafka is down', alerts: [{ alertname: 'KafkaDown' }], cause: () => scaledToZero('statefulset/demo-kafka'), repair: resume },
];

async function faultToResolution(t: TestContext, { alerts, cause, repair }: Fault): Promise<void> {
  const broken = Date.now();
  await cause();
  // The next fault begins on a whole platform.
  t.after(repair);
  const fired = await Promise.all(alerts.map((labels) => notified('firing', labels, broken)));
  for (const { labels, annotations, receivedAt } of fired) {
    t.diagnostic(`${labels['alertname']} notified ${((receivedAt - broken) / 1000).toFixed(1)} s after the fault`);
    assert.equal(annotations['runbook_url'], `docs/runbooks/${labels['alertname']}.md`);
    assert.ok(annotations['summary'] && annotations['description'], 'the notification says what is wrong');
  }
  const repaired = Date.now();
  await repair();
  await Promise.all(alerts.map((labels) => notified('resolved', labels, repaired)));
  t.diagnostic(`resolved ${((Date.now() - repaired) / 1000).toFixed(1)} s after the repair`);
  await env.waitReady(2 * MINUTE);
}

for (const fault of FAULTS) {
  test(`${fault.name}: the alert is notified with its runbook, and resolved after the repair`, { timeout: 5 * MINUTE }, (t) =>
    faultToResolution(t, fault),
  );
}
