/**
 * `node test/scaling.ts [loads]`: the autoscaler on a cluster under loads of minutes, each compared with the fewest replicas that carry its arrivals. Writes
 * docs/results/autoscale-cluster.md after each load; rows of loads that were not run stay as they are. Without arguments: all but `steady`, which takes an
 * hour (STEADY_SECONDS). E2E_CLUSTER names a cluster that is kept.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import type { Kafka, Producer } from 'kafkajs';
import { describeError } from '../local/src/failure.ts';
import { kafkaAt } from '../local/src/demo/kafka.ts';
import { until } from '../local/src/demo/platform.ts';
import { Progress, type Note } from '../local/src/progress.ts';
import { assertSound, Environment, MINUTE, NAMESPACE, PLATFORM } from './e2e/environment.ts';
import { GroupRecorder, Load } from './e2e/events.ts';
import {
  keepUpPodSeconds,
  lagIntegral,
  podSeconds,
  ratePerMember,
  rebalancesOf,
  worstDelay,
  type GroupSample,
  type ReplicaChange,
} from './e2e/figures.ts';
import { FAST_JOURNAL, slowJournal } from './e2e/slow-journal.ts';
import { DeploymentWatch } from './e2e/watch.ts';

const ROOT = new URL('..', import.meta.url).pathname;
const PAGE = `${ROOT}docs/results/autoscale-cluster.md`;
process.env['PATH'] = `${ROOT}node_modules/.bin:${process.env['PATH'] ?? ''}`;

const DEPLOYMENT = `${PLATFORM}-interest`;
const MAX_REPLICAS = 6;
const MAX_DELAY_SECONDS = 15;
const STEADY_SECONDS = Number(process.env['STEADY_SECONDS'] ?? 3600);
/** Small transactions, so that a replica commits about once a second, and processor enough to start and to join without delay. */
const INTEREST = {
  batch: { maxRecords: 1000 },
  resources: { limits: { cpu: '500m' } },
  autoscaling: { minReplicas: 1, maxReplicas: MAX_REPLICAS, maxDelay: `${MAX_DELAY_SECONDS}s`, scaleToZero: null, idleTime: null },
};

/** Events per second, for a number of seconds. */
type Segment = readonly [perSecond: number, seconds: number];

interface Scenario {
  readonly name: string;
  readonly about: string;
  readonly segments: readonly Segment[];
  /** A release after so many segments: its replicas need twice the time for an event. */
  readonly slowerAfter?: number;
}

/** A ramp in steps of five seconds. */
function ramp(from: number, to: number, seconds: number): Segment[] {
  const steps = seconds / 5;
  return Array.from({ length: steps }, (_, index) => [Math.round(from + ((to - from) * index) / (steps - 1)), 5]);
}

/** Between 240 and 360 a second, by a fixed sequence. */
function noise(seconds: number): Segment[] {
  let state = 7;
  return Array.from({ length: Math.ceil(seconds / 5) }, () => {
    state = (state * 48_271) % 2_147_483_647;
    return [240 + (state % 121), 5];
  });
}

const SCENARIOS: readonly Scenario[] = [
  {
    name: 'short-burst',
    about: '300/s, 40 s of 2,500/s, 300/s',
    segments: [
      [300, 60],
      [2500, 40],
      [300, 60],
    ],
  },
  {
    name: 'long-burst',
    about: '300/s, five minutes of 2,500/s, 300/s',
    segments: [
      [300, 60],
      [2500, 300],
      [300, 60],
    ],
  },
  {
    name: 'step',
    about: '300/s, then 2,000/s for four minutes',
    segments: [
      [300, 60],
      [2000, 240],
    ],
  },
  {
    name: 'sawtooth',
    about: 'four times from 200/s to 2,600/s in 90 s and back at once',
    segments: Array.from({ length: 4 }, () => ramp(200, 2600, 90)).flat(),
  },
  {
    name: 'slower-release',
    about: '900/s; after 90 s a release whose replicas do half as much',
    segments: [
      [900, 90],
      [900, 300],
    ],
    slowerAfter: 1,
  },
  { name: 'steady', about: `${STEADY_SECONDS / 60} minutes of 240 to 360/s`, segments: noise(STEADY_SECONDS) },
];

