/**
 * The rules of leader election under a clock that the test turns. The Lease is the only thing that is not real here: the same rules against a real
 * API server and real processes are in leader.integration.test.ts.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { KubeClient } from './client.ts';
import { KubeError } from './errors.ts';
import { LeaderElector, NotLeadingError } from './leader.ts';
import { Metrics } from './metrics.ts';
import type { KubernetesObject } from '../objects/object.ts';
import { FakeClock } from './testing/fake-clock.ts';
import { quiet, valueAt } from './testing/harness.ts';

/** A Lease with the API server's compare-and-swap. */
class LeaseServer {
  lease: KubernetesObject | undefined;
  away = false;
  #version = 0;

  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the elector uses these three methods and no other
  readonly client = {
    find: async () => this.#answer(() => this.lease),
    create: async (lease: KubernetesObject) =>
      this.#answer(() => {
        if (this.lease) throw new KubeError('exists', { reason: 'AlreadyExists', status: 409 });
        return this.#store(lease);
      }),
    replace: async (lease: KubernetesObject) =>
      this.#answer(() => {
        if (this.lease?.metadata.resourceVersion !== lease.metadata.resourceVersion)
          throw new KubeError('old', { reason: 'Conflict', status: 409 });
        return this.#store(lease);
      }),
  } as unknown as KubeClient;

  get holder(): unknown {
    return valueAt(this.lease, 'spec', 'holderIdentity');
  }

  #store(lease: KubernetesObject): KubernetesObject {
    this.#version += 1;
    this.lease = { ...lease, metadata: { ...lease.metadata, resourceVersion: String(this.#version) } };
    return this.lease;
  }

  #answer<T>(act: () => T): T {
    if (this.away) throw new KubeError('away', { reason: 'ConnectionFailed', status: 0 });
    return act();
  }
}

/** A replica with a clock of its own, as machines have. */
function replica(server: LeaseServer, identity: string, wallClock?: number) {
  const clock = new FakeClock(wallClock);
  const options = { client: server.client, metrics: new Metrics(), logger: quiet, namespace: 'ns', name: 'lease', identity, clock };
  const elector = new LeaderElector({ ...options, leaseMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2_000 });
  const mayWrite = (): boolean => {
    try {
      return elector.fence() > 0;
    } catch (error) {
      assert.ok(error instanceof NotLeadingError);
      return false;
    }
  };
  return { clock, elector, mayWrite, identity };
}

/** Time passes for all alike, in steps of 100 ms; after each step `check` is called. */
async function pass(replicas: { clock: FakeClock }[], ms: number, check: (elapsed: number) => void = () => undefined): Promise<void> {
  for (let elapsed = 100; elapsed <= ms; elapsed += 100) {
    for (const { clock } of replicas) await clock.advance(100);
    check(elapsed);
  }
}

