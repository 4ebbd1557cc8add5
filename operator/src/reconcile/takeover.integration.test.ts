/**
 * Two replicas of the operator and a platform that keeps them busy: the leader is killed, and frozen in the middle of its work. Who wrote when is read
 * from the API server's audit log, where each replica is known by its token.
 * Runs alone: it measures how soon the other replica takes over.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test, type TestContext } from 'node:test';
import { noteRecovery, type AuditEvent } from '../runtime/testing/harness.ts';
import { Cluster, LIMIT_MS, until, WRITING, type TestPlatform } from './testing/cluster.ts';
import { containerEnvironment, manifests } from './testing/installation.ts';
import { OperatorProcess } from './testing/operator-process.ts';

const TAKEOVER_MS = 20_000;
/** Writes of the leader before the fault, so that it is in the middle of its work. */
const BUSY = 30;
/** The one write that may be between the fence and the system call: "What remains" in docs/adr/0001-operator-runtime.md. */
const IN_HAND = 1;
/** Of one column in the count of writes. */
const COLUMN_MS = 5_000;

interface Replica {
  name: string;
  credentialId: string;
  operator: OperatorProcess;
}

let cluster: Cluster;
let platform: TestPlatform;
let leader: Replica;
const replicas: Replica[] = [];
const disturbance = { over: false };
let disturbing: Promise<unknown>;

/** A replica with synced caches, which leads as soon as it acquires the lease. */
async function launch(name: string): Promise<Replica> {
  const { kubeconfigPath, credentialId } = await cluster.logIn();
  const operator = await OperatorProcess.launch(kubeconfigPath, { ...containerEnvironment(await manifests()), POD_NAME: name });
  const replica = { name, credentialId, operator };
  replicas.push(replica);
  return replica;
}

before(async () => {
  cluster = await Cluster.start({ operator: false });
  leader = await launch('first');
  platform = await cluster.platform('takeover');
  await platform.ready();
  disturbing = Promise.all(['Service gateway', 'Service ledger', 'ConfigMap pgbouncer'].map(disturb));
});

after(async () => {
  disturbance.over = true;
  await disturbing;
  await Promise.all(replicas.map(({ operator }) => operator.stop('SIGKILL')));
  await cluster.stop();
});

/** Deletes an object whenever it exists: the leader recreates it as fast as it can. */
async function disturb(object: string): Promise<void> {
  const [kind = '', name = ''] = object.split(' ');
  while (!disturbance.over) {
    await platform.remove(kind, name);
    await until('a leader to recreate it', 2 * LIMIT_MS, async () => disturbance.over || (await platform.object(kind, name)) !== undefined);
  }
}

const at = ({ stageTimestamp }: AuditEvent): number => Date.parse(stageTimestamp);

/** Writes of one replica that the API server carried out, oldest first; those of its Lease among them. */
async function writesOf({ credentialId }: Replica): Promise<AuditEvent[]> {
  const own = (await cluster.audit()).filter(
    ({ user }) => user.extra?.['authentication.kubernetes.io/credential-id']?.[0] === credentialId,
  );
  return own.filter(({ verb, responseStatus }) => WRITING.has(verb) && (responseStatus?.code ?? 500) < 300);
}

const isLease = ({ objectRef }: AuditEvent): boolean => objectRef?.resource === 'leases';

async function workOf(replica: Replica): Promise<AuditEvent[]> {
  return (await writesOf(replica)).filter((event) => !isLease(event));
}

async function untilBusy(replica: Replica): Promise<void> {
  const { length } = await workOf(replica);
  await until(`${replica.name} to be busy`, LIMIT_MS, async () => (await workOf(replica)).length >= length + BUSY);
}

/** Writes per five seconds since the fault, `former+latter`, from ten seconds before it. */
function columns(fault: number, former: AuditEvent[], latter: AuditEvent[]): string {
  const end = Math.max(...latter.map(at));
  const counts = (events: AuditEvent[], from: number) => events.filter((event) => at(event) >= from && at(event) < from + COLUMN_MS).length;
  const starts = Array.from({ length: Math.ceil((end - fault) / COLUMN_MS) + 2 }, (_value, index) => (index - 2) * COLUMN_MS);
  return starts.map((from) => `${from / 1000} s: ${counts(former, fault + from)}+${counts(latter, fault + from)}`).join(', ');
}

/**
 * Asserts that the two did not write at the same time, and reports for how long neither did.
 * @param inHand writes that may have been on their way when the former one was stopped
 */
async function assertHandedOver(t: TestContext, what: string, fault: number, former: Replica, latter: Replica, inHand = 0): Promise<void> {
  const [earlier, later] = [await writesOf(former), await writesOf(latter)];
  const [lease, first] = [later.find(isLease), later.find((event) => !isLease(event))];
  assert.ok(lease && first);
  const late = earlier.filter((event) => at(event) >= at(lease)).map(({ stageTimestamp }) => stageTimestamp);
  assert.ok(late.length <= inHand, `${latter.name} led from ${lease.stageTimestamp}, ${former.name} still wrote at ${late.join(', ')}`);
  const recoveredMs = at(first) - fault;
  noteRecovery(t, what, recoveredMs, 'until the next leader wrote to the platform');
  t.diagnostic(`writes of the one + the other since the fault: ${columns(fault, earlier, later)}`);
  assert.ok(recoveredMs < TAKEOVER_MS, `${recoveredMs} ms`);
}

describe('takeover', () => {
  void test('takes over from a killed leader in under 20 s, and no two replicas write at once', async (t) => {
    const [former, latter] = [leader, await launch('second')];
    await untilBusy(former);
    const fault = Date.now();
    former.operator.signal('SIGKILL');
    await untilBusy(latter);
    await assertHandedOver(t, 'leader of two replicas killed', fault, former, latter);
    leader = latter;
  });

  void test('exits a frozen leader when it resumes, without another write', async (t) => {
    const [former, latter] = [leader, await launch('third')];
    await untilBusy(former);
    const fault = Date.now();
    former.operator.signal('SIGSTOP');
    await untilBusy(latter);
    const thawed = Date.now();
    former.operator.signal('SIGCONT');
    assert.equal(await former.operator.exited(), 1, 'the kubelet restarts it as a standby');
    t.diagnostic(`the former leader ended ${Date.now() - thawed} ms after it went on`);
    await untilBusy(latter);
    await assertHandedOver(t, 'leader of two replicas frozen', fault, former, latter, IN_HAND);
    leader = latter;
  });

  void test('leaves the platform complete after the takeovers', async () => {
    disturbance.over = true;
    await disturbing;
    await platform.have('Service', 'gateway');
    await platform.have('Service', 'ledger');
    await platform.have('ConfigMap', 'pgbouncer');
    await platform.ready();
  });
});
