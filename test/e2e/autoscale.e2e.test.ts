/**
 * The autoscaler on a real cluster: how fast it acts, what it costs, and that it does not scale where that would be useless or harmful.
 * Every test prints its figures. OUTAGE_SECONDS sets how long Kafka is away (default 30).
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import process from 'node:process';
import { promisify } from 'node:util';
import type { Kafka, Producer } from 'kafkajs';
import { kafkaAt } from '../../local/src/demo/kafka.ts';
import { prometheusValue, until, type Condition, type ConsumerGroup, type LedgerCheck } from '../../local/src/demo/platform.ts';
import {
  assertSound,
  component,
  Environment,
  MINUTE,
  NAMESPACE,
  OPERATOR,
  OPERATOR_NAMESPACE,
  PLATFORM,
  secondsSince,
} from './environment.ts';
import { GROUP, GroupRecorder, Load, type Sent } from './events.ts';
import {
  commitIntervals,
  fewestPodSeconds,
  longestGap,
  percentile,
  podSeconds,
  ratePerMember,
  rebalancePauses,
  rebalancesOf,
  surgeAt,
  unavoidableDelay,
  worstDelay,
  type GroupSample,
} from './figures.ts';
import { FAST_JOURNAL, slowJournal } from './slow-journal.ts';
import { DeploymentWatch } from './watch.ts';

const DEPLOYMENT = `${PLATFORM}-interest`;
const AUTOSCALING = { minReplicas: 1, maxReplicas: 4, maxDelay: '15s', scaleToZero: null, idleTime: null };
/** Small transactions, so that a replica commits about once a second, and processor enough to start and to join without delay. */
const NORMAL = { batch: { maxRecords: 1000 }, resources: { limits: { cpu: '500m' } }, autoscaling: AUTOSCALING };
const AS_BEFORE = { batch: null, resources: { limits: { cpu: '200m' } }, autoscaling: AUTOSCALING };
const MAX_DELAY_SECONDS = 15;
/** Machines are shared and differ. The figures are printed, and a test fails when one exceeds its target by this factor. */
const TOLERANCE = 2;
/** The rate of a replica is taken over this time: several commits, so that where they fall hardly counts. */
const RATE_SECONDS = 10;
/** Events per second: far too much for one replica, and less than four can do. */
const BUSY = 2500;
/** Events that wait: more than those of a few commits. */
const FAR_BEHIND = 5000;
const OUTAGE_SECONDS = Number(process.env['OUTAGE_SECONDS'] ?? 30);

const HPA = {
  apiVersion: 'autoscaling/v2',
  kind: 'HorizontalPodAutoscaler',
  metadata: { name: 'foreign', namespace: NAMESPACE },
  spec: {
    scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: DEPLOYMENT },
    minReplicas: 1,
    maxReplicas: 2,
    metrics: [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 90 } } }],
  },
};

let env: Environment;
let kafka: Kafka;
let producer: Producer;
let load: Load;

before(
  async () => {
    env = await Environment.start();
    kafka = kafkaAt(await env.target.forward(NAMESPACE, `${PLATFORM}-kafka`, 9092));
    producer = kafka.producer({ allowAutoTopicCreation: false });
    await producer.connect();
    load = new Load(producer, await env.gateway.accounts(10_000));
    await sql(slowJournal());
    await env.setInterest(NORMAL);
  },
  { timeout: 20 * MINUTE },
);

after(
  async () => {
    if (env === undefined) return;
    try {
      await producer?.disconnect();
      await sql(FAST_JOURNAL);
      await env.setInterest(AS_BEFORE);
    } finally {
      await env.end();
    }
  },
  { timeout: 4 * MINUTE },
);

/** The part of a group's status that only these tests read. */
interface GroupStatus extends ConsumerGroup {
  readonly ratePerReplica?: number;
  readonly learned?: { readonly ratePerReplica: number; readonly startupSeconds: number; readonly observations: number };
}

async function groupStatus(): Promise<GroupStatus> {
  const groups: readonly GroupStatus[] | undefined = (await env.platform.get())?.status?.consumerGroups;
  const group = groups?.find(({ name }) => name === GROUP);
  if (group === undefined) throw new Error(`status says nothing of the group ${GROUP}`);
  return group;
}

async function condition(type: string): Promise<Condition | undefined> {
  return (await env.platform.get())?.status?.conditions?.find((one) => one.type === type);
}

