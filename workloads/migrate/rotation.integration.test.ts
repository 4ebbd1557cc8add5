/** The steps of a rotation as the operator runs them, against a real Postgres behind a real PgBouncer, under continuous requests. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { Client, Pool } from 'pg';
import { startServices, type PostgresService } from '../../local/src/services/index.ts';
import { DATABASE_ROLES, type Credentials } from '../../operator/src/platform/credentials.ts';
import { beginRotation, completeCredentials, endRotation, slotsOf } from '../../operator/src/platform/index.ts';
import { loginOf, passwordKey } from '../../operator/src/platform/logins.ts';
import { DATABASES } from '../shared/databases/index.ts';
import { createLogger } from '../shared/kernel/log.ts';
import { PlatformPooler } from '../shared/testing/pooler.ts';
import { waitFor } from '../shared/testing/wait.ts';
import { migrate } from './migrate.ts';

/** Delay between the Secret and the mounted file; the kubelet's is longer. */
const KUBELET_MS = 1_500;
const log = createLogger(
  { service: 'migrate', platform: 'test', namespace: 'test', pod: 'test' },
  process.env['TEST_LOG_LEVEL'] ?? 'silent',
);

let services: { postgres: PostgresService; stop(): Promise<void> };
let pooler: PlatformPooler;
let values: Credentials;

before(async () => {
  services = await startServices({ postgres: true });
  values = completeCredentials({ 'postgres-password': services.postgres.password }, randomBytes);
  pooler = await PlatformPooler.start(services.postgres.port, values['pgbouncer-userlist'] ?? '');
  await runJob(values);
});
after(async () => {
  await Promise.all(running.map((pod) => pod.stop()));
  await pooler.end();
  await services.stop();
});

/** What the migration Job does with the Secret as it is. */
function runJob(secret: Credentials): Promise<void> {
  const { live } = slotsOf(secret);
  const entries = DATABASE_ROLES.map((role) => [
    role,
    live.map((slot) => ({ name: loginOf(role, slot), password: secret[passwordKey(role, slot)] ?? '' })),
  ]);
  return migrate(
    {
      adminUrl: services.postgres.url().replace(/:[^:@]*@/, '@'),
      adminPassword: secret['postgres-password'] ?? '',
      formerAdminPassword: secret['postgres-password-former'],
      logins: Object.fromEntries(entries) as Parameters<typeof migrate>[0]['logins'],
      poolers: pooler,
      seedAccounts: 10,
    },
    log,
  );
}

/** A step of the operator: the Secret changes, the mounted files follow later, and the Job runs. */
async function step(next: Credentials): Promise<void> {
  values = next;
  const renewed = pause(KUBELET_MS).then(() => pooler.renewUsers(next['pgbouncer-userlist'] ?? ''));
  await Promise.all([renewed, runJob(next)]);
}

interface Where {
  user: string;
  password: string;
  database: string;
}

/** Login of a pod that is created now. */
function activeLogin(role: string): Where {
  const { active } = slotsOf(values);
  const { name: database = 'ledger' } = DATABASES.find(({ owner, users }) => owner === role || users.includes(role)) ?? {};
  return { user: loginOf(role, active), password: values[passwordKey(role, active)] ?? '', database };
}

/** Every role may read it in every database. */
const REQUEST = 'SELECT count(*) FROM pg_class';

const through = (where: Where) => ({ ...where, host: pooler.host, port: pooler.port, connectionTimeoutMillis: 10_000 });

/** All of them, so that none continues when a test has failed. */
const running: Pod[] = [];

/** A pod under load: requests over kept connections, and over new ones, as after a crash. */
class Pod {
  readonly #where: Where;
  readonly #pool: Pool;
  #stopped = false;
  readonly #loops: Promise<void>[];
  served = 0;
  readonly failures: string[] = [];

  constructor(where: Where) {
    this.#where = where;
    this.#pool = new Pool({ ...through(where), max: 3 });
    this.#pool.on('error', (error) => this.failures.push(error.message));
    this.#loops = [0, 1, 2].map(() => this.#loop(() => this.#pool.query(REQUEST)));
    this.#loops.push(this.#loop(() => this.#anew()));
    running.push(this);
  }

  async #anew(): Promise<void> {
    const client = new Client(through(this.#where));
    await client.connect();
    await client.query(REQUEST);
    await client.end();
  }

  async #loop(request: () => Promise<unknown>): Promise<void> {
    while (!this.#stopped) {
      try {
        await request();
        this.served += 1;
      } catch (error) {
        this.failures.push(error instanceof Error ? error.message : String(error));
      }
      await pause(2);
    }
  }

  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    await Promise.all(this.#loops);
    await this.#pool.end();
  }
}

async function enter(where: Where, port: number): Promise<string> {
  const client = new Client({ ...through(where), port });
  try {
    await client.connect();
    const { rows } = await client.query<{ text: string }>(`SELECT session_user || ' as ' || current_user AS text`);
    return rows[0]?.text ?? '';
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    await client.end();
  }
}

