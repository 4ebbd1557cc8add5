/** A rotation of the generated passwords on a real cluster under continuous requests and events. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Gateway } from '../../local/src/demo/platform.ts';
import { assertSound, component, Environment, MINUTE, NAMESPACE, PLATFORM, secondsSince } from './environment.ts';

/** Sent each time that the platform's status is read. */
const EVENTS = 1_000;
const SAMPLE_MS = 2_000;
const ROTATION_LIMIT = 8 * MINUTE;

let env: Environment;

before(
  async () => {
    env = await Environment.start();
  },
  { timeout: 20 * MINUTE },
);
after(() => env.end(), { timeout: 2 * MINUTE });

/** Sends requests through gateway, ledger, PgBouncer and Postgres from several clients at once, one after the other each. */
class Load {
  readonly #gateway: Gateway;
  readonly #ways: Promise<void>[];
  #stopped = false;
  served = 0;
  readonly failures: string[] = [];

  constructor(gateway: Gateway, ways: number) {
    this.#gateway = gateway;
    this.#ways = Array.from({ length: ways }, () => this.#keepAsking());
  }

  async #keepAsking(): Promise<void> {
    while (!this.#stopped) {
      try {
        await this.#gateway.accounts(5);
        this.served += 1;
      } catch (error) {
        const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : '';
        this.failures.push(`${String(error)}${cause}`);
      }
      await pause(10);
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#ways);
  }
}

interface Rotating {
  reason: string;
  message: string;
}

async function rotating(): Promise<Rotating | undefined> {
  return (await env.platform.get())?.status?.conditions?.find(({ type }) => type === 'Rotating');
}

/** Pods of PgBouncer; each one's exporter reaches it. */
async function poolers(): Promise<string[]> {
  const list = await env.kubectl.json<{ items: { metadata: { name: string } }[] }>([
    'get',
    'pods',
    '-n',
    NAMESPACE,
    '-l',
    component('pgbouncer'),
  ]);
  const names = list.items.map(({ metadata }) => metadata.name);
  for (const name of names) {
    const path = `/api/v1/namespaces/${NAMESPACE}/pods/${name}:9127/proxy/metrics`;
    assert.match(await env.kubectl.run(['get', '--raw', path]), /^pgbouncer_up 1$/m);
  }
  return names;
}

void test('no request fails and no event is lost while all passwords change', { timeout: 9 * MINUTE }, async (t) => {
  const { kubectl, platform, gateway } = env;
  const [former, start] = [await platform.credential('api-key'), await gateway.ledgerCheck()];
  const poolersBefore = await poolers();
  const load = new Load(new Gateway(gateway.url, () => platform.credential('api-key')), 4);
  let accepted = 0;
  const begun = Date.now();
  const request = `e2e-${begun}`;
  try {
    await kubectl.run(['annotate', 'bss', PLATFORM, '-n', NAMESPACE, `bss-platform.io/rotate-credentials=${request}`]);
    let last = '';
    const sample = async () => {
      const { reason = '', message = '' } = (await rotating()) ?? {};
      if (reason !== last) t.diagnostic(`${secondsSince(begun)} s: ${reason}`);
      last = reason;
      // At every step of the rotation, a client that reads the API key and uses it at once is authorized.
      accepted += await new Gateway(gateway.url, () => platform.credential('api-key')).seed(EVENTS);
      return reason === 'Rotated' && message.includes(request);
    };
    // Not `until`: an event that is refused fails the test at once.
    while (!(await sample())) {
      assert.ok(Date.now() - begun < ROTATION_LIMIT, `the rotation did not end within ${ROTATION_LIMIT / MINUTE} min; it is at ${last}`);
      await pause(SAMPLE_MS);
    }
    const end = await env.untilApplied(start, accepted);
    assertSound(end);
    assert.equal(end.transactions - start.transactions, accepted);
  } finally {
    await load.stop();
  }
  t.diagnostic(`${load.served} requests in ${secondsSince(begun)} s, ${load.failures.length} failed; ${accepted} events`);
  assert.deepEqual(load.failures, []);
  await env.waitReady(MINUTE);
  assert.deepEqual(await poolers(), poolersBefore, 'PgBouncer is not replaced');
  const fresh = await platform.credential('api-key');
  assert.notEqual(fresh, former);
  const status = async (bearer: string) =>
    (await fetch(`${gateway.url}/debug/seed`, { ...SEED_ONE, headers: { ...SEED_ONE.headers, authorization: `Bearer ${bearer}` } })).status;
  assert.deepEqual([await status(fresh), await status(former)], [202, 401]);
  assert.equal((await fetch(`${gateway.url}/api/v1/accounts?limit=1`)).status, 401, 'a request without a credential is rejected');
});

const SEED_ONE = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ count: 1 }) };