/** Waits until a condition holds for a reason; resolves to its message. */
function untilCondition(type: string, reason: string, timeoutMs: number): Promise<string> {
  return until(`condition ${type} ${reason}`, timeoutMs, async () => {
    const found = await condition(type);
    return found?.reason === reason ? found.message || reason : undefined;
  });
}

async function sql(text: string): Promise<void> {
  await env.platform.sql(text);
}

/** What is seen of the group and its Deployment while a test runs. */
interface Scene {
  readonly watch: DeploymentWatch;
  readonly recorder: GroupRecorder;
  readonly start: LedgerCheck;
}

/** Runs a test on a settled group: no lag, one replica. The test reverts its own changes. */
async function onGroupAtRest(act: (scene: Scene) => Promise<void>): Promise<void> {
  const watch = await DeploymentWatch.start(env.kubectl, NAMESPACE, DEPLOYMENT);
  const recorder = new GroupRecorder(kafka);
  try {
    await until('nothing to wait', 3 * MINUTE, () => Promise.resolve(recorder.lag === 0));
    // The replicas of the test before are removed by hand: waiting for a scale-down would take minutes.
    if (watch.replicas > 1) await env.kubectl.run(['scale', 'deployment', DEPLOYMENT, '-n', NAMESPACE, '--replicas=1']);
    await until('one replica alone', MINUTE, async () => {
      const { wanted, ready } = await env.platform.replicas('interest');
      const last = recorder.samples.at(-1);
      return wanted === 1 && ready === 1 && last?.stable === true && last.members.length === 1 && recorder.lag === 0;
    });
    await act({ watch, recorder, start: await env.gateway.ledgerCheck() });
  } catch (error) {
    console.error(await explained());
    throw error;
  } finally {
    watch.stop();
    await recorder.stop();
  }
}

/** The last decisions of the autoscaler, as `bss explain-scaling` prints them. */
async function explained(): Promise<string> {
  const program = join(import.meta.dirname, '..', '..', 'operator', 'src', 'cli', 'main.ts');
  const args = [program, 'explain-scaling', PLATFORM, '-n', NAMESPACE, '--last', '60', '--no-color'];
  const options = { env: { ...process.env, ...env.kubectl.env }, timeout: MINUTE };
  const { stdout, stderr } = await promisify(execFile)(process.execPath, args, options).catch((error: unknown) => ({
    stdout: '',
    stderr: String(error),
  }));
  return stdout + stderr;
}

function untilCommitted(recorder: GroupRecorder, timeoutMs = 3 * MINUTE): Promise<unknown> {
  const asked = Date.now();
  return until(
    'every event to be committed',
    timeoutMs,
    () => Promise.resolve(recorder.lag === 0 && recorder.sampledAt > asked + 500),
    250,
  );
}

/** Each event that was sent is in the ledger, once. */
async function assertApplied(start: LedgerCheck, count: number): Promise<void> {
  const end = await env.untilApplied(start, count);
  assertSound(end);
  assert.equal(end.transactions - start.transactions, count, 'events applied');
}

test('to zero when idle, back for one event, and up without a known rate', { timeout: 6 * MINUTE }, (t) =>
  onGroupAtRest(async ({ watch, recorder, start }) => {
    try {
      const changed = Date.now();
      await env.setInterest({ autoscaling: { minReplicas: 0, scaleToZero: true, idleTime: '10s' } });
      await watch.until((replicas) => replicas === 0, 2 * MINUTE);
      t.diagnostic(`0 replicas ${secondsSince(changed)} s after idleTime was set to 10 s`);
      await until('no pod', MINUTE, async () => (await env.platform.replicas('interest')).ready === 0);
      const sentAt = await load.one();
      const up = await watch.until((replicas) => replicas > 0, MINUTE);
      await untilCommitted(recorder, MINUTE);
      t.diagnostic(`an event: scale request after ${seconds(up.at - sentAt)} s, applied after ${secondsSince(sentAt)} s`);
      assert.equal(up.replicas, 1);
      assert.ok(up.at - sentAt < TOLERANCE * 6000, 'from the event to the scale request in about 6 s');
      await env.setInterest(NORMAL);
      const burst = await load.flow(BUSY, 8);
      await watch.until((replicas) => replicas > 1, MINUTE);
      t.diagnostic(`a first burst, the rate still unknown: ${watch.describe(burst.firstAt)}`);
      await untilCommitted(recorder);
      await assertApplied(start, 1 + burst.count);
    } finally {
      await env.setInterest(NORMAL);
    }
  }),
);

