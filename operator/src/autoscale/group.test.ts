import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Group } from './group.ts';
import type { ClusterView } from './group.ts';
import { withDefaults } from './policy.ts';
import type { ScalePolicy } from './policy.ts';
import type { GroupReading } from './sampler.ts';

const CLUSTER: ClusterView = { deployment: { replicas: 1, ready: 1, rollingOut: false }, rivals: [] };

function groupWith(policy: Partial<ScalePolicy> = {}): Group {
  return new Group({ group: 'g', topics: ['t'], namespace: 'n', deployment: 'd', policy: withDefaults(policy) });
}

function reading(end: number, committed: number, members = 1): GroupReading {
  return {
    ok: true,
    offsets: [{ topic: 't', partition: 0, logStart: 0, end, committed }],
    group: { state: members === 0 ? 'Empty' : 'Stable', members },
    owners: members === 0 ? null : [0],
  };
}

const problemsOf = (group: Group) => group.status().problems.map(({ type }) => type);

describe('group', () => {
  it('shows what it saw', () => {
    const group = groupWith();
    group.step(0, reading(100, 40), CLUSTER);
    group.step(5000, reading(200, 90), CLUSTER);
    const status = group.status();
    assert.deepEqual([status.lag, status.delaySeconds, status.arrivalRate, status.throughput], [110, 5, 20, 10]);
    assert.deepEqual([status.replicas, status.members, status.partitions], [1, 1, 1]);
  });

  it('says that the lag is unknown instead of showing a number', () => {
    const group = groupWith();
    group.step(0, reading(100, 40), CLUSTER);
    group.step(5000, { ok: false, reason: 'BrokerAway', message: 'the brokers do not answer' }, CLUSTER);
    assert.equal(group.status().lag, null);
    assert.deepEqual(problemsOf(group), ['LagUnknown']);
    assert.equal(group.counters.unusableSamples, 1);
  });

  it('tells refused credentials from a broker that is away', () => {
    const group = groupWith();
    group.step(0, { ok: false, reason: 'CredentialsRefused', message: 'no' }, CLUSTER);
    assert.deepEqual(problemsOf(group), ['CredentialsRefused']);
  });

  it('yields to another scaler and names it', () => {
    const group = groupWith();
    const cluster = { ...CLUSTER, rivals: ['HorizontalPodAutoscaler/web'] };
    const decision = group.step(0, reading(100, 40), cluster);
    assert.deepEqual([decision.replicas, decision.reason], [1, 'ForeignScaler']);
    assert.equal(group.mayAct(cluster), false);
    assert.match(group.status().problems[0]?.message ?? '', /HorizontalPodAutoscaler\/web/);
  });

  it('takes neither what it left to another scaler nor what that one did for a change by hand', () => {
    const group = groupWith({ minReplicas: 2 });
    const cluster = { ...CLUSTER, rivals: ['HorizontalPodAutoscaler/web'] };
    group.step(0, reading(100, 40), cluster);
    group.step(5000, reading(100, 40), cluster);
    group.step(10_000, reading(100, 40), { ...cluster, deployment: { replicas: 3, ready: 3, rollingOut: false } });
    assert.deepEqual(problemsOf(group), ['ForeignScaler']);
    group.step(15_000, reading(100, 40), { ...CLUSTER, deployment: { replicas: 3, ready: 3, rollingOut: false } });
    assert.deepEqual(problemsOf(group), [], 'nor does anything remain of it');
  });

  it('does not act on a policy that cannot work', () => {
    const group = groupWith({ minReplicas: 5, maxReplicas: 2 });
    group.step(0, reading(100, 40), CLUSTER);
    assert.deepEqual(problemsOf(group), ['PolicyInvalid']);
    assert.equal(group.mayAct(CLUSTER), false);
  });

  it('mentions a manual change once', () => {
    const group = groupWith();
    group.step(0, reading(100, 100), CLUSTER);
    const changed = { ...CLUSTER, deployment: { replicas: 3, ready: 3, rollingOut: false } };
    group.step(5000, reading(100, 100), changed);
    assert.deepEqual(problemsOf(group), ['ManualChange']);
    group.step(10_000, reading(100, 100), changed);
    assert.deepEqual(problemsOf(group), []);
  });

  it('takes its own change that the API server confirmed too late for no change by another client', () => {
    const group = groupWith({ maxReplicas: 4 });
    group.step(0, reading(100, 100), CLUSTER);
    group.failed(1, 'the API server did not answer within 4 s', 3);
    group.step(5000, reading(100, 100), { ...CLUSTER, deployment: { replicas: 3, ready: 1, rollingOut: false } });
    assert.deepEqual(problemsOf(group), []);
    group.failed(3, 'HTTP 409', null);
    group.step(10_000, reading(100, 100), { ...CLUSTER, deployment: { replicas: 4, ready: 1, rollingOut: false } });
    assert.deepEqual(problemsOf(group), ['ManualChange'], 'a refused request changes nothing later');
  });

  it('does not act while other scalers are not known', () => {
    const group = groupWith({ minReplicas: 2 });
    const cluster = { ...CLUSTER, rivalsUnknown: 'cannot list horizontalpodautoscalers in n: HTTP 403' };
    group.step(0, reading(100, 40), cluster);
    assert.deepEqual([problemsOf(group), group.mayAct(cluster)], [['ScalersUnknown'], false]);
    assert.equal(group.mayAct(CLUSTER), true);
  });

  it('counts the pods of a group whose members cannot be described, as soon as commits move', () => {
    const group = groupWith();
    const hidden = (end: number, committed: number): GroupReading => {
      const one = reading(end, committed, 0);
      return one.ok ? { ...one, group: { state: 'Dead', members: 0 } } : one;
    };
    group.step(0, hidden(1000, 0), CLUSTER);
    assert.deepEqual([group.status().groupState, group.status().members], ['Dead', 0]);
    for (let look = 1; look <= 4; look++) group.step(look * 5000, hidden(1000 + look * 2000, look * 1000), CLUSTER);
    assert.deepEqual([group.status().groupState, group.status().members], ['Stable', 1]);
    assert.equal(group.status().ratePerReplica, 200);
  });

  it('wonders about a group that nobody joins', () => {
    const group = groupWith();
    for (let look = 0; look < 11; look++) group.step(look * 5000, reading(100, -1, 0), CLUSTER);
    assert.deepEqual([problemsOf(group), group.status().lag], [[], 100]);
    group.step(55_000, reading(100, -1, 0), CLUSTER);
    assert.deepEqual(problemsOf(group), ['UnknownGroup']);
    assert.deepEqual(
      [group.status().lag, group.status().reason],
      [null, 'LagUnknown'],
      'what lies in the topic is not the lag of these pods',
    );
    group.step(60_000, reading(100, 0), CLUSTER);
    assert.deepEqual([problemsOf(group), group.status().lag], [[], 100], 'known as soon as somebody joins');
  });

  it('keeps its message while only figures change', () => {
    const group = groupWith();
    group.step(0, reading(100, 100), CLUSTER);
    group.step(5000, reading(200, 200), CLUSTER);
    const { message } = group.status();
    const before = group.fingerprint();
    group.step(10_000, reading(330, 330), CLUSTER);
    assert.equal(group.status().message, message);
    assert.equal(group.fingerprint(), before);
  });

  it('says it again once more than twice as much arrives, and records what it said', () => {
    const group = groupWith();
    let end = 0;
    const flow = (perSecond: number, looks: number): void => {
      for (let look = 0; look < looks; look++) group.step(++at * 5000, reading((end += perSecond * 5), end), CLUSTER);
    };
    let at = -1;
    flow(0, 3);
    const before = group.fingerprint();
    assert.match(group.status().message, /: 0\/s arrive/);
    flow(20, 30);
    assert.match(group.status().message, /: (1[0-9]|20)(\.\d)?\/s arrive/);
    assert.notEqual(group.fingerprint(), before);
    assert.equal(group.history.last()?.message, group.status().message);
  });

  it('suspects a lag that stands still once, and believes a probe', () => {
    const group = groupWith();
    for (let look = 0; look < 8; look++) group.step(look * 5000, reading(101, 100), CLUSTER);
    const suspects = group.suspects();
    assert.deepEqual(suspects, [{ name: 't/0', topic: 't', partition: 0, position: 100 }]);
    assert.deepEqual(group.suspects(), []);
    group.foundEmpty(new Set(['t/0']), suspects);
    group.step(40_000, reading(101, 100), CLUSTER);
    assert.equal(group.status().lag, 0);
  });

  it('keeps an hour of decisions', () => {
    const group = groupWith();
    for (let look = 0; look < 1000; look++) group.step(look * 5000, reading(look, look), CLUSTER);
    assert.equal(group.history.length, 720);
    assert.equal(group.history.last()?.at, 999 * 5000);
  });
});
