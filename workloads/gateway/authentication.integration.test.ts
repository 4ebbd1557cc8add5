import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { TestPlatform } from '../shared/testing/platform.ts';
import { waitFor } from '../shared/testing/wait.ts';
import { freePort, type Workload } from '../shared/testing/workload.ts';

// Gateway and ledger as processes, with an issuer of tokens beside them.

const LIMIT = { timeout: 120_000 };
const KEYS = {
  platform: 'platform-key-for-this-test-0123456789',
  former: 'platform-former-key-for-this-test-012',
  ledger: 'ledger-key-for-this-test-012345678901',
  reader: 'reader-key-for-this-test-012345678901',
  readerNext: 'reader-next-key-for-this-test-0123456',
  expired: 'expired-key-for-this-test-01234567890',
  wrong: 'wrong-key-for-this-test-0123456789012',
};
const hash = (key: string) => createHash('sha256').update(key).digest('hex');

const [first, second] = await Promise.all([
  generateKeyPair('ES256', { extractable: true }),
  generateKeyPair('ES256', { extractable: true }),
]);
const jwk = async (kid: string, { publicKey }: typeof first) => ({ ...(await exportJWK(publicKey)), kid, alg: 'ES256' });
const published = [await jwk('first', first)];
let collected = '';
/** Serves the issuer's keys, and takes in traces. */
const server = createServer((request, response) => {
  request.on('data', (chunk: Buffer) => (collected += chunk.toString('latin1')));
  request.on('end', () => {
    const body = request.url === '/keys' ? { keys: published } : {};
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
  });
}).listen(0, '127.0.0.1');
await once(server, 'listening');
const address = server.address();
const beside = `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`;
const ISSUER = 'https://login.example.com/';

function token(kid = 'first', pair = first, claims: Record<string, unknown> = {}): Promise<string> {
  const jwt = new SignJWT({ scope: 'openid ledger:read', ...claims }).setProtectedHeader({ alg: 'ES256', kid });
  return jwt.setIssuer(ISSUER).setAudience('bss').setSubject('anna').setExpirationTime('2m').sign(pair.privateKey);
}

const directory = await mkdtemp(join(tmpdir(), 'bss-auth-'));
const keysFile = join(directory, 'keys.json');
const entries = [
  { id: 'reader', sha256: hash(KEYS.reader), scopes: ['ledger:read'] },
  { id: 'reader', key: KEYS.readerNext, scopes: ['ledger:read'] },
  { id: 'former', key: KEYS.expired, scopes: ['*'], expires: '2020-01-01T00:00:00Z' },
];
await writeFile(keysFile, JSON.stringify({ keys: entries }));

const platform = await TestPlatform.start(20);
const [ledgerPort, gatewayPort, otherPort] = [await freePort(), await freePort(), await freePort()];
const shared = { ...platform.env('ledger'), OTEL_EXPORTER_OTLP_ENDPOINT: beside, LOG_LEVEL: 'trace' };
const ledger = await platform.run('ledger', { ...shared, PORT: String(ledgerPort), API_KEY: KEYS.ledger });
const issuers = [{ issuer: ISSUER, audiences: ['bss'], jwksUrl: `${beside}/keys`, minRefetchSeconds: 1 }];
const env = {
  ...shared,
  LEDGER_URL: `http://127.0.0.1:${ledgerPort}`,
  LEDGER_API_KEY: KEYS.ledger,
  API_KEY: KEYS.platform,
  API_KEY_OTHER: KEYS.former,
  API_KEYS_FILE: keysFile,
  JWT_ISSUERS: JSON.stringify(issuers),
  DEBUG_SEED_ENABLED: 'true',
  AUTH_FAILURES_PER_MINUTE: '1000',
};
const gateway = await platform.run('gateway', { ...env, PORT: String(gatewayPort) });
await Promise.all([ledger, gateway].map((workload) => workload.ready()));

const answers: string[] = [];
async function call(path: string, headers: Record<string, string> = {}, port = gatewayPort): Promise<{ status: number; code?: string }> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers });
  const text = await response.text();
  answers.push(text);
  const { code } = JSON.parse(text) as { code?: string };
  return { status: response.status, ...(code === undefined ? {} : { code }) };
}

const bearer = (credential: string) => ({ authorization: `Bearer ${credential}` });
const ACCOUNTS = '/api/v1/accounts?limit=1';
const CHECK = '/api/v1/ledger/check';

