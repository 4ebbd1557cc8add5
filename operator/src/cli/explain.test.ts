/** `bss explain-scaling` on recordings: the arguments, the tables (golden files), the replay. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { after, before, test } from 'node:test';
import { boundBy } from '../autoscale/bound.ts';
import { recordingSchema, withDefaults } from '../autoscale/index.ts';
import type { DecisionRecord, GroupRecording, Recording, ScalePolicy } from '../autoscale/index.ts';
import { sum } from '../autoscale/estimator.ts';
import { ourScaler } from '../autoscale/simulator/ours.ts';
import { CannotReplay, replay } from '../autoscale/simulator/replay.ts';
import { run } from '../autoscale/simulator/run.ts';
import { TRACES } from '../autoscale/simulator/traces.ts';
import { parseExplainArguments } from './explain-arguments.ts';
import { chooseGroup, explainScaling, replayPolicy } from './explain-scaling.ts';
import { describeDecisions, describeReplay } from './explain-text.ts';
import { painter } from './output.ts';
import { UsageError } from './usage.ts';

const START = Date.UTC(2026, 0, 2, 8);
const POLICY = withDefaults({ maxReplicas: 12 });
const plain = painter(false);

/** What the operator would have recorded of a simulated run. */
function recorded(traceName: string, policy: ScalePolicy = POLICY): GroupRecording {
  const trace = TRACES.find(({ name }) => name === traceName) ?? assert.fail(traceName);
  const decisions: DecisionRecord[] = [];
  const scaler = ourScaler(trace, 1, {
    policy,
    learned: { ratePerReplica: 200, startupSeconds: 4, observations: 50 },
    watch: (sample, { inputs, replicas, reason, message }) =>
      decisions.push({
        at: START + sample.at,
        usable: sample.usable,
        ...inputs,
        arrivalNow: sample.usable && sample.seconds > 0 ? sum(sample.arrived) / sample.seconds : null,
        members: sample.usable ? sample.group.members : 0,
        from: sample.deployment?.replicas ?? replicas,
        to: replicas,
        reason,
        message,
      }),
  });
  run(trace, scaler, 1);
  const shares = Array.from({ length: trace.partitions }, () => 1 / trace.partitions);
  const learned = { ratePerReplica: 200, startupSeconds: 4, observations: 60 };
  return { group: 'interest-batch', topics: ['t'], deployment: 'demo-interest', policy, learned, shares, decisions };
}

const recordingOf = (...groups: GroupRecording[]): Recording => ({ version: 1, platform: 'bss/demo', since: START, groups });

async function golden(name: string, text: string): Promise<void> {
  const file = new URL(`golden/${name}.txt`, import.meta.url);
  if (process.env['UPDATE_GOLDEN']) await writeFile(file, `${text}\n`);
  assert.equal(`${text}\n`, await readFile(file, 'utf8'));
}

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bss-explain-'));
});
after(() => rm(folder, { recursive: true }));