describe('leader election', () => {
  test('one of two leads, and goes on leading', async () => {
    const server = new LeaseServer();
    const [a, b] = [replica(server, 'a'), replica(server, 'b')];
    a.elector.start();
    b.elector.start();
    await pass([a, b], 120_000, () => assert.ok(!(a.mayWrite() && b.mayWrite())));
    assert.deepEqual([a.mayWrite(), b.mayWrite()], [true, false]);
    assert.deepEqual([a.elector.leading, b.elector.leading], [true, false]);
  });

  test('a leader that died is followed after the lease, and not before', async () => {
    const server = new LeaseServer();
    const [a, b] = [replica(server, 'a'), replica(server, 'b')];
    a.elector.start();
    await pass([a, b], 3_000);
    b.elector.start();
    await pass([a, b], 5_000);
    let tookOver = 0;
    await pass([b], 20_000, (elapsed) => {
      if (tookOver === 0 && b.mayWrite()) tookOver = elapsed;
    });
    assert.ok(tookOver > 13_000 && tookOver <= 17_500, `took over after ${tookOver} ms`);
  });

  test('a leader that cannot renew stops writing before another may start', async () => {
    const server = new LeaseServer();
    const [a, b] = [replica(server, 'a'), replica(server, 'b')];
    a.elector.start();
    await pass([a, b], 1_000);
    b.elector.start();
    await pass([a, b], 1_000);
    server.away = true;
    let stopped = 0;
    await pass([a, b], 14_000, (elapsed) => {
      if (stopped === 0 && !a.mayWrite()) stopped = elapsed;
    });
    assert.ok(stopped > 7_000 && stopped <= 10_000, `stopped after ${stopped} ms`);
    assert.ok(a.elector.lost.aborted);
    server.away = false;
    await pass([a, b], 20_000, () => assert.equal(a.mayWrite(), false, 'the lead does not come back'));
    assert.equal(b.mayWrite(), true);
  });

  test('a leader that was frozen is refused its first write after it goes on', async () => {
    const server = new LeaseServer();
    const [a, b] = [replica(server, 'a'), replica(server, 'b')];
    a.elector.start();
    await pass([a, b], 1_000);
    b.elector.start();
    await pass([b], 16_000);
    a.clock.freeze(16_000);
    assert.equal(a.mayWrite(), false, 'before any of its timers has run');
    assert.ok(a.elector.lost.aborted);
    await pass([a, b], 4_000, () => assert.equal(a.mayWrite(), false));
    assert.equal(b.mayWrite(), true);
  });

  test('a short freeze costs nothing', async () => {
    const server = new LeaseServer();
    const a = replica(server, 'a');
    a.elector.start();
    await pass([a], 1_000);
    a.clock.freeze(5_000);
    assert.equal(a.mayWrite(), true);
    await pass([a], 60_000, () => assert.equal(a.mayWrite(), true));
  });

  for (const skewMs of [-3_600_000, 3_600_000]) {
    test(`wall clocks that are ${skewMs / 60_000} minutes apart change nothing`, async () => {
      const server = new LeaseServer();
      const [a, b] = [replica(server, 'a'), replica(server, 'b', Date.UTC(2026, 0, 1) + skewMs)];
      a.elector.start();
      await pass([a, b], 1_000);
      b.elector.start();
      await pass([a, b], 60_000, () => assert.deepEqual([a.mayWrite(), b.mayWrite()], [true, false]));
      a.clock.setWallClock(0);
      await pass([a, b], 60_000, () => assert.deepEqual([a.mayWrite(), b.mayWrite()], [true, false]));
    });
  }

  test('a lease that is given up is taken at the next attempt', async () => {
    const server = new LeaseServer();
    const [a, b] = [replica(server, 'a'), replica(server, 'b')];
    a.elector.start();
    await pass([a, b], 1_000);
    b.elector.start();
    await pass([a, b], 1_000);
    await a.elector.stop();
    assert.equal(server.holder, '');
    assert.equal(a.mayWrite(), false);
    await pass([a, b], 3_000);
    assert.equal(b.mayWrite(), true);
  });

  test('a renewal whose answer was lost is not taken for a lost lead', async () => {
    const server = new LeaseServer();
    const a = replica(server, 'a');
    a.elector.start();
    await pass([a], 1_000);
    const lease = server.lease;
    assert.ok(lease);
    server.lease = { ...lease, metadata: { ...lease.metadata, resourceVersion: '99' } };
    await pass([a], 30_000, () => assert.equal(a.mayWrite(), true));
  });

  test('a lease taken by another ends the lead at the next renewal', async () => {
    const server = new LeaseServer();
    const a = replica(server, 'a');
    a.elector.start();
    await pass([a], 1_000);
    const lease = server.lease;
    assert.ok(lease);
    server.lease = {
      ...lease,
      metadata: { ...lease.metadata, resourceVersion: '99' },
      spec: { holderIdentity: 'thief', leaseDurationSeconds: 15 },
    };
    await pass([a], 2_500);
    assert.equal(a.mayWrite(), false);
    assert.equal(server.holder, 'thief', 'and it is not taken back');
  });

  test('a lease deleted under its holder is not taken before the holder must have stopped', async () => {
    const server = new LeaseServer();
    const [a, b] = [replica(server, 'a'), replica(server, 'b')];
    a.elector.start();
    await pass([a, b], 1_000);
    b.elector.start();
    await pass([a, b], 3_000);
    server.lease = undefined;
    await pass([a, b], 20_000, () => assert.ok(!(a.mayWrite() && b.mayWrite())));
    assert.equal(b.mayWrite(), true);
  });

  test('whoever is stopped before it led is told so', async () => {
    const server = new LeaseServer();
    const a = replica(server, 'a');
    const waiting = a.elector.waitForLeadership();
    await a.elector.stop();
    await assert.rejects(waiting, NotLeadingError);
    assert.equal(server.lease, undefined);
  });

  test('times that leave no room for the fence are refused', () => {
    const server = new LeaseServer();
    const options = { client: server.client, metrics: new Metrics(), logger: quiet, namespace: 'ns', name: 'lease', identity: 'a' };
    assert.throws(() => new LeaderElector({ ...options, leaseMs: 10_000, renewDeadlineMs: 10_000 }), /retry < renew deadline < lease/);
  });
});