const rows: [string, string, Record<string, string>, number][] = [
  ['without a credential', ACCOUNTS, {}, 401],
  ["with the platform's key", CHECK, bearer(KEYS.platform), 200],
  ["with the platform's former key during a rotation", CHECK, { 'x-api-key': KEYS.former }, 200],
  ['with a key of the file', ACCOUNTS, bearer(KEYS.reader), 200],
  ['with the second key of the same client', ACCOUNTS, bearer(KEYS.readerNext), 200],
  ['with a key that lacks the scope', CHECK, bearer(KEYS.reader), 403],
  ['with an expired key', ACCOUNTS, bearer(KEYS.expired), 401],
  ['with a wrong key', ACCOUNTS, bearer(KEYS.wrong), 401],
  ['with the key of the ledger', ACCOUNTS, bearer(KEYS.ledger), 401],
  ['with a token', ACCOUNTS, bearer(await token()), 200],
  ['with a token that lacks the scope', CHECK, bearer(await token()), 403],
  ['with a token whose scopes are in scp', CHECK, bearer(await token('first', first, { scp: ['ledger:admin'] })), 200],
  ['with a token of another key', ACCOUNTS, bearer(await token('first', second)), 401],
];
for (const [what, path, headers, status] of rows) {
  await test(`gateway ${what}: ${status}`, LIMIT, async () => {
    const answer = await call(path, headers);
    assert.equal(answer.status, status);
    assert.equal(answer.code, { 401: 'unauthorized', 403: 'forbidden' }[status]);
  });
}

await test('a key that the issuer adds is found, without a restart', LIMIT, async () => {
  const added = await token('second', second);
  assert.equal((await call(ACCOUNTS, bearer(added))).status, 401);
  published.push(await jwk('second', second));
  await waitFor('the new key to be fetched', async () => (await call(ACCOUNTS, bearer(added))).status === 200);
});

await test('the ledger accepts its own key alone', LIMIT, async () => {
  assert.equal((await call(ACCOUNTS, {}, ledgerPort)).status, 401);
  assert.equal((await call(ACCOUNTS, bearer(KEYS.platform), ledgerPort)).status, 401);
  assert.equal((await call(ACCOUNTS, bearer(KEYS.ledger), ledgerPort)).status, 200);
});

await test("a key that the ledger does not accept is the gateway's failure, not the client's", LIMIT, async () => {
  const other = await platform.run('gateway', { ...env, PORT: String(otherPort), LEDGER_API_KEY: KEYS.wrong });
  await other.ready();
  const answer = await call(ACCOUNTS, bearer(KEYS.platform), otherPort);
  assert.deepEqual(answer, { status: 503, code: 'ledger_unavailable' });
});

await test('an invalid file of keys ends the process with 78, and no key is in its log', LIMIT, async () => {
  const invalid = join(directory, 'invalid.json');
  await writeFile(invalid, JSON.stringify({ keys: [{ id: 'reader', key: KEYS.wrong, scopes: [] }] }));
  const broken = await platform.run('gateway', { ...env, PORT: String(await freePort()), API_KEYS_FILE: invalid });
  await waitFor('the process to end', () => broken.exitCode !== null);
  assert.equal(broken.exitCode, 78);
  assert.match(broken.log, /API_KEYS_FILE names .*: \$\.keys\.0\.scopes must have at least one scope/);
  assertNoKey('the log of the process that ended', broken.log);
});

function assertNoKey(where: string, text: string): void {
  for (const [name, key] of Object.entries(KEYS)) assert.ok(!text.includes(key), `${where} has the key ${name}`);
}

async function metricsOf(workload: Workload): Promise<string> {
  return (await fetch(`${workload.metricsUrl}/metrics`)).text();
}

await test('no credential is in logs, traces, metrics or answers', LIMIT, async () => {
  const secret = await token();
  await call(`${ACCOUNTS}&after=x`, bearer(secret));
  await call('/unknown', bearer(KEYS.wrong));
  await waitFor('a trace', () => collected.includes('GET /api/v1/accounts'));
  const texts = { log: gateway.log + ledger.log, traces: collected, metrics: await metricsOf(gateway), answers: answers.join('\n') };
  for (const [where, text] of Object.entries(texts)) {
    assert.notEqual(text, '');
    assertNoKey(where, text);
    assert.ok(!text.includes(secret.split('.')[2] ?? secret), `${where} has a token`);
  }
  assert.ok((await gateway.metric('http_authentications_total', 'result="accepted"')) > 0);
});

await platform.stop();
server.close();
await rm(directory, { recursive: true });
