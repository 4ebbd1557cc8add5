/** Schemathesis generates requests from the OpenAPI document of a real gateway, and checks each answer against it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TestPlatform } from '../shared/testing/platform.ts';
import { freePort } from '../shared/testing/workload.ts';
import { conformance, SEED } from './testing/schemathesis.ts';

const LIMIT = { timeout: 240_000 };
const KEY = 'the-key-of-the-platform-for-this-test';
const LEDGER_KEY = 'the-key-of-the-ledger-for-this-test-0';
const ACCOUNTS_KEY = 'the-key-of-the-accounts-for-this-test-';
const ORCHESTRATOR_KEY = 'the-key-of-the-orchestrator-for-a-test';
const EXAMPLES = 20;

const platform = await TestPlatform.start(50);

const [ledgerPort, orchestratorPort, accountsPort, gatewayPort] = [await freePort(), await freePort(), await freePort(), await freePort()];
const shared = platform.env('ledger');
const ledger = await platform.run('ledger', { ...shared, PORT: String(ledgerPort), API_KEY: LEDGER_KEY });
const orchestrator = await platform.run('orchestrator', {
  ...platform.env('orchestrator'),
  PORT: String(orchestratorPort),
  LEDGER_URL: `http://127.0.0.1:${ledgerPort}`,
  LEDGER_API_KEY: LEDGER_KEY,
  API_KEY: ORCHESTRATOR_KEY,
});
const accounts = await platform.run('accounts', {
  ...platform.env('accounts'),
  PORT: String(accountsPort),
  LEDGER_URL: `http://127.0.0.1:${ledgerPort}`,
  LEDGER_API_KEY: LEDGER_KEY,
  API_KEY: ACCOUNTS_KEY,
});
const gateway = await platform.run('gateway', {
  ...shared,
  PORT: String(gatewayPort),
  LEDGER_URL: `http://127.0.0.1:${ledgerPort}`,
  API_KEY: KEY,
  LEDGER_API_KEY: LEDGER_KEY,
  ORCHESTRATOR_URL: `http://127.0.0.1:${orchestratorPort}`,
  ORCHESTRATOR_API_KEY: ORCHESTRATOR_KEY,
  ACCOUNTS_URL: `http://127.0.0.1:${accountsPort}`,
  ACCOUNTS_API_KEY: ACCOUNTS_KEY,
  DEBUG_SEED_ENABLED: 'true',
  // Schemathesis sends the greatest count that the document allows.
  DEBUG_SEED_MAX_EVENTS: '100',
  // It tries requests without credentials, all of them from one address.
  AUTH_FAILURES_PER_MINUTE: '100000',
});
await Promise.all([ledger, orchestrator, accounts, gateway].map((workload) => workload.ready()));

await test(
  'every answer of the gateway is as its OpenAPI document describes, and none is a failure of the service',
  LIMIT,
  async (context) => {
    const { operations, requests, output } = await conformance(`http://127.0.0.1:${gatewayPort}`, KEY, { examples: EXAMPLES });
    assert.ok(requests > 200, `only ${requests} requests:\n${output}`);
    assert.equal(operations, 9, output);
    assert.equal(await gateway.metric('http_requests_total', 'status="5'), 0);
    assert.ok((await gateway.metric('http_requests_total', 'status="202"')) > 0, 'events were accepted');
    context.diagnostic(`${requests} requests with seed ${SEED}`);
  },
);

await platform.stop();