test('up within seconds of a jump in arrivals, and down after it', { timeout: 6 * MINUTE }, (t) =>
  onGroupAtRest(async ({ watch, recorder, start }) => {
    const calm = await load.flow(300, 15);
    const jump = await load.flow(BUSY, 30);
    await untilCommitted(recorder);
    const drained = Date.now();
    await watch.until((replicas) => replicas === 1, 3 * MINUTE);
    const samples = [...recorder.samples];
    const rate = ratePerMember(samples, RATE_SECONDS);
    t.diagnostic(`a replica did ${rate.toFixed(0)}/s, as status says ${(await groupStatus()).ratePerReplica}/s`);
    assert.ok(rate > 0, 'a replica was sampled at work');
    assert.ok(((await groupStatus()).ratePerReplica ?? 0) > 0, 'status has the rate of one replica');
    assertJump(t, watch, { calm, jump }, rate, samples);
    assertPods(t, watch, jump, rate, drained);
    assertPauses(t, samples);
    await assertPausesOfMembers(t, samples);
    await assertApplied(start, calm.count + jump.count);
  }),
);

/**
 * The limits are those of the autoscaler, not of the machine: time counts from the arrival of more than one replica does, the delay that even all
 * replicas could not avoid at the rate that they had is added, and so is the longest time in which this machine got no answer of the brokers.
 */
function assertJump(
  t: TestContext,
  watch: DeploymentWatch,
  { calm, jump }: { calm: Sent; jump: Sent },
  rate: number,
  samples: readonly GroupSample[],
): void {
  const surge = surgeAt(samples, rate, jump.firstAt - 1000) ?? jump.firstAt;
  // Where 300/s are too much for one replica, it is not alone when the jump comes.
  const up = watch.changes.find(({ at, replicas }) => at > calm.firstAt && replicas > 1);
  assert.ok(up !== undefined, 'replicas were added');
  const [delay, stall] = [worstDelay(samples), longestGap(samples)];
  const unavoidable = unavoidableDelay(samples, AUTOSCALING.maxReplicas * rate);
  t.diagnostic(`from 300/s to ${BUSY}/s: up to ${up.replicas} after ${seconds(up.at - surge)} s; worst delay ${delay.toFixed(1)} s`);
  t.diagnostic(
    `unavoidable with ${AUTOSCALING.maxReplicas} replicas: ${unavoidable.toFixed(1)} s; stalled for ${stall.toFixed(1)} s at most`,
  );
  t.diagnostic(`replicas: ${watch.describe(surge)}`);
  const stallBefore = longestGap(samples, surge, up.at);
  assert.ok(up.at - surge < TOLERANCE * 6000 + stallBefore * 1000, 'from the jump to the scale request in about 6 s');
  assert.ok(delay < MAX_DELAY_SECONDS + 20 + unavoidable + stall, 'delay never above maxDelay + 20 s, where four replicas can keep it');
}

function assertPods(t: TestContext, watch: DeploymentWatch, jump: Sent, rate: number, drained: number): void {
  const down = watch.changes.at(-1)?.at ?? drained;
  const used = podSeconds(watch.changes, jump.firstAt, down);
  const lasted = jump.count / BUSY;
  const fewest = fewestPodSeconds(jump.count, lasted, rate, (down - jump.firstAt) / 1000 - lasted);
  const share = used / fewest;
  t.diagnostic(
    `pod-seconds ${used.toFixed(0)}, the fewest possible at ${rate.toFixed(0)}/s each are ${fewest.toFixed(0)}: ${share.toFixed(2)} times`,
  );
  t.diagnostic(`no lag ${seconds(drained - jump.firstAt)} s after the jump, back at one replica ${seconds(down - drained)} s later`);
  assert.ok(share >= 1, 'no load is processed with fewer pod-seconds than the fewest possible');
  assert.ok(share < TOLERANCE * 1.3, 'at most 1.3 times the fewest possible pod-seconds');
}

