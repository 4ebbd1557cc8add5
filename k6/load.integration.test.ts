/**
 * The load tests against a real gateway, ledger and interest consumer.
 *
 * Runs alone: it measures throughput and response times.
 */
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { loadTest } from '../local/src/load/scenarios.ts';
import { CRM_EVENT_TOPIC } from '../workloads/shared/contracts/crm/events.ts';
import { TestPlatform } from '../workloads/shared/testing/platform.ts';
import { freePort } from '../workloads/shared/testing/workload.ts';

const LIMIT = { timeout: 300_000 };
const KEY = 'the-key-of-the-platform-for-load-tests';
const LEDGER_KEY = 'the-key-of-the-ledger-for-load-tests-0';
const ORCHESTRATOR_KEY = 'the-key-of-the-orchestrator-for-a-test';
const ACCOUNTS_KEY = 'the-key-of-the-accounts-for-this-test-';
const CRM_KEY = 'the-key-of-the-crm-service-for-this-test';
/** Exit code of k6 when a threshold is missed. */
const MISSED = 99;

const platform = await TestPlatform.start(200);
const folder = await mkdtemp(join(tmpdir(), 'bss-load-'));

const [ledgerPort, orchestratorPort, gatewayPort, closedPort] = [await freePort(), await freePort(), await freePort(), await freePort()];
const shared = platform.env('ledger');
const ledger = await platform.run('ledger', { ...shared, PORT: String(ledgerPort), API_KEY: LEDGER_KEY });
const orchestrator = await platform.run('orchestrator', {
  ...platform.env('orchestrator'),
  PORT: String(orchestratorPort),
  LEDGER_URL: `http://127.0.0.1:${ledgerPort}`,
  LEDGER_API_KEY: LEDGER_KEY,
  API_KEY: ORCHESTRATOR_KEY,
});
const gatewayEnv = { ...shared, LEDGER_URL: `http://127.0.0.1:${ledgerPort}`, API_KEY: KEY, LEDGER_API_KEY: LEDGER_KEY };
const withTransfers = { ORCHESTRATOR_URL: `http://127.0.0.1:${orchestratorPort}`, ORCHESTRATOR_API_KEY: ORCHESTRATOR_KEY };
const gateway = await platform.run('gateway', { ...gatewayEnv, ...withTransfers, PORT: String(gatewayPort), DEBUG_SEED_ENABLED: 'true' });
const closed = await platform.run('gateway', { ...gatewayEnv, PORT: String(closedPort), DEBUG_SEED_ENABLED: 'false' });
const interest = await platform.consumer();
const complete = await startComplete();
await Promise.all([ledger, orchestrator, gateway, closed, interest].map((workload) => workload.ready()));

/** A gateway with every service behind it. @returns its port */
async function startComplete(): Promise<number> {
  await Promise.all([platform.createTopic('account.opened.v1', 1), platform.createTopic(CRM_EVENT_TOPIC, 1)]);
  const [accountsPort, crmPort, port] = [await freePort(), await freePort(), await freePort()];
  const ofLedger = { LEDGER_URL: `http://127.0.0.1:${ledgerPort}`, LEDGER_API_KEY: LEDGER_KEY };
  const withAccounts = { ACCOUNTS_URL: `http://127.0.0.1:${accountsPort}`, ACCOUNTS_API_KEY: ACCOUNTS_KEY };
  const withCrm = { CRM_URL: `http://127.0.0.1:${crmPort}`, CRM_API_KEY: CRM_KEY };
  const workloads = await Promise.all([
    platform.run('accounts', { ...platform.env('accounts'), ...ofLedger, PORT: String(accountsPort), API_KEY: ACCOUNTS_KEY }),
    platform.run('crm', { ...platform.env('crm'), ...withTransfers, ...withAccounts, PORT: String(crmPort), API_KEY: CRM_KEY }),
    platform.run('gateway', { ...gatewayEnv, ...withTransfers, ...withAccounts, ...withCrm, PORT: String(port) }),
  ]);
  await Promise.all(workloads.map((workload) => workload.ready()));
  return port;
}

interface Summary {
  met: boolean;
  targets: { metric: string; condition: string; measured: string; met: boolean }[];
  metrics: Record<string, { values: Record<string, number> }>;
  checks: { name: string; passes: number; fails: number }[];
}

interface Ended {
  code: number | null;
  output: string;
  page(): Promise<string>;
  summary(): Promise<Summary>;
}

