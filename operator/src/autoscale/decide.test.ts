import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { decide } from './decide.ts';
import { withDefaults } from './policy.ts';
import type { ScalePolicy } from './policy.ts';
import { initialState } from './state.ts';
import type { State } from './state.ts';
import { sampleOf } from './testing.ts';
import type { SampleOptions } from './testing.ts';
import type { Decision, LearnedRate, Sample } from './types.ts';

const LEARNED: LearnedRate = { ratePerReplica: 200, startupSeconds: 5, observations: 50 };

/** A group under a policy, driven sample by sample, five seconds apart. */
class Driver {
  state: State;
  readonly policy: ScalePolicy;
  at = 0;

  constructor(policy: Partial<ScalePolicy> = {}, learned: LearnedRate | null = LEARNED) {
    this.policy = withDefaults(policy);
    this.state = initialState(learned);
  }

  see(options: SampleOptions): Decision {
    return this.take(sampleOf({ ...options, at: this.next() }));
  }

  /** The same sample for so many seconds, or until something else than its replicas is decided; the last decision. */
  hold(seconds: number, options: SampleOptions): Decision {
    let decision = this.see(options);
    for (let passed = 5; passed < seconds && decision.replicas === options.replicas; passed += 5) decision = this.see(options);
    return decision;
  }

  blind(replicas: number): Decision {
    const deployment = { replicas, ready: replicas, rollingOut: false };
    return this.take({ usable: false, at: this.next(), reason: 'BrokerAway', message: 'the brokers do not answer', deployment });
  }

  next(): number {
    this.at += 5000;
    return this.at;
  }

  take(sample: Sample): Decision {
    const { state, decision } = decide(this.state, sample, this.policy);
    this.state = state;
    return decision;
  }
}

/** Arrivals of so many a second, all processed at once. */
const flowing = (perSecond: number, replicas: number): SampleOptions => ({ arrived: perSecond * 5, progress: perSecond * 5, replicas });