function assertPauses(t: TestContext, samples: readonly GroupSample[]): void {
  const pauses = rebalancePauses(samples);
  const [half, most, worst] = [percentile(pauses, 0.5), percentile(pauses, 0.95), percentile(pauses, 1)];
  const rebalances = rebalancesOf(samples).length;
  const of = `${pauses.length} pauses of partitions in ${rebalances} rebalances`;
  t.diagnostic(`${of}: median ${half.toFixed(1)} s, p95 ${most.toFixed(1)} s, worst ${worst.toFixed(1)} s`);
  assert.ok(rebalances > 0 && pauses.length > 0, 'a group that scales rebalances, and partitions with events pause meanwhile');
  assert.ok(most < TOLERANCE * MAX_DELAY_SECONDS, 'p95 of the standstills below maxDelay');
}

/**
 * The members' own measure, without the batches before and after; those that are gone are in it too. A member finishes its batch before it
 * gives partitions away: the limit has a commit interval of this load in it.
 */
async function assertPausesOfMembers(t: TestContext, samples: readonly GroupSample[]): Promise<void> {
  const url = await env.target.forward(NAMESPACE, `${PLATFORM}-prometheus`, 9090);
  const query = 'histogram_quantile(0.95, sum by (le) (max_over_time(kafka_consumer_rebalance_pause_seconds_bucket[15m])))';
  const pause = await until('the pauses to be scraped', MINUTE, () => prometheusValue(url, query));
  const batch = percentile(commitIntervals(samples), 0.95);
  t.diagnostic(
    `as the members measure their pauses, all tests so far: p95 ${pause.toFixed(2)} s; a commit interval: p95 ${batch.toFixed(1)} s`,
  );
  assert.ok(pause < TOLERANCE * (2 + Math.max(1, batch)), 'p95 of the pauses below 2 s and a commit interval');
}

test('reports replicas that a user changed, and continues from their number', { timeout: 4 * MINUTE }, (t) =>
  onGroupAtRest(async ({ watch }) => {
    const reported = new Set((await manualChanges()).map(({ key }) => key));
    const changed = Date.now();
    await env.kubectl.run(['scale', 'deployment', DEPLOYMENT, '-n', NAMESPACE, '--replicas=3']);
    const note = await until('an event about it', MINUTE, async () => (await manualChanges()).find(({ key }) => !reported.has(key)));
    t.diagnostic(`reported ${secondsSince(changed)} s after the change: ${note.message}`);
    await watch.until((replicas) => replicas === 1, 2 * MINUTE);
    t.diagnostic(`replicas: ${watch.describe(changed)}`);
  }),
);

/** The events about changes by hand; `key` changes when one is repeated. */
async function manualChanges(): Promise<{ key: string; message: string }[]> {
  interface Event {
    readonly metadata: { readonly uid: string };
    readonly reason: string;
    readonly message: string;
    readonly series?: { readonly count: number };
  }
  const { items } = await env.kubectl.json<{ items: Event[] }>(['get', 'events', '-n', NAMESPACE]);
  return items
    .filter(({ reason }) => reason === 'ManualChange')
    .map(({ metadata, message, series }) => ({ key: `${metadata.uid}/${series?.count ?? 1}`, message }));
}

test('a partition that is hot alone is named, and gets no replicas that it cannot use', { timeout: 4 * MINUTE }, (t) =>
  onGroupAtRest(async ({ watch, recorder, start }) => {
    const started = Date.now();
    const named = { done: false };
    const naming = untilCondition('ScalingLimited', 'HotPartition', 90_000).finally(() => (named.done = true));
    const flowing = load.onOnePartition().flow(2000, 60, { enough: () => named.done });
    const [sent, message] = await Promise.all([flowing, naming]);
    t.diagnostic(`named ${secondsSince(started)} s after the first event: ${message}`);
    assert.match(message, /interest\.transaction\.v1\/\d+ alone/);
    t.diagnostic(`replicas: ${watch.describe(started)}`);
    // One for the partition, one for the others: evenly spread, the same load would need all four.
    assert.ok(watch.most(started) <= 2, 'no replicas that the partition cannot use');
    await untilCommitted(recorder);
    await assertApplied(start, sent.count);
  }),
);

