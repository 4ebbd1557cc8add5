/**
 * Two replicas as real processes against a real API server: the leader is killed, frozen and stopped. Whether two ever wrote at the same time is
 * read from the API server's audit log.
 * Runs alone: it measures how soon a follower leads.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startApiServer } from '../../../local/src/services/index.ts';
import type { ApiServer } from '../../../local/src/services/index.ts';
import type { KubeClient } from './client.ts';
import { clientFor, configMap, createNamespace, noteRecovery, readAudit, until } from './testing/harness.ts';

const PROGRAM = fileURLToPath(new URL('./testing/leader-replica.ts', import.meta.url));

interface Times {
  leaseMs: number;
  renewDeadlineMs: number;
  retryMs: number;
}

const DEFAULTS: Times = { leaseMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2_000 };
const SHORT: Times = { leaseMs: 3_000, renewDeadlineMs: 2_000, retryMs: 400 };

interface Told {
  event: string;
  writes: number;
  at: number;
}

class Replica {
  readonly identity: string;
  readonly told: Told[] = [];
  readonly #child: ChildProcess;

  constructor(kubeconfig: string, namespace: string, identity: string, { leaseMs, renewDeadlineMs, retryMs }: Times) {
    this.identity = identity;
    const args = [PROGRAM, kubeconfig, namespace, identity, ...[leaseMs, renewDeadlineMs, retryMs].map(String)];
    this.#child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    if (this.#child.stdout) createInterface(this.#child.stdout).on('line', (line) => this.told.push(JSON.parse(line)));
  }

  async hasTold(event: string, limitMs: number): Promise<Told> {
    return until(`${this.identity} to tell "${event}"`, limitMs, () => this.told.find((told) => told.event === event));
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  async end(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.signal('SIGKILL');
    await ended;
  }
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

interface Term {
  writer: string;
  /** When its first request arrived. */
  first: number;
  /** When each of its writes was carried out, in the order of the log. */
  done: number[];
}

/**
 * A process that is stopped between the last question to the fence and the system call sends that one write when it goes on: see "What remains" in
 * docs/adr/0001-operator-runtime.md. Written as fast as it can be, as here, that happens once in many runs.
 */
const IN_HAND = 1;

/** Who wrote when, by the audit log: from the arrival of a first request to the completion of a last. Refused writes are not writes. */
async function terms(api: ApiServer, namespace: string): Promise<Term[]> {
  const byWriter = new Map<string, Term>();
  for (const { verb, userAgent, objectRef, responseStatus, requestReceivedTimestamp, stageTimestamp } of await readAudit(
    api.auditLogPath,
  )) {
    if (verb !== 'patch' || objectRef?.namespace !== namespace || objectRef.name !== 'target' || responseStatus?.code !== 200) continue;
    const writer = userAgent ?? '';
    const first = Date.parse(requestReceivedTimestamp);
    const term = byWriter.get(writer) ?? { writer, first, done: [] };
    term.first = Math.min(first, term.first);
    term.done.push(Date.parse(stageTimestamp));
    byWriter.set(writer, term);
  }
  return [...byWriter.values()].toSorted((a, b) => a.first - b.first);
}

