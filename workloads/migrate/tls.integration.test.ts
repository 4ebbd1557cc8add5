/** An external PostgreSQL that accepts only encrypted connections: the migration Job and PgBouncer as the operator sets them up for each `tls`. */
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
let folder: string;
/** Files with the certificate of the server, which is its own authority, and with another authority. */
let authorityPath: string;
let otherPath: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tls-'));
  services = await startServices({ postgres: true });
  await requireTls();
  otherPath = (await makeCertificate('other')).certificate;
  pooler = await PlatformPooler.start(services.postgres.port, USERS, { tls: 'require' });
}, LIMIT);
after(async () => {
  await pooler?.end();
  await services?.stop();
  await rm(folder, { recursive: true, force: true });
});

/** @param subjectName `DNS:localhost`, or the address by which clients reach the server */
async function makeCertificate(name: string, subjectName = 'DNS:localhost'): Promise<{ key: string; certificate: string }> {
  const [key, certificate] = [join(folder, `${name}.key`), join(folder, `${name}.crt`)];
  const subject = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=${subjectName}`];
  const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...subject, '-keyout', key, '-out', certificate];
  await promisify(execFile)('openssl', request);
  return { key, certificate };
}

/** Gives the server a certificate, and refuses connections without TLS. The server reloads both settings while it runs. */
async function requireTls(): Promise<void> {
  const certificate = await makeCertificate('server');
  authorityPath = certificate.certificate;
  await configure(certificate, false);
  await waitFor('the server to refuse what is not encrypted', () =>
    connect(services.postgres.url()).then(
      () => false,
      (error: Error) => /no pg_hba\.conf entry .* no encryption/.test(error.message),
    ),
  );
}

async function configure({ key, certificate }: { key: string; certificate: string }, tls: boolean): Promise<void> {
  const client = new Client({ connectionString: services.postgres.url(), ssl: tls && { rejectUnauthorized: false } });
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
}

async function connect(url: string): Promise<void> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  try {
    await client.connect();
  } finally {
    await client.end();
  }
}

/** Environment of the migration Job, with the references to Secrets and to other variables resolved as a kubelet does. */
function jobEnvironment(server: { tls: string; host?: string; authorityPath?: string }): Record<string, string> {
  const { port, user, password } = services.postgres;
  const { tls, host = services.postgres.host } = server;
  const authority = server.authorityPath === undefined ? {} : { caSecret: { name: 'authority', key: 'root.pem' } };
  const parsed = parseSpec({ postgres: { external: { host, port, tls, ...authority, adminSecret: { name: 'admin' } } } });
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
  // Where the Secret would be mounted.
  const mounted = template.spec.containers[0]?.volumeMounts?.find(({ name }) => name === 'postgres-ca')?.mountPath;
  const url = resolved['DATABASE_ADMIN_URL'] ?? '';
  const here = server.authorityPath === undefined ? url : url.replace(`${mounted}/ca.crt`, server.authorityPath);
  return { ...resolved, DATABASE_ADMIN_URL: here, NAMESPACE: 'bss', POOLERS: `127.0.0.1:${pooler.port}` };
}

/** Its log, after it has ended with exit code 0, or after it has logged the reason for which it retries. */
async function runJob(server: Parameters<typeof jobEnvironment>[0], reason?: RegExp): Promise<void> {
  const job = await Workload.start('migrate', jobEnvironment(server));
  try {
    await waitFor('the Job to end, or its reason', () => Promise.resolve(job.exitCode !== null || (reason?.test(job.log) ?? false)));
    if (reason === undefined) assert.equal(job.exitCode, 0, job.log);
    else assert.match(job.log, reason);
  } finally {
    await job.end('SIGKILL');
  }
}

test('the migration Job connects over TLS, and waits for PgBouncer to accept its logins', LIMIT, () => runJob({ tls: 'require' }));

test('the migration Job verifies the authority of the server, and its host name with verify-full only', LIMIT, async () => {
  await runJob({ tls: 'verify-full', host: 'localhost', authorityPath });
  await runJob({ tls: 'verify-ca', authorityPath });
  await runJob({ tls: 'verify-full', authorityPath }, /IP|does not match certificate/);
  for (const tls of ['verify-ca', 'verify-full'])
    await runJob({ tls, host: 'localhost', authorityPath: otherPath }, /self-signed certificate|unable to verify/);
});

test('PgBouncer connects to the server over TLS, and is refused without it', LIMIT, async () => {
  const client = new Client({ connectionString: asLedger(pooler.port) });
  await client.connect();
  const { rows } = await client.query<{ ssl: boolean }>('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()');
  await client.end();
  assert.deepEqual(rows, [{ ssl: true }]);

  const plain = await PlatformPooler.start(services.postgres.port, USERS);
  try {
    await assert.rejects(connect(asLedger(plain.port)));
    assert.match(await plain.log(), /no pg_hba\.conf entry .* no encryption/);
  } finally {
    await plain.end();
  }
});

test('PgBouncer verifies the authority of the server, and its host name with verify-full only', LIMIT, async () => {
  await serves({ tls: 'verify-ca', authorityPath });
  await refuses({ tls: 'verify-ca', authorityPath: otherPath });
  await refuses({ tls: 'verify-full', authorityPath });
  const byAddress = await makeCertificate('by-address', 'IP:127.0.0.1');
  await configure(byAddress, true);
  await serves({ tls: 'verify-full', authorityPath: byAddress.certificate });
});

type Server = Parameters<typeof PlatformPooler.start>[2];

function serves(server: Server): Promise<void> {
  return throughPooler(server, (port, log) =>
    connect(asLedger(port)).catch(async (error: Error) => assert.fail(`${error.message}\n${await log()}`)),
  );
}

function refuses(server: Server): Promise<void> {
  return throughPooler(server, async (port, log) => {
    const refusal = assert.rejects(connect(asLedger(port)));
    await waitFor('the refusal', async () => /TLS handshake failed|certificate/.test(await log()));
    await refusal;
  });
}

async function throughPooler(server: Server, work: (port: number, log: () => Promise<string>) => Promise<void>): Promise<void> {
  const one = await PlatformPooler.start(services.postgres.port, USERS, server);
  try {
    await work(one.port, () => one.log());
  } finally {
    await one.end();
  }
}

function asLedger(port: number): string {
  return `postgresql://ledger:${credentials['ledger-password']}@127.0.0.1:${port}/ledger`;
}