test(
  'the operator killed in the middle of a burst: nothing is forgotten, no replica that is needed is taken away',
  { timeout: 5 * MINUTE },
  async (t) => {
    await untilRateKnown();
    await onGroupAtRest(async ({ watch, recorder, start }) => {
      const flowing = load.flow(BUSY, 30);
      const peak = await watch.until((replicas) => replicas > 1, MINUTE);
      const known = (await groupStatus()).learned;
      assert.ok(known !== undefined, 'a rate was learnt before');
      const killed = Date.now();
      await env.killPods(OPERATOR_NAMESPACE, OPERATOR);
      const sent = await flowing;
      await env.kubectl.run(['rollout', 'status', 'deployment/bss-operator', '-n', OPERATOR_NAMESPACE, '--timeout=60s']);
      await untilCommitted(recorder);
      const lowest = Math.min(...watch.since(killed).map(({ replicas }) => replicas), peak.replicas);
      const now = (await groupStatus()).learned;
      t.diagnostic(`no lag ${secondsSince(killed)} s after the kill; replicas until then: ${watch.describe(killed)}`);
      t.diagnostic(
        `learnt before: ${known.ratePerReplica}/s of ${known.observations}, after: ${now?.ratePerReplica}/s of ${now?.observations}`,
      );
      // Towards the end of the burst fewer may do: what the load needs is what must not be taken away.
      const needed = Math.min(peak.replicas, Math.ceil(BUSY / known.ratePerReplica));
      assert.ok(lowest >= needed, `${lowest} replicas before the lag was gone, where ${needed} were needed`);
      assert.ok((now?.observations ?? 0) >= known.observations, 'what was learnt is kept');
      await assertApplied(start, sent.count);
    });
  },
);

test('reports another scaler of the Deployment, and does not scale until it is removed', { timeout: 6 * MINUTE }, (t) =>
  onGroupAtRest(async ({ watch, recorder, start }) => {
    const made = Date.now();
    const scaled = { done: false };
    try {
      await env.kubectl.run(['apply', '-f', '-'], { input: JSON.stringify(HPA) });
      const message = await untilCondition('ScalingLimited', 'ForeignScaler', MINUTE);
      t.diagnostic(`named ${secondsSince(made)} s after it was made: ${message}`);
      assert.match(message, /HorizontalPodAutoscaler\/foreign/);
      assert.equal((await groupStatus()).reason, 'ForeignScaler');
      // It goes on until the autoscaler has acted: a replica that is fast would leave it nothing to do.
      const flowing = load.flow(BUSY, 90, { enough: () => scaled.done });
      await until('more to wait than one replica can do', MINUTE, () => Promise.resolve(recorder.lag > FAR_BEHIND));
      assert.deepEqual(watch.since(made), [], 'changes of replicas while the other scaler is there');
      await withoutHpa();
      const removed = Date.now();
      const up = await watch.until((replicas) => replicas > 1, MINUTE);
      scaled.done = true;
      t.diagnostic(`resumed ${seconds(up.at - removed)} s after it was removed; replicas: ${watch.describe(made)}`);
      await untilCondition('ScalingLimited', 'NotLimited', MINUTE);
      await untilCommitted(recorder);
      await assertApplied(start, (await flowing).count);
    } finally {
      scaled.done = true;
      await withoutHpa();
    }
  }),
);

async function withoutHpa(): Promise<void> {
  await env.kubectl.run(['delete', 'hpa', 'foreign', '-n', NAMESPACE, '--ignore-not-found']);
}

test('a database that is the limit: the autoscaler stops adding replicas and says so', { timeout: 10 * MINUTE }, async (t) => {
  await untilRateKnown();
  await onGroupAtRest(async ({ watch, recorder, start }) => {
    const started = Date.now();
    const named = { done: false };
    let sent: Sent;
    try {
      await sql(slowJournal({ milliseconds: 1.5, shared: true }));
      // A scale-up is judged by what the replicas did before it: not right after their number was changed by hand.
      const calm = await load.flow(300, 20);
      const naming = untilCondition('ScalingLimited', 'Ineffective', 4 * MINUTE).finally(() => (named.done = true));
      const flowing = load.flow(1500, 230, { enough: () => named.done });
      const [done, message] = await Promise.all([flowing, naming]);
      sent = { ...done, count: calm.count + done.count };
      const limited = await watch.until((replicas) => replicas < AUTOSCALING.maxReplicas, MINUTE);
      t.diagnostic(`said ${secondsSince(started)} s after the load began: ${message}`);
      t.diagnostic(`replicas: ${watch.describe(started)}; most ${watch.most(started)}, then ${limited.replicas}`);
    } finally {
      await sql(slowJournal());
    }
    const recovered = Date.now();
    await untilCommitted(recorder);
    t.diagnostic(`the lock gone: no lag ${secondsSince(recovered)} s later`);
    await assertApplied(start, sent.count);
  });
});