interface Bench {
  readonly env: Environment;
  readonly kafka: Kafka;
  readonly load: Load;
}

interface Row {
  readonly name: string;
  readonly cells: readonly string[];
  readonly replicas: string;
}

async function main(names: readonly string[]): Promise<void> {
  const unknown = names.filter((name) => !SCENARIOS.some((one) => one.name === name));
  if (unknown.length > 0)
    throw new Error(`no load is named ${unknown.join(', ')}: write one of ${SCENARIOS.map(({ name }) => name).join(', ')}`);
  const chosen = SCENARIOS.filter(({ name }) => (names.length === 0 ? name !== 'steady' : names.includes(name)));
  const progress = new Progress('scaling', 1 + chosen.length);
  const env = await progress.step('cluster, platform', () => Environment.start());
  try {
    const kafka = kafkaAt(await env.target.forward(NAMESPACE, `${PLATFORM}-kafka`, 9092));
    const producer = kafka.producer({ allowAutoTopicCreation: false });
    await producer.connect();
    try {
      await measureAll({ env, kafka, load: new Load(producer, await env.gateway.accounts(10_000)) }, chosen, progress);
    } finally {
      await leave(env, producer);
    }
  } finally {
    await env.end();
  }
}

async function measureAll(bench: Bench, chosen: readonly Scenario[], progress: Progress): Promise<void> {
  await bench.env.setInterest(INTEREST);
  for (const scenario of chosen) {
    await bench.env.platform.sql(slowJournal());
    const row = await progress.step(scenario.name, (note) => measure(bench, scenario, note));
    console.log(`${row.cells.join(' | ')}\n${row.replicas}`);
    keep(row);
  }
}

async function leave({ platform }: Environment, producer: Producer): Promise<void> {
  await producer.disconnect();
  await platform.sql(FAST_JOURNAL);
}

async function measure(bench: Bench, scenario: Scenario, note: Note): Promise<Row> {
  const { env, kafka } = bench;
  const watch = await DeploymentWatch.start(env.kubectl, NAMESPACE, DEPLOYMENT);
  const recorder = new GroupRecorder(kafka);
  try {
    note('waits for one replica without lag');
    await until('one replica without lag', 5 * MINUTE, async () => {
      const { wanted, ready } = await env.platform.replicas('interest');
      return wanted === 1 && ready === 1 && recorder.lag === 0 && recorder.samples.at(-1)?.stable === true;
    });
    const start = await env.gateway.ledgerCheck();
    const from = Date.now();
    const { count, releasedAt } = await send(bench, scenario, note);
    note('waits for the last event');
    await until('every event to be committed', 10 * MINUTE, () =>
      Promise.resolve(recorder.lag === 0 && recorder.sampledAt > Date.now() - 1000),
    );
    note('waits for the replicas to be taken back');
    await watch.until((replicas) => replicas === 1, 5 * MINUTE);
    assertSound(await env.untilApplied(start, count));
    return describe(
      scenario,
      { samples: recorder.samples, changes: watch.changes, from, to: Date.now(), releasedAt },
      count,
      watch.describe(from),
    );
  } finally {
    watch.stop();
    await recorder.stop();
  }
}

/** @returns how many events were sent, and when the release began */
async function send({ env, load }: Bench, { segments, slowerAfter }: Scenario, note: Note): Promise<{ count: number; releasedAt: number }> {
  let count = 0;
  let releasedAt = Infinity;
  let release: Promise<void> | undefined;
  for (const [index, [perSecond, seconds]] of segments.entries()) {
    if (index === slowerAfter) {
      releasedAt = Date.now();
      release = slower(env);
    }
    note(`${perSecond}/s for ${seconds} s`);
    count += (await load.flow(perSecond, seconds)).count;
  }
  await release;
  return { count, releasedAt };
}

