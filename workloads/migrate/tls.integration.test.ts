/** An external PostgreSQL that accepts only encrypted connections: the migration Job and PgBouncer as the operator sets them up for `tls: require`. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import type { V1PodSpec } from '@kubernetes/client-node';
import { Client } from 'pg';
import { startServices, type ServiceSet } from '../../local/src/services/index.ts';
import { buildPlatform, completeCredentials, type Credentials, FIRST_SLOT, parseSpec } from '../../operator/src/platform/index.ts';
import { PlatformPooler } from '../shared/testing/pooler.ts';
import { waitFor } from '../shared/testing/wait.ts';
import { Workload } from '../shared/testing/workload.ts';

const LIMIT = { timeout: 300_000 };
const credentials: Credentials = completeCredentials({}, randomBytes);
const USERS = credentials['pgbouncer-userlist'] ?? '';
let services: Pick<ServiceSet, 'postgres'> & { stop(): Promise<void> };
let pooler: PlatformPooler;

before(async () => {
  services = await startServices({ postgres: true });
  await requireTls();
  pooler = await PlatformPooler.start(services.postgres.port, USERS, 'require');
}, LIMIT);
after(async () => {
  await pooler?.end();
  await services?.stop();
});

/** Gives the server a certificate, and refuses connections without TLS. The server reloads both settings while it runs. */
async function requireTls(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'tls-'));
  const [key, certificate] = [join(folder, 'server.key'), join(folder, 'server.crt')];
  const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=db', '-keyout', key, '-out', certificate];
  await promisify(execFile)('openssl', request);
  const client = new Client({ connectionString: services.postgres.url() });
  await client.connect();
  const place = async (text: string, name: string) => {
    const command = `base64 -d > /data/pgdata/${name} && chmod 600 /data/pgdata/${name}`;
    await client.query(`COPY (SELECT '${Buffer.from(text).toString('base64')}') TO PROGRAM '${command}'`);
  };
  await place(await readFile(key, 'utf8'), 'server.key');
  await place(await readFile(certificate, 'utf8'), 'server.crt');
  await place('hostssl all all all scram-sha-256\n', 'pg_hba.conf');
  await client.query('ALTER SYSTEM SET ssl = on');
  await client.query('SELECT pg_reload_conf()');
  await client.end();
  await rm(folder, { recursive: true });
  await waitFor('the server to refuse what is not encrypted', () =>
    connect(services.postgres.url()).then(
      () => false,
      (error: Error) => /no pg_hba\.conf entry .* no encryption/.test(error.message),
    ),
  );
}

async function connect(url: string): Promise<void> {
  const client = new Client({ connectionString: url });
  try {
    await client.connect();
  } finally {
    await client.end();
  }
}

/** Environment of the migration Job, with the references to Secrets and to other variables resolved as a kubelet does. */
function jobEnvironment(tls: 'disable' | 'require'): Record<string, string> {
  const { host, port, user, password } = services.postgres;
  const parsed = parseSpec({ postgres: { external: { host, port, tls, adminSecret: { name: 'admin' } } } });
  assert.ok(parsed.ok, JSON.stringify(parsed));
  const identity = { name: 'demo', namespace: 'bss', operatorNamespace: 'bss-system', secretHashes: {}, slots: FIRST_SLOT };
  const job = buildPlatform({ ...identity, spec: parsed.spec }).find(({ name }) => name === 'migrate')?.manifests[0];
  assert.ok(job);
  const { template } = job['spec'] as { template: { spec: V1PodSpec } };
  const secrets: Record<string, Credentials> = { admin: { username: user, password }, 'demo-credentials': credentials };
  const resolved: Record<string, string> = {};
  for (const { name, value, valueFrom } of template.spec.containers[0]?.env ?? []) {
    const reference = valueFrom?.secretKeyRef;
    const given = reference ? secrets[reference.name ?? '']?.[reference.key] : value;
    if (given !== undefined) resolved[name] = given.replaceAll(/\$\((\w+)\)/g, (_all, other: string) => resolved[other] ?? '');
  }
  return { ...resolved, NAMESPACE: 'bss' };
}

test('the migration Job connects over TLS, and waits for PgBouncer to accept its logins', LIMIT, async () => {
  const job = await Workload.start('migrate', { ...jobEnvironment('require'), POOLERS: `127.0.0.1:${pooler.port}` });
  try {
    await waitFor('the Job to end', () => Promise.resolve(job.exitCode !== null));
    assert.equal(job.exitCode, 0, job.log);
  } finally {
    await job.end('SIGKILL');
  }
});

test('PgBouncer connects to the server over TLS, and is refused without it', LIMIT, async () => {
  const client = new Client({ connectionString: asLedger(pooler.port) });
  await client.connect();
  const { rows } = await client.query<{ ssl: boolean }>('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()');
  await client.end();
  assert.deepEqual(rows, [{ ssl: true }]);

  const plain = await PlatformPooler.start(services.postgres.port, USERS, 'disable');
  try {
    await assert.rejects(connect(asLedger(plain.port)));
    assert.match(await plain.log(), /no pg_hba\.conf entry .* no encryption/);
  } finally {
    await plain.end();
  }
});

function asLedger(port: number): string {
  return `postgresql://ledger:${credentials['ledger-password']}@127.0.0.1:${port}/ledger`;
}