describe('decide', () => {
  it('goes up at the first sample that shows a jump', () => {
    const driver = new Driver();
    driver.hold(60, flowing(100, 1));
    const decision = driver.see({ arrived: 8000, progress: 1000, lag: 7000, replicas: 1, delaySeconds: 4 });
    assert.equal(decision.replicas, 12);
    assert.equal(decision.reason, 'ArrivalRate');
  });

  it('keeps within the step limit', () => {
    const driver = new Driver({ stepUpReplicas: 2, stepUpFactor: 1.5 });
    driver.hold(60, flowing(100, 1));
    assert.equal(driver.see({ arrived: 8000, progress: 1000, lag: 7000, replicas: 1 }).replicas, 3);
  });

  it('keeps within the bounds, whatever there is', () => {
    const driver = new Driver({ minReplicas: 2, maxReplicas: 4 });
    assert.equal(driver.see(flowing(0, 9)).replicas, 4);
    assert.equal(driver.see(flowing(0, 1)).replicas, 2);
    assert.equal(driver.see({ arrived: 50_000, progress: 1000, lag: 90_000, replicas: 4 }).replicas, 4);
  });

  it('does not chase a rate of arrivals that the replicas carry', () => {
    const driver = new Driver();
    assert.deepEqual(pick(driver.hold(300, flowing(760, 4))), { replicas: 4, reason: 'Steady' });
  });

  it('adds replicas for a backlog that would take too long', () => {
    const driver = new Driver();
    driver.hold(60, flowing(700, 4));
    const decision = driver.see({ arrived: 3500, progress: 3500, lag: 8000, replicas: 4 });
    assert.equal(decision.reason, 'Backlog');
    assert.equal(decision.replicas, 12);
  });

  it('goes down only when the smaller number has sufficed for the window', () => {
    const driver = new Driver({ scaleDownWindowSeconds: 60 });
    driver.hold(60, flowing(2000, 12));
    const first = driver.hold(45, flowing(100, 12));
    assert.deepEqual(pick(first), { replicas: 12, reason: 'WaitingForWindow' });
    assert.deepEqual(pick(driver.hold(40, flowing(100, 12))), { replicas: 1, reason: 'ScaledDown' });
  });

  it('looks again soon when a backlog is new', () => {
    const driver = new Driver();
    driver.hold(60, flowing(100, 1));
    assert.equal(driver.see({ arrived: 3000, progress: 1000, lag: 2000, replicas: 1 }).next, 2);
    assert.equal(driver.see({ arrived: 3000, progress: 1000, lag: 4000, replicas: 1 }).next, undefined);
  });

  it('holds while the lag is unknown and begins a new window afterwards', () => {
    const driver = new Driver({ scaleDownWindowSeconds: 60 });
    driver.hold(60, flowing(2000, 12));
    for (let look = 0; look < 24; look++) assert.deepEqual(pick(driver.blind(12)), { replicas: 12, reason: 'LagUnknown' });
    assert.equal(driver.hold(55, flowing(100, 12)).replicas, 12);
    assert.equal(driver.hold(20, flowing(100, 12)).replicas, 1);
  });

  it('goes up to the safe number after the lag was unknown for long, and never down to it', () => {
    const driver = new Driver({ safeReplicas: 6, lagUnknownSeconds: 30 });
    assert.equal(driver.blind(2).replicas, 2);
    let decision = driver.blind(2);
    for (let look = 0; look < 6; look++) decision = driver.blind(2);
    assert.deepEqual(pick(decision), { replicas: 6, reason: 'SafeReplicas' });
    assert.deepEqual(pick(driver.blind(9)), { replicas: 9, reason: 'LagUnknown' });
  });

  it('holds a scale-down during a rollout and a rebalance', () => {
    const rollout = new Driver();
    rollout.hold(60, flowing(2000, 12));
    assert.equal(rollout.hold(120, { ...flowing(100, 12), deployment: { rollingOut: true } }).reason, 'HeldRollout');
    const rebalance = new Driver();
    rebalance.hold(60, flowing(2000, 12));
    assert.equal(rebalance.hold(120, { ...flowing(100, 12), group: { state: 'PreparingRebalance' } }).reason, 'HeldRebalance');
  });

  it('leaves a group alone that processes nothing', () => {
    const driver = new Driver();
    driver.hold(60, flowing(700, 4));
    const decision = driver.hold(60, { arrived: 3500, progress: 0, lag: 20_000, replicas: 4 });
    assert.deepEqual(pick(decision), { replicas: 4, reason: 'NoProgress' });
  });

  it('reports a group that processes nothing whoever scales it', () => {
    const driver = new Driver({ mode: 'keda' });
    driver.hold(60, flowing(700, 4));
    const decision = driver.hold(60, { arrived: 3500, progress: 0, lag: 20_000, replicas: 4 });
    assert.deepEqual(pick(decision), { replicas: 4, reason: 'NoProgress' });
  });

  it('stops at replicas that bring nothing, and says so', () => {
    const driver = new Driver();
    driver.hold(60, flowing(700, 4));
    const up = driver.see({ arrived: 6000, progress: 3900, lag: 30_000, replicas: 4 });
    assert.equal(up.replicas, 12);
    // Twelve do no more than four did.
    const decision = driver.hold(60, { arrived: 6000, progress: 4000, lag: 60_000, replicas: 12, delaySeconds: 20 });
    assert.equal(decision.reason, 'Ineffective');
    assert.ok(decision.replicas < 12);
    assert.match(decision.message, /something that they share/);
  });

  it('finds a limit that replicas share when the group was idle before the jump', () => {
    const limited = (replicas: number): SampleOptions => ({ arrived: 7500, progress: 900, lag: 30_000, replicas, delaySeconds: 20 });
    for (const startup of [0, 15]) {
      const driver = new Driver();
      driver.hold(60, flowing(20, 1));
      const { replicas } = driver.see({ arrived: 7500, progress: 100, lag: 7400, replicas: 1 });
      assert.ok(replicas > 1);
      // While the added replicas start, the one that was there does what all of them will do.
      for (let passed = 0; passed < startup; passed += 5)
        driver.see({ ...limited(1), deployment: { replicas, ready: 1, rollingOut: false } });
      const decision = driver.hold(60, limited(replicas));
      assert.equal(decision.reason, 'Ineffective', `${startup} s: ${decision.message}`);
    }
  });

  it('judges a scale-up whose members are not all saturated at once', () => {
    const driver = new Driver();
    driver.hold(60, flowing(700, 4));
    assert.equal(driver.see({ arrived: 6000, progress: 3900, lag: 30_000, replicas: 4 }).replicas, 12);
    const joined = sampleOf({ arrived: 6000, progress: 4000, lag: 40_000, replicas: 12, delaySeconds: 20, at: driver.next() });
    driver.take({ ...joined, lag: joined.lag.map((_lag, partition) => (partition < 6 ? 40_000 / 6 : 0)) });
    const decision = driver.hold(60, { arrived: 6000, progress: 4000, lag: 60_000, replicas: 12, delaySeconds: 20 });
    assert.equal(decision.reason, 'Ineffective', decision.message);
  });

  it('keeps the rate from before when what the replicas did was their share of a limit, and goes up again as soon as the limit is gone', () => {
    const driver = new Driver();
    driver.hold(60, flowing(700, 4));
    const limited = (lag: number, replicas: number): SampleOptions => ({ arrived: 3500, progress: 2500, lag, replicas, delaySeconds: 20 });
    let replicas = 4;
    let last: Decision | undefined;
    for (let lag = 4000; lag < 40_000; lag += 1000) {
      last = driver.see(limited(lag, replicas));
      ({ replicas } = last);
    }
    assert.deepEqual(last && pick(last), { replicas: 4, reason: 'Ineffective' });
    assert.ok((driver.state.estimate.learned?.ratePerReplica ?? 0) > 150, 'what a share of the limit was is not learnt');
    assert.equal(driver.see({ ...limited(39_000, 4), progress: 4000 }).replicas, 12);
  });

  it('does not take replicas away while it is judging whether they help', () => {
    const driver = new Driver();
    driver.hold(60, flowing(700, 4));
    assert.equal(driver.see({ arrived: 3500, progress: 2500, lag: 9000, replicas: 4 }).replicas, 12);
    // By the rate of before six would do now, but nobody knows yet what twelve do.
    const judged = driver.see({ arrived: 3500, progress: 2500, lag: 3000, replicas: 12, deployment: { ready: 12 } });
    assert.ok(judged.replicas === 12, judged.message);
    assert.ok(driver.hold(60, flowing(700, 12)).replicas < 12);
  });

  it('ends the trial of a scale-up when nothing is left to judge it by', () => {
    const driver = new Driver();
    driver.hold(60, flowing(100, 1));
    assert.equal(driver.see({ arrived: 8000, progress: 1000, lag: 7000, replicas: 1, delaySeconds: 4 }).replicas, 12);
    driver.see({ arrived: 0, progress: 7000, lag: 0, replicas: 12 });
    assert.equal(driver.hold(60, flowing(0, 12)).replicas, 1);
  });

  it('takes replicas away from a trial whose pods never start', () => {
    const driver = new Driver();
    driver.hold(60, flowing(700, 4));
    driver.see({ arrived: 3500, progress: 2500, lag: 9000, replicas: 4 });
    const pending: SampleOptions = { ...flowing(100, 12), deployment: { ready: 4 }, group: { members: 4 } };
    assert.equal(driver.hold(290, pending).replicas, 12);
    assert.equal(driver.hold(60, pending).replicas, 1);
  });

  it('leaves a margin as large as the noise', () => {
    const lowest = (noise: number) => {
      const driver = new Driver();
      const looks = Array.from({ length: 48 }, (_, look) => 1120 * (1 + (look % 2 === 0 ? noise : -noise)));
      return Math.min(...looks.map((rate) => driver.see(flowing(rate, 12)).replicas));
    };
    assert.equal(lowest(0), 6);
    assert.equal(lowest(0.1), 12);
  });

  it('counts the last interval upwards when it goes down: smoothed arrivals lag behind a rise', () => {
    const looksUntilDown = (last: (look: number) => number) => {
      const driver = new Driver();
      driver.hold(60, flowing(2000, 12));
      for (let look = 0; ; look++) {
        const { replicas } = driver.see(flowing(last(look), 12));
        if (replicas < 12) return { look, replicas };
      }
    };
    const steady = looksUntilDown(() => 325);
    assert.equal(steady.replicas, 2);
    const rising = looksUntilDown((look) => (look < steady.look ? 325 : 430));
    assert.ok(rising.replicas >= 3, `${rising.replicas}`);
  });

  it('says of a scale-down what is true', () => {
    const driver = new Driver({ scaleDownWindowSeconds: 30 });
    driver.hold(60, flowing(2000, 12));
    const decision = driver.hold(60, flowing(100, 12));
    assert.match(decision.message, /down from 12 to 1: .* this number carries all that arrived in the last 30 s/);
  });

  it('leaves the backlog that its own rebalance made to the replicas that are there, and learns what a rebalance costs', () => {
    const driver = new Driver();
    driver.hold(60, flowing(2000, 12));
    assert.equal(driver.hold(60, flowing(1000, 12)).replicas, 6);
    // Five seconds of standstill, which six replicas drain at 200/s.
    let lag = 5000;
    let decision = driver.see({ arrived: 5000, progress: 0, lag, replicas: 6, delaySeconds: 5, group: { state: 'PreparingRebalance' } });
    while (lag > 0) {
      assert.equal(decision.replicas, 6, decision.message);
      lag = Math.max(0, lag - 1000);
      decision = driver.see({ arrived: 5000, progress: 6000, lag, replicas: 6, delaySeconds: lag / 1200 });
    }
    assert.equal(Math.round(driver.state.estimate.learned?.pauseSeconds ?? 0), 5);
  });

  it('takes no replica away that a backlog still needs, although the replicas that are there drain it soon', () => {
    const driver = new Driver();
    driver.hold(60, flowing(100, 1));
    assert.equal(driver.see({ arrived: 8000, progress: 1000, lag: 7000, replicas: 1, delaySeconds: 4 }).replicas, 12);
    const draining = driver.hold(40, { arrived: 5000, progress: 12_000, lag: 9000, replicas: 12, delaySeconds: 6 });
    assert.equal(draining.replicas, 12, draining.message);
    assert.equal(driver.hold(40, flowing(1000, 12)).replicas, 6);
  });

  it('does not go down to replicas that could not drain what the rebalance leaves', () => {
    const down = (pauseSeconds: number) => {
      const driver = new Driver({}, { ...LEARNED, pauseSeconds });
      driver.hold(60, flowing(2000, 12));
      return driver.hold(120, flowing(1140, 12)).replicas;
    };
    assert.equal(down(0.5), 6);
    assert.equal(down(5), 12);
  });

  it('takes back a ceiling under which the group does less than without it', () => {
    const driver = new Driver();
    driver.hold(60, flowing(700, 4));
    driver.see({ arrived: 6000, progress: 3900, lag: 30_000, replicas: 4 });
    const found = driver.hold(60, { arrived: 6000, progress: 4000, lag: 60_000, replicas: 12, delaySeconds: 20 });
    assert.equal(found.reason, 'Ineffective');
    // Half as much with half the pods: they were slow, and shared no limit.
    const each = 4000 / 12;
    const wrong = driver.hold(30, { arrived: 6000, progress: each * found.replicas, lag: 60_000, replicas: found.replicas });
    assert.equal(wrong.replicas, 12, wrong.message);
    const again = driver.hold(120, { arrived: 6000, progress: 4000, lag: 60_000, replicas: 12, delaySeconds: 20 });
    assert.deepEqual(pick(again), { replicas: 12, reason: 'Steady' });
  });

  it('calls nobody stuck who commits every 30 s', () => {
    const driver = new Driver({ maxDelaySeconds: 120, maxReplicas: 1 }, null);
    for (let look = 0; look < 60; look++) {
      const decision = driver.see({ arrived: 500, progress: look % 6 === 5 ? 3000 : 0, lag: 500 * (1 + (look % 6)), replicas: 1 });
      assert.notEqual(decision.reason, 'NoProgress', `look ${look}`);
    }
    const silent = (seconds: number) => driver.hold(seconds, { arrived: 500, progress: 0, lag: 9000, replicas: 1 });
    assert.notEqual(silent(50).reason, 'NoProgress');
    assert.equal(silent(60).reason, 'NoProgress');
  });

  it('never goes down before the rate is known, unless nothing arrives', () => {
    const driver = new Driver({}, null);
    assert.equal(driver.hold(900, flowing(1100, 12)).replicas, 12);
    assert.equal(driver.hold(120, flowing(500, 12)).replicas, 6, 'each of them has been seen to do a twelfth of 1,100/s');
    assert.equal(driver.hold(300, flowing(0, 6)).replicas, 1);
  });

  it('names a hot partition instead of scaling at it', () => {
    const driver = new Driver();
    const hot = (lag: number) => {
      const sample = sampleOf({ at: driver.at, replicas: 3 });
      const of = (first: number, others: number) => sample.lag.map((_, index) => (index === 0 ? first : others));
      return { ...sample, lag: of(lag, 0), totalLag: lag, arrived: of(1500, 100), progress: of(700, 100), delaySeconds: 20 };
    };
    let last: Decision | undefined;
    for (let lag = 1000; lag < 20_000; lag += 800) {
      driver.at += 5000;
      const step = decide(driver.state, { ...hot(lag), at: driver.at }, driver.policy);
      driver.state = step.state;
      last = step.decision;
    }
    assert.ok(last !== undefined);
    assert.deepEqual(pick(last), { replicas: 3, reason: 'HotPartition' });
    assert.match(last.message, /t\/0 alone/);
  });

  it('learns an unknown rate from the first backlog rather than guessing at it', () => {
    const driver = new Driver({}, null);
    driver.hold(60, flowing(100, 1));
    assert.equal(driver.see({ arrived: 2000, progress: 800, lag: 1200, replicas: 1 }).replicas, 1);
    assert.equal(driver.see({ arrived: 5000, progress: 1000, lag: 5200, replicas: 1 }).replicas, 12);
  });

  it('explores upwards when the rate cannot be learnt, to four times the number at most', () => {
    const driver = new Driver({}, null);
    const growing = { arrived: 5000, progress: 500, replicas: 1, group: { state: 'PreparingRebalance' as const, members: 1 } };
    driver.see({ ...growing, lag: 5000 });
    assert.equal(driver.see({ ...growing, lag: 10_000 }).replicas, 1);
    const decision = driver.see({ ...growing, lag: 15_000 });
    assert.deepEqual(pick(decision), { replicas: 4, reason: 'Exploring' });
  });

  it('does not explore for what batches and noise leave waiting: an hour of steady load has no scale action', () => {
    const driver = new Driver({ maxReplicas: 6, maxDelaySeconds: 15, scaleDownWindowSeconds: 15 }, null);
    let random = 7;
    const between = (least: number, most: number): number => {
      random = (random * 48_271) % 2_147_483_647;
      return least + (random % (most - least + 1));
    };
    let [replicas, actions, lag] = [1, 0, 100];
    for (let look = 0; look < 720; look++) {
      // As seen on a cluster: 240 to 360 events a second, and at each look a part of a second and a half of them is on its way.
      const [arrived, waiting] = [5 * between(240, 360), between(50, 450)];
      const decision = driver.see({ arrived, progress: arrived + lag - waiting, lag: waiting, replicas, delaySeconds: waiting / 300 });
      if (decision.replicas !== replicas) actions++;
      [replicas, lag] = [decision.replicas, waiting];
    }
    assert.equal(actions, 0);
  });

  it('explores for a backlog that grows without end, however slowly', () => {
    const driver = new Driver({ maxReplicas: 6, maxDelaySeconds: 15 }, null);
    driver.hold(60, flowing(300, 1));
    let [lag, looks, decision] = [0, 0, driver.see({ ...flowing(300, 1) })];
    for (; decision.replicas === 1 && looks < 100; looks++) {
      lag += 5 * 30;
      decision = driver.see({
        arrived: 1650,
        progress: 1500,
        lag,
        replicas: 1,
        delaySeconds: lag / 330,
        group: { state: 'PreparingRebalance' },
      });
    }
    assert.equal(decision.replicas, 2);
    assert.ok(lag / 330 < 7.5, `an event waits for ${lag / 330} s of 15`);
  });

  it('stops an idle group only after the idle time, and wakes it for the first message', () => {
    const driver = new Driver({ scaleToZero: true, idleSeconds: 120 });
    assert.equal(driver.hold(115, flowing(0, 1)).replicas, 1);
    assert.deepEqual(pick(driver.hold(20, flowing(0, 1))), { replicas: 0, reason: 'Idle' });
    assert.equal(driver.see({ replicas: 0 }).replicas, 0);
    assert.deepEqual(pick(driver.see({ replicas: 0, arrived: 1, lag: 1 })), { replicas: 1, reason: 'Activated' });
  });

  it('stops an idle group whose rate was never learnt, and keeps it where it may not stop', () => {
    assert.deepEqual(pick(new Driver({ scaleToZero: true }, null).hold(300, flowing(0, 1))), { replicas: 0, reason: 'Idle' });
    assert.equal(new Driver({}, null).hold(300, flowing(0, 1)).replicas, 1);
    assert.equal(new Driver({ scaleToZero: true }, null).hold(300, flowing(20, 1)).replicas, 1);
  });

  it('does not stop a group that works without lag', () => {
    const driver = new Driver({ scaleToZero: true });
    assert.equal(driver.hold(600, flowing(20, 1)).replicas, 1);
  });

  it('waits for more than the activation lag', () => {
    const driver = new Driver({ scaleToZero: true, activationLag: 100 });
    assert.equal(driver.see({ replicas: 0, lag: 100 }).replicas, 0);
    assert.equal(driver.see({ replicas: 0, lag: 101 }).replicas, 1);
  });

  it("understands KEDA's threshold", () => {
    const driver = new Driver({ lagPerReplica: 100 });
    driver.hold(60, flowing(10, 1));
    assert.deepEqual(pick(driver.see({ ...flowing(10, 1), lag: 450 })), { replicas: 5, reason: 'LagPerReplica' });
  });

  it('judges no scale-up that somebody else took back, and goes down from there', () => {
    const driver = new Driver();
    driver.hold(60, flowing(100, 1));
    assert.ok(driver.see({ arrived: 8000, progress: 1000, lag: 7000, replicas: 1 }).replicas > 4);
    driver.see(flowing(0, 4));
    assert.equal(driver.hold(300, flowing(0, 4)).replicas, 1);
  });

  it('takes a change by somebody else for a new start', () => {
    const driver = new Driver({ scaleDownWindowSeconds: 60 });
    driver.hold(120, flowing(100, 1));
    assert.equal(driver.hold(45, flowing(100, 9)).replicas, 9);
    assert.equal(driver.hold(30, flowing(100, 9)).replicas, 1);
  });

  it('waits longer after a scale-down that had to be taken back', () => {
    const driver = new Driver({ scaleDownWindowSeconds: 30 });
    const cycle = () => {
      driver.see({ arrived: 8000, progress: 1000, lag: 7000, replicas: 1, delaySeconds: 4 });
      driver.hold(20, flowing(1600, 12));
      let waited = 0;
      while (driver.see(flowing(100, 12)).replicas === 12) waited += 5;
      return waited;
    };
    driver.hold(60, flowing(100, 1));
    const first = cycle();
    const second = cycle();
    const third = cycle();
    assert.ok(second > first && third > second, `${first} ${second} ${third}`);
  });

  it('does not touch a group that it does not manage', () => {
    for (const mode of ['fixed', 'keda'] as const) {
      const driver = new Driver({ mode });
      assert.deepEqual(pick(driver.see({ arrived: 90_000, progress: 0, lag: 90_000, replicas: 2 })), { replicas: 2, reason: 'NotManaged' });
    }
  });
});

function pick({ replicas, reason }: Decision): Pick<Decision, 'replicas' | 'reason'> {
  return { replicas, reason };
}