/** The change of a limit replaces every pod, as another image would. */
async function slower(env: Environment): Promise<void> {
  await env.platform.sql(slowJournal({ milliseconds: 2 }));
  await env.setInterest({ resources: { limits: { cpu: '510m' } } });
}

interface Seen {
  readonly samples: readonly GroupSample[];
  readonly changes: readonly ReplicaChange[];
  readonly from: number;
  readonly to: number;
  /** Infinity: there was no release. */
  readonly releasedAt: number;
}

function describe({ name, about }: Scenario, seen: Seen, count: number, replicas: string): Row {
  const { changes, from, to } = seen;
  const samples = seen.samples.filter(({ at }) => at >= from);
  const used = podSeconds(changes, from, to);
  const { rates, keepUp } = needed(samples, seen);
  const work = Math.max((to - from) / 1000, count / Math.max(...rates));
  const cells = [
    name,
    about,
    count.toLocaleString('en'),
    rates.map((rate) => `${rate.toFixed(0)}/s`).join(', then '),
    `${worstDelay(samples).toFixed(1)} s`,
    `${(lagIntegral(samples) / 1e6).toFixed(2)} M`,
    used.toFixed(0),
    keepUp.toFixed(0),
    (used / keepUp).toFixed(2),
    (used / work).toFixed(2),
    String(changes.filter(({ at }) => at >= from).length),
    String(rebalancesOf(samples).length),
  ];
  return { name, cells, replicas: `- ${name}: ${replicas}.` };
}

/** Rates of a replica before and after the release, and the pod-seconds that keep up with the arrivals at these. */
function needed(samples: readonly GroupSample[], { to, releasedAt }: Seen): { rates: number[]; keepUp: number } {
  const parts = [samples.filter(({ at }) => at < releasedAt), samples.filter(({ at }) => at >= releasedAt)].filter(
    ({ length }) => length > 1,
  );
  const rates = parts.map((part) => ratePerMember(part, 10));
  const ends = parts.map((part, index) => (index === parts.length - 1 ? to : (part.at(-1)?.at ?? to)));
  const each = parts.map((part, index) =>
    keepUpPodSeconds(part, { rate: rates[index] ?? 1, most: MAX_REPLICAS, until: ends[index] ?? to }),
  );
  return { rates, keepUp: each.reduce((sum, value) => sum + value, 0) };
}

const HEAD = [
  '| load | what arrives | events | a replica does | worst delay | lag, message-seconds | pod-seconds | keep-up | used / keep-up | used / work | scale actions | rebalances |',
  '|---|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|',
];

/** Replaces the lines of a load in the page; the others stay. */
function keep({ name, cells, replicas }: Row): void {
  const before = existsSync(PAGE) ? readFileSync(PAGE, 'utf8').split('\n') : [];
  const kept = (prefix: string, line: string): string[] =>
    SCENARIOS.flatMap((one) => {
      const found = one.name === name ? line : before.find((text) => text.startsWith(prefix.replace('NAME', one.name)));
      return found === undefined ? [] : [found];
    });
  writeFileSync(PAGE, page(kept('| NAME |', `| ${cells.join(' | ')} |`), kept('- NAME: ', replicas)));
}

function page(rows: readonly string[], replicas: readonly string[]): string {
  return `# The autoscaler on a cluster

Written by \`make scaling\` (\`make scaling LOADS=steady\` for the load of an hour); each row is the last run of its load.

${[...HEAD, ...rows].join('\n')}

- maxDelay is ${MAX_DELAY_SECONDS} s, at most ${MAX_REPLICAS} replicas. Real consumers on a real node; a transaction of the journal takes one millisecond, so that a replica's rate depends little on the machine.
- Keep-up: the fewest replicas that carry the arrivals of every ten seconds and what is left from before, started and stopped in no time. Work: all events divided by the rate of a replica, and never less than one replica.
- Pod-seconds count from the first event until one replica is left, with everything processed: the window of the scale-down is in them.

Replicas, counted from the first event:

${replicas.join('\n')}
`;
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error(describeError(error));
  process.exitCode = 1;
}