describe('leader election between processes', { concurrency: 3 }, () => {
  let api: ApiServer;
  let client: KubeClient;
  const replicas: Replica[] = [];

  before(async () => {
    api = await startApiServer({ audit: true });
    ({ client } = clientFor(api.kubeconfigPath));
  });
  after(async () => {
    await Promise.all(replicas.map((replica) => replica.end()));
    await api.stop();
  });

  /** A leader that writes, and a follower that waits. */
  async function pair(namespace: string, times: Times): Promise<{ leader: Replica; follower: Replica }> {
    await createNamespace(client, namespace);
    await client.create(configMap(namespace, 'target'));
    const leader = new Replica(api.kubeconfigPath, namespace, `${namespace}-first`, times);
    replicas.push(leader);
    await leader.hasTold('leading', 20_000);
    const follower = new Replica(api.kubeconfigPath, namespace, `${namespace}-second`, times);
    replicas.push(follower);
    await follower.hasTold('started', 20_000);
    await until('the leader to write', 10_000, async () => ((await terms(api, namespace))[0]?.done.length ?? 0) > 20);
    return { leader, follower };
  }

  /**
   * @param inHand writes of the first that may have been on their way when it was stopped
   * @returns milliseconds in which nobody wrote
   */
  async function assertOneAfterTheOther(namespace: string, { server = api, inHand = 0 } = {}): Promise<number> {
    const [first, second, ...more] = await terms(server, namespace);
    assert.ok(first && second && more.length === 0, 'two have written');
    const late = first.done.filter((done) => done >= second.first);
    assert.ok(late.length <= inHand, `${second.writer} wrote from ${second.first}, ${first.writer} still at ${late.join(', ')}`);
    return second.first - Math.max(...first.done.filter((done) => done < second.first));
  }

  test('takes over from a killed leader in under 20 s', async (t) => {
    const { leader, follower } = await pair('killed', DEFAULTS);
    const killed = Date.now();
    leader.signal('SIGKILL');
    const { at } = await follower.hasTold('leading', 20_000);
    await until('the follower to write', 30_000, async () => (await terms(api, 'killed')).length === 2);
    const gap = await assertOneAfterTheOther('killed');
    noteRecovery(t, 'leader killed', at - killed, `${seconds(gap)} between their writes`);
    await follower.end();
  });

  test('takes over from a stopped leader at the next attempt', async (t) => {
    const { leader, follower } = await pair('stopped', DEFAULTS);
    const asked = Date.now();
    leader.signal('SIGTERM');
    await leader.hasTold('stopped', 30_000);
    const { at } = await follower.hasTold('leading', 10_000);
    await until('the follower to write', 30_000, async () => (await terms(api, 'stopped')).length === 2);
    await assertOneAfterTheOther('stopped');
    noteRecovery(t, 'leader stopped gracefully', at - asked);
    await follower.end();
  });

  for (const round of [1, 2, 3, 4]) {
    test(`starts no write after a leader was frozen during its writes (${round})`, async (t) => {
      const namespace = `frozen-${round}`;
      const { leader, follower } = await pair(namespace, SHORT);
      const frozen = Date.now();
      leader.signal('SIGSTOP');
      const { at } = await follower.hasTold('leading', 30_000);
      await until('the follower to write', 30_000, async () => ((await terms(api, namespace))[1]?.done.length ?? 0) > 20);
      leader.signal('SIGCONT');
      const { writes } = await leader.hasTold('refused', 30_000);
      await leader.hasTold('lost', 10_000);
      const [first] = await terms(api, namespace);
      const gap = await assertOneAfterTheOther(namespace, { inHand: IN_HAND });
      const note = `with a lease of 3 s, ${seconds(gap)} between their writes, ${writes} of ${first?.done.length} writes were answered`;
      noteRecovery(t, 'leader frozen (SIGSTOP)', at - frozen, note);
      await Promise.all([leader.end(), follower.end()]);
    });
  }

  test('stops the leader in time when the API server is unreachable, and elects one again', async (t) => {
    const own = await startApiServer({ audit: true });
    t.after(() => own.stop());
    const { client: ownClient } = clientFor(own.kubeconfigPath);
    await createNamespace(ownClient, 'away');
    await ownClient.create(configMap('away', 'target'));
    const leader = new Replica(own.kubeconfigPath, 'away', 'away-first', SHORT);
    replicas.push(leader);
    await leader.hasTold('leading', 20_000);
    const follower = new Replica(own.kubeconfigPath, 'away', 'away-second', SHORT);
    replicas.push(follower);
    await follower.hasTold('started', 20_000);
    await until('the leader to write', 10_000, async () => (await terms(own, 'away')).length === 1);
    const away = Date.now();
    own.freeze();
    const lost = await leader.hasTold('lost', 30_000);
    own.thaw();
    const thawed = Date.now();
    const { at } = await follower.hasTold('leading', 10_000);
    await until('the follower to write', 30_000, async () => (await terms(own, 'away')).length === 2);
    await assertOneAfterTheOther('away', { server: own });
    noteRecovery(
      t,
      'API server frozen',
      at - thawed,
      `counted from its recovery, with a lease of 3 s; the leader stopped after ${seconds(lost.at - away)}`,
    );
    await Promise.all([leader.end(), follower.end()]);
  });
});