/** Runs a scenario to its end. @param settings variables such as EVENTS */
async function load(scenario: string, settings: Record<string, string> = {}, { port = gatewayPort, apiKey = KEY } = {}): Promise<Ended> {
  const given = { scenario, url: `http://127.0.0.1:${port}`, apiKey, results: folder, versions: ['platform of the test'] };
  const { program, args, env } = await loadTest(given, { ...process.env, ...settings });
  assert.ok(!args.some((arg) => arg.includes(apiKey)), 'other users can read the arguments');
  const child = spawn(program, args, { env: { ...env, ...settings }, stdio: ['ignore', 'pipe', 'pipe'] });
  const chunks: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  await once(child, 'close');
  const file = (ending: string): Promise<string> => readFile(join(folder, `load-${scenario}.${ending}`), 'utf8');
  return {
    code: child.exitCode,
    output: Buffer.concat(chunks).toString(),
    page: () => file('md'),
    summary: async () => JSON.parse(await file('json')) as Summary,
  };
}

/** Names of the checks that failed at least once. */
async function failedChecks(ended: Ended): Promise<string[]> {
  return (await ended.summary()).checks.filter(({ fails }) => fails > 0).map(({ name }) => name);
}

/** Hands a request on to the gateway. A balance becomes a number, where the document says text. */
async function forward(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { method = 'GET', url = '', headers } = request;
  const kept = ['authorization', 'content-type', 'idempotency-key'].flatMap((name): [string, string][] => {
    const value = headers[name];
    return typeof value === 'string' ? [[name, value]] : [];
  });
  const body = method === 'GET' ? {} : { body: await text(request) };
  const answer = await fetch(`http://127.0.0.1:${gatewayPort}${url}`, { method, headers: kept, ...body });
  const changed = (await answer.text()).replace(/"balanceMinor":"(-?\d+)"\}$/, '"balanceMinor":$1}');
  response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' }).end(changed);
}

await test('smoke: every operation answers as the OpenAPI document describes', LIMIT, async () => {
  const ended = await load('smoke');
  assert.equal(ended.code, 0, ended.output);
  const { checks } = await ended.summary();
  const document = (await (await fetch(`http://127.0.0.1:${gatewayPort}/openapi.json`)).json()) as { paths: Record<string, object> };
  for (const path of Object.keys(document.paths))
    assert.ok(
      checks.some(({ name }) => name.includes(` ${path}: answer is as documented`)),
      path,
    );
  assert.match(await ended.page(), /Verdict: \*\*every target is met\*\*/);
  for (const written of [ended.output, await ended.page(), JSON.stringify(await ended.summary())])
    assert.ok(!written.includes(KEY), 'the API key is written nowhere');
});

await test('smoke: passes where seeding is not enabled and there are no transfers', LIMIT, async () => {
  const ended = await load('smoke', {}, { port: closedPort });
  assert.equal(ended.code, 0, ended.output);
});

await test('smoke: passes with every service behind the gateway: orders are invoiced, payments made and refunded', LIMIT, async () => {
  const ended = await load('smoke', {}, { port: complete });
  assert.equal(ended.code, 0, ended.output);
  const { checks } = await ended.summary();
  const refund = checks.find(({ name }) => name === 'POST /api/v1/payments/{id}/refund: status is 200');
  assert.equal(refund?.passes, 1);
});

await test('smoke: fails when the gateway rejects the key', LIMIT, async () => {
  const ended = await load('smoke', {}, { apiKey: 'another-key-of-the-platform-for-load-tests' });
  assert.equal(ended.code, MISSED, ended.output);
  assert.deepEqual(await failedChecks(ended), ['GET /api/v1/accounts: status is 200']);
});

await test('smoke: fails when an answer is not as documented', LIMIT, async () => {
  const proxy = createServer((request, response) => void forward(request, response)).listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  const address = proxy.address();
  assert.ok(typeof address === 'object' && address !== null);
  const ended = await load('smoke', {}, { port: address.port });
  proxy.close();
  assert.equal(ended.code, MISSED, ended.output);
  assert.deepEqual(await failedChecks(ended), ['GET /api/v1/accounts/{id}/balance: answer is as documented']);
  assert.match(ended.output, /balance: body\.balanceMinor is number, not string/);
});

await test('seed: every event is applied once', LIMIT, async () => {
  await platform.drained();
  const before = await platform.check();
  const ended = await load('seed', { EVENTS: '5000' });
  const check = await platform.check();
  assert.equal(check.interestTransactions - before.interestTransactions, 5000);
  const { met, targets } = await ended.summary();
  const missed = targets.filter((target) => !target.met).map(({ metric }) => metric);
  // How fast the events are applied depends on the machine.
  assert.deepEqual(missed, met ? [] : ['events_per_second'], ended.output);
  assert.equal(ended.code, met ? 0 : MISSED, ended.output);
  const page = await ended.page();
  assert.match(page, /`make load SCENARIO=seed EVENTS=5000`/);
  assert.match(page, /\| every event is applied exactly once \| `events_applied` \| `count==5000` \| 5,000 \| yes \|/);
});