void test('prints decisions as a table', async () => {
  const group = recorded('step');
  const jump = group.decisions.findIndex(({ from, to }) => to > from);
  await golden(
    'explain-decisions',
    describeDecisions('bss/demo', START, { ...group, decisions: group.decisions.slice(0, jump + 8) }, 10, plain),
  );
  const text = describeDecisions('bss/demo', START - 7_200_000, { ...group, decisions: group.decisions.slice(-3) }, 2, plain);
  assert.match(text, /3 decisions since 2026-01-02T08:\S+ \(the recording keeps one hour\)/);
  assert.equal(text.split('\n').filter((line) => /^\d\d:/.test(line)).length, 2);
  assert.match(describeDecisions('bss/demo', START, { ...group, decisions: [] }, 5, plain), /no decision since the operator's start/);
});

void test('marks samples with unknown lag', () => {
  const group = recorded('broker outage');
  const blind = group.decisions.filter(({ usable }) => !usable);
  assert.ok(blind.length > 10);
  const line = describeDecisions('a/b', START, { ...group, decisions: blind }, 1, plain);
  assert.match(line, /\d\s+\?\s+\?\s+\?\s+\?\s+20\d\s+6\s+LagUnknown\s+unknown lag/);
});

void test('names the limit that bounded a decision', () => {
  const bound = (change: Partial<DecisionRecord>, policy = POLICY) =>
    boundBy({ from: 4, to: 4, wanted: 0, reason: 'Steady', ...change }, policy);
  assert.equal(bound({}), undefined);
  assert.equal(bound({ to: 12, wanted: 20, reason: 'Backlog' }), 'maxReplicas 12');
  assert.equal(bound({ to: 8, wanted: 10, reason: 'ArrivalRate' }), 'step limit');
  assert.equal(bound({ to: 4, wanted: 1 }, { ...POLICY, minReplicas: 4 }), 'minReplicas 4');
  assert.equal(bound({ reason: 'WaitingForWindow' }), 'window 15 s');
  assert.equal(bound({ reason: 'Ineffective', wanted: 12 }), 'a shared limit');
  assert.equal(bound({ reason: 'NotManaged' }, { ...POLICY, mode: 'fixed' }), 'mode fixed');
});

void test('replaying the recorded policy reproduces the recording', () => {
  for (const trace of ['step', 'ramp', 'slow database', 'broker outage']) {
    const group = recorded(trace);
    const { recorded: was, modelled, replayed } = replay(group, group.policy);
    assert.deepEqual(modelled, replayed);
    const off = Math.abs(modelled.podSeconds / was.podSeconds - 1);
    assert.ok(off < 0.1, `${trace}: ${modelled.podSeconds} pod-seconds and not ${was.podSeconds}`);
    const lag = modelled.lagIntegral / was.lagIntegral;
    // Within a look nothing is known of when it arrived: a jump is seen up to one look later.
    const [least, most] = trace === 'step' ? [0.4, 2.5] : [0.7, 1.4];
    assert.ok(lag > (least ?? 0) && lag < (most ?? 0), `${trace}: lag integral ${modelled.lagIntegral} and not ${was.lagIntegral}`);
  }
});

void test('replaying another policy changes lag and pod-seconds', async () => {
  const group = recorded('ramp');
  const more = replay(group, { ...POLICY, minReplicas: 6 });
  assert.ok(more.replayed.podSeconds > 1.2 * more.modelled.podSeconds && more.replayed.lagIntegral < more.modelled.lagIntegral);
  assert.ok(more.rows.every(({ replayed }, index) => index === 0 || replayed.replicas >= 6));
  const fewer = replay(group, { ...POLICY, maxReplicas: 4 });
  assert.ok(fewer.replayed.podSeconds < fewer.modelled.podSeconds && fewer.replayed.worstLag > 10 * fewer.modelled.worstLag);
  const fixed = replay(group, { ...POLICY, mode: 'fixed' });
  assert.equal(fixed.replayed.scaleActions, 0);
  const keda = replay(group, { ...POLICY, mode: 'keda', lagPerReplica: 100 });
  assert.ok(keda.replayed.scaleActions > 0);
  await golden('explain-replay', describeReplay(group, more, plain));
});

void test('reports why a recording cannot be replayed', () => {
  const group = recorded('step');
  const says = (change: Partial<GroupRecording>, message: RegExp, policy = POLICY) =>
    assert.throws(
      () => replay({ ...group, ...change }, policy),
      (error: Error) => error instanceof CannotReplay && message.test(error.message),
    );
  says({ learned: null }, /rate of one replica is not known yet/);
  says({ decisions: group.decisions.slice(0, 3) }, /3 decisions are too few/);
  says({}, /give lagPerReplica/, { ...POLICY, mode: 'keda' });
});

void test('parses command lines', () => {
  const given = parseExplainArguments(['demo', '-n', 'bss', '--max-delay', '1m', '--min', '2', '--last', '5']);
  assert.deepEqual(given?.changes, { maxDelaySeconds: 60, minReplicas: 2, scaleToZero: false });
  assert.deepEqual([given?.name, given?.namespace, given?.last, given?.operatorNamespace], ['demo', 'bss', 5, 'bss-system']);
  assert.equal(parseExplainArguments(['--help']), undefined);
  for (const [argv, message] of [
    [['a', 'b'], /unexpected argument "b"/],
    [['a', '--file', 'x'], /of one platform/],
    [['--max-delay', '30'], /a duration such as 30s/],
    [['--min', 'two'], /a whole number/],
    [['--mode', 'magic'], /builtin, keda or fixed/],
    [['--watch'], /--watch/],
  ] as const)
    assert.throws(
      () => parseExplainArguments([...argv]),
      (error: Error) => error instanceof UsageError && message.test(error.message),
      argv.join(' '),
    );
});

void test('takes the replay policy from flags, a file or a whole resource', async () => {
  const policyOf = async (...argv: string[]) => replayPolicy(parseExplainArguments(argv) ?? assert.fail(), POLICY);
  const file = async (content: string) => {
    const path = join(folder, 'policy.yaml');
    await writeFile(path, content);
    return path;
  };
  assert.equal(await policyOf(), undefined);
  assert.deepEqual(await policyOf('--window', '1m'), { ...POLICY, scaleDownWindowSeconds: 60 });
  const fromFile = await policyOf('--policy', await file('maxDelay: 2m\nmaxReplicas: 7\n'), '--min', '3');
  assert.deepEqual([fromFile?.maxDelaySeconds, fromFile?.maxReplicas, fromFile?.minReplicas], [120, 7, 3]);
  const spec = 'spec: {workloads: {interest: {autoscaling: {maxReplicas: 9}}}}';
  const resource = `apiVersion: bss-platform.io/v1alpha1\nkind: BssPlatform\nmetadata: {name: a}\n${spec}\n`;
  assert.equal((await policyOf('--policy', await file(resource)))?.maxReplicas, 9);
  const autoscaler = 'spec: {scaleTargetRef: {name: a}, group: g, topics: [t], brokers: [b:9092], maxReplicas: 8}';
  const ofGroup = `apiVersion: bss-platform.io/v1alpha1\nkind: ConsumerAutoscaler\nmetadata: {name: a}\n${autoscaler}\n`;
  assert.equal((await policyOf('--policy', await file(ofGroup)))?.maxReplicas, 8);
  await assert.rejects(policyOf('--min', '20'), /minReplicas \(20\) is above maxReplicas/);
  await assert.rejects(policyOf('--policy', await file('maxDelay: soon')), /write a whole number and one unit/);
});

void test('writes a recording to a file and replays it, without a cluster', async () => {
  const path = join(folder, 'recorded.json');
  const recording = recordingOf(recorded('step'));
  await writeFile(path, JSON.stringify(recording));
  const noCluster = () => assert.fail('no cluster is needed');
  const explain = async (...argv: string[]) => {
    const lines: string[] = [];
    await explainScaling(parseExplainArguments(argv) ?? assert.fail(), noCluster, plain, (text) => lines.push(text));
    return lines.join('\n');
  };
  assert.match(await explain('--file', path), /interest-batch {2}scales demo-interest: maxDelay 30 s/);
  assert.match(await explain('--file', path, '--max', '4'), /replayed : modelled/);
  const json = JSON.parse(await explain('--file', path, '--min', '2', '--json')) as { replay: { policy: ScalePolicy } };
  assert.equal(json.replay.policy.minReplicas, 2);
  const copy = join(folder, 'copy.json');
  await explain('--file', path, '--record', copy);
  assert.deepEqual(recordingSchema.parse(JSON.parse(await readFile(copy, 'utf8'))), recording);
  await assert.rejects(explain('--file', path, '--group', 'other'), /group other not found: --group interest-batch/);
  await writeFile(copy, JSON.stringify({ ...recording, version: 2 }));
  await assert.rejects(explain('--file', copy), /newer than this program/);
  await writeFile(copy, '{}');
  await assert.rejects(explain('--file', copy), /is not a valid recording/);
});

void test("defaults to the platform's own group", () => {
  const group = recorded('step');
  const other = { ...group, group: 'other' };
  assert.equal(chooseGroup(recordingOf(other, group), undefined).group, 'interest-batch');
  assert.equal(chooseGroup(recordingOf(other), undefined).group, 'other');
  assert.throws(() => chooseGroup(recordingOf(other, { ...group, group: 'third' }), undefined), /choose a group: --group other, third/);
  assert.throws(() => chooseGroup(recordingOf(), undefined), /no consumer group of bss\/demo is scaled/);
});