describe('rotation', () => {
  void test('rotates twice under load: no request fails, former passwords are refused, a repeated Job changes nothing', async () => {
    let served = 0;
    let pods = DATABASE_ROLES.map((role) => new Pod(activeLogin(role)));
    for (const request of ['one', 'two']) {
      const former = {
        logins: DATABASE_ROLES.map(activeLogin),
        admin: { user: 'postgres', password: values['postgres-password'] ?? '', database: 'ledger' },
      };
      await step(beginRotation(values, request, randomBytes));
      // The Job or the operator may be killed after the work is done: the Job then runs again.
      await step(values);
      const younger = DATABASE_ROLES.map((role) => new Pod(activeLogin(role)));
      await waitFor('the new pods to serve', () => younger.every((pod) => pod.served > 20));
      await Promise.all(pods.map((pod) => pod.stop()));
      await step(endRotation(values, randomBytes));
      await step(values);
      assert.deepEqual(
        pods.flatMap((pod) => pod.failures),
        [],
        `${request}: old pods`,
      );
      served += pods.reduce((sum, pod) => sum + pod.served, 0);
      pods = younger;
      for (const login of former.logins) {
        assert.match(await enter(login, services.postgres.port), /is not permitted to log in|password authentication failed/);
        const forgotten = async () => /authentication failed|no such user/.test(await enter(login, pooler.port));
        await waitFor('PgBouncer to have forgotten it', forgotten, 20_000);
        assert.doesNotMatch(await enter({ ...login, password: '' }, pooler.port), / as /, 'it is refused without a password as well');
      }
      assert.match(await enter(former.admin, services.postgres.port), /password authentication failed/);
    }
    await Promise.all(pods.map((pod) => pod.stop()));
    assert.deepEqual(
      pods.flatMap((pod) => pod.failures),
      [],
    );
    served += pods.reduce((sum, pod) => sum + pod.served, 0);
    console.log(`${served} requests, none failed`);
    const admin = { user: 'postgres', password: values['postgres-password'] ?? '', database: 'ledger' };
    assert.equal(await enter(admin, services.postgres.port), 'postgres as postgres');
    // Two changes that follow one another within a poll are one reload.
    const reloads = (await pooler.log()).match(/got SIGHUP/g)?.length ?? 0;
    assert.ok(reloads >= 2 && reloads <= 4, `PgBouncer reloads its users at most once per change: ${reloads} reloads, 4 changes`);
  });

  void test('counts a request with an unknown password as a failure', async () => {
    const pod = new Pod({ ...activeLogin('ledger'), password: 'wrong' });
    await waitFor('failures', () => pod.failures.length > 3);
    await pod.stop();
    assert.equal(pod.served, 0);
  });

  void test('whichever login is used, it acts as its role, under the same limits', async () => {
    await step(beginRotation(values, 'acts', randomBytes));
    await step(endRotation(values, randomBytes));
    const login = activeLogin('ledger');
    assert.equal(login.user, 'ledger_b');
    assert.equal(await enter(login, pooler.port), 'ledger_b as ledger');
    const client = new Client(through(login));
    await client.connect();
    try {
      await client.query('CREATE TABLE made_by_login (id int)');
      const { rows } = await client.query(
        `SELECT tableowner, current_setting('statement_timeout') AS patience FROM pg_tables WHERE tablename = 'made_by_login'`,
      );
      assert.deepEqual(rows, [{ tableowner: 'ledger', patience: '1min' }]);
      await client.query('DROP TABLE made_by_login');
      await assert.rejects(client.query('DELETE FROM posting'), /permission denied/, 'the login has no right that the role lacks');
    } finally {
      await client.end();
    }
  });

  void test('reports an administrator whose password is neither the new nor the former one', async () => {
    const wrong = { ...values, 'postgres-password': 'wrong', 'postgres-password-former': 'wrong too' };
    await assert.rejects(runJob(wrong), /password authentication failed for user "postgres"/);
  });
});

describe('PgBouncer', () => {
  void test('accepts its exporter through the socket of the pod, and refuses that user over TCP', async () => {
    const client = new Client({ host: pooler.socketFolder, port: pooler.port, user: 'stats', database: 'pgbouncer' });
    await client.connect();
    assert.ok((await client.query('SHOW POOLS')).rows.length > 0);
    await assert.rejects(client.query('RELOAD'), /admin access needed/);
    await client.end();
    assert.match(await enter({ user: 'stats', password: '', database: 'ledger' }, pooler.port), /login rejected|password/);
  });

  void test('drains on SIGTERM: finishes the current transaction and does not wait for kept connections', async () => {
    const idle = new Pool({ ...through(activeLogin('interest')), max: 1 });
    idle.on('error', () => undefined);
    await idle.query('SELECT');
    const busy = new Client(through(activeLogin('ledger')));
    busy.on('error', () => undefined);
    await busy.connect();
    await busy.query('BEGIN');
    const begun = performance.now();
    const stopped = pooler.server.stop().then(() => performance.now() - begun);
    await busy.query('SELECT pg_sleep(4)');
    await busy.query('COMMIT');
    const seconds = (await stopped) / 1000;
    console.log(`PgBouncer was gone ${seconds.toFixed(1)} s after SIGTERM, with a transaction of 4 s in hand`);
    assert.ok(seconds >= 4 && seconds < 10, `${seconds} s`);
    assert.match(await pooler.log(), /server connections dropped, exiting/);
    await idle.end();
  });
});