await test('seed: fails when the events are not applied', LIMIT, async () => {
  interest.signal('SIGSTOP');
  const ended = await load('seed', { EVENTS: '100', WAIT_SECONDS: '2' });
  interest.signal('SIGCONT');
  assert.equal(ended.code, MISSED, ended.output);
  const missed = (await ended.summary()).targets.filter(({ met }) => !met).map(({ metric }) => metric);
  assert.deepEqual(missed, ['events_applied', 'events_per_second']);
  assert.match(await ended.page(), /`events_applied` \| `count==100` \| 0 \| \*\*no\*\* \|/);
  await platform.drained();
});

await test('seed: sends nothing when the ledger cannot be checked', LIMIT, async () => {
  const end = async (): Promise<bigint> =>
    (await platform.admin.extents('interest.transaction.v1')).reduce((sum, { high }) => sum + high, 0n);
  const before = await end();
  const ended = await load('seed', { EVENTS: '100' }, { apiKey: 'another-key-of-the-platform-for-load-tests' });
  assert.equal(ended.code, MISSED, ended.output);
  assert.match(ended.output, /nothing was sent/);
  assert.equal(await end(), before);
});

for (const scenario of ['reads', 'spike'])
  await test(`${scenario}: every answer with status 200 is right, and the exit code follows the targets`, LIMIT, async () => {
    const ended = await load(scenario, { DURATION_FACTOR: '0.02' });
    const { met, targets, metrics, checks } = await ended.summary();
    assert.ok((metrics['throughput']?.values['count'] ?? 0) > 100, 'requests were sent');
    for (const route of ['{id}', '{id}/balance', '{id}/statement']) {
      const of = (what: string) => checks.find(({ name }) => name === `GET /api/v1/accounts/${route}: ${what}`);
      const [status, body] = [of('status is 200'), of('answers for this account')];
      // An overloaded machine answers 503; an answer for another account would fail the second check alone.
      assert.ok(status && body && status.passes > 0, `${route} was read:\n${ended.output}`);
      assert.equal(body.fails, status.fails, ended.output);
    }
    assert.ok(targets.every(({ measured }) => measured !== 'nothing' && measured !== '0 ms'));
    assert.equal(ended.code, met ? 0 : MISSED, ended.output);
  });

await test('flows: ends before the load where there are no generated customers', LIMIT, async () => {
  const ended = await load('flows', { DURATION_FACTOR: '0.02' });
  assert.notEqual(ended.code, 0);
  assert.match(ended.output, /enable spec\.workloads\.crm\.seed/);
});

await test('flows: customers of the seed order, are invoiced and pay, and the ledger has every payment', LIMIT, async () => {
  await promisify(execFile)(process.execPath, ['workloads/crm/seed.ts'], {
    env: { ...process.env, ...platform.env('crm'), SEED_CUSTOMERS: '50' },
  });
  const ended = await load('flows', { DURATION_FACTOR: '0.05' }, { port: complete });
  const { met, targets, metrics, checks } = await ended.summary();
  const failed = checks.filter(({ fails }) => fails > 0);
  assert.deepEqual(failed, [], ended.output);
  const [receipts] = await platform.sql<{ balance: string }>(
    `SELECT balance_minor::text AS balance FROM account WHERE id = 'crm-receipts-EUR'`,
  );
  // Each payment is one minor unit; smoke has refunded what it paid.
  assert.equal(Number(receipts?.balance), metrics['payments_done']?.values['count']);
  assert.ok(Number(receipts?.balance) > 0, ended.output);
  // How fast the answers come depends on the machine.
  const missed = targets.filter((target) => !target.met).map(({ metric }) => metric);
  assert.ok(met || missed.every((metric) => metric === 'response_time'), ended.output);
});

await test('load goes to loopback only', LIMIT, async () => {
  const ended = await load('smoke', { BASE_URL: 'http://gateway.example.com:8080' });
  assert.notEqual(ended.code, 0);
  assert.match(ended.output, /BASE_URL is \\"http:\/\/gateway\.example\.com:8080\\": write the URL of a gateway on loopback/);
});

await platform.stop();
await rm(folder, { recursive: true });