/** Some tests need the rate of a replica. The tests before them have shown it, unless they run alone. */
async function untilRateKnown(): Promise<void> {
  while ((await groupStatus()).learned === undefined)
    await onGroupAtRest(async ({ recorder, start }) => {
      const { count } = await load.flow(BUSY, 10);
      await untilCommitted(recorder);
      await assertApplied(start, count);
    });
}

test('holds the replicas while Kafka is unavailable, and continues soon after its return', { timeout: 8 * MINUTE }, (t) =>
  onGroupAtRest(async ({ watch, recorder, start }) => {
    const flowing = load.flow(BUSY, 25);
    await watch.until((replicas) => replicas > 1, MINUTE);
    const sent = await flowing;
    const restarts = await operatorRestarts();
    const [stopped, lag, held] = [Date.now(), recorder.lag, watch.replicas];
    const returned = await withKafkaAway(async () => {
      const message = await untilCondition('LagUnknown', 'LagUnknown', MINUTE);
      t.diagnostic(`stopped with ${lag} events waiting and ${held} replicas; LagUnknown after ${secondsSince(stopped)} s: ${message}`);
      assert.equal((await groupStatus()).lag, undefined, 'a lag that is not known is not shown as zero');
    }, stopped);
    await until('Kafka to answer', MINUTE, () => Promise.resolve(recorder.sampledAt > returned), 250);
    const committed = total(recorder.samples.at(-1));
    // What waited may all have been applied while the broker ended.
    await load.one();
    await until('an event to be committed', MINUTE, () => Promise.resolve(total(recorder.samples.at(-1)) > committed), 250);
    const working = secondsSince(returned);
    await untilCondition('LagUnknown', 'LagKnown', MINUTE);
    const known = secondsSince(returned);
    t.diagnostic(
      `away for ${seconds(returned - stopped)} s; after its return events were applied in ${working} s, the lag was known in ${known} s`,
    );
    const fewest = Math.min(held, ...watch.since(stopped).flatMap(({ at, replicas }) => (at < returned ? [replicas] : [])));
    assert.equal(fewest, held, 'the fewest replicas while Kafka was away');
    assert.equal(await operatorRestarts(), restarts, 'restarts of the operator');
    assert.ok(Math.max(Number(working), Number(known)) < TOLERANCE * 15, 'normal work about 15 s after its return');
    await untilCommitted(recorder);
    await assertApplied(start, sent.count + 1);
  }),
);

/**
 * Takes the broker away for OUTAGE_SECONDS: its pod is deleted, and the node takes no new one until then. The operator cannot put that right.
 * @returns when the broker was back, epoch milliseconds
 */
async function withKafkaAway(meanwhile: () => Promise<void>, since: number): Promise<number> {
  const node = (await env.kubectl.run(['get', 'nodes', '-o', 'jsonpath={.items[0].metadata.name}'])).trim();
  try {
    await env.kubectl.run(['cordon', node]);
    await env.kubectl.run(['delete', 'pod', '-n', NAMESPACE, '-l', component('kafka')]);
    await meanwhile();
    await until('the outage to be over', (OUTAGE_SECONDS + 10) * 1000, () => Promise.resolve(Date.now() - since > OUTAGE_SECONDS * 1000));
  } finally {
    await env.kubectl.run(['uncordon', node]);
  }
  await env.kubectl.run(['rollout', 'status', `statefulset/${PLATFORM}-kafka`, '-n', NAMESPACE, '--timeout=120s']);
  return Date.now();
}

async function operatorRestarts(): Promise<string> {
  const path = 'jsonpath={range .items[*]}{.metadata.name} {.status.containerStatuses[*].restartCount};{end}';
  return env.kubectl.run(['get', 'pods', '-n', OPERATOR_NAMESPACE, '-l', OPERATOR, '-o', path]);
}

function total(sample: GroupSample | undefined): number {
  return sample?.committed.reduce((sum, one) => sum + one, 0) ?? 0;
}

function seconds(milliseconds: number): string {
  return (milliseconds / 1000).toFixed(1);
}
