import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Accounts, accountMetrics } from './accounts/accounts.ts';
import { accountRoutes } from './accounts/api.ts';
import { AccountStore } from './accounts/store.ts';
import { registerRoutes } from './crm/api.ts';
import { cacheHandlers } from './crm/cache-handlers.ts';
import { handlersOf } from './crm/handlers.ts';
import { DatabaseReads } from './crm/reads.ts';
import { paymentMetrics } from './crm/payments/metrics.ts';
import { Payments } from './crm/payments/payments.ts';
import { PaymentStore } from './crm/payments/store.ts';
import { Records } from './crm/records.ts';
import { accountRoutes as gatewayAccounts } from './gateway/account-routes.ts';
import { crmRoutes, CRM_CLIENT } from './gateway/crm-routes.ts';
import { ledgerRoutes as gatewayRoutes } from './gateway/ledger-routes.ts';
import { transferRoutes as gatewayTransfers } from './gateway/transfer-routes.ts';
import { projectedRoutes } from './gateway/projected-routes.ts';
import { seedRoute } from './gateway/seed-route.ts';
import { ledgerRoutes } from './ledger/api.ts';
import { ledgerCommands } from './ledger/commands.ts';
import { LedgerEngine } from './ledger/engine.ts';
import { ledgerMetrics } from './ledger/metrics.ts';
import { LedgerStore } from './ledger/store.ts';
import { transferRoutes } from './orchestrator/api.ts';
import { transferMetrics } from './orchestrator/metrics.ts';
import { TransferStore } from './orchestrator/store.ts';
import { Transfers } from './orchestrator/transfers.ts';
import { readModelRoutes } from './read-model/api.ts';
import { Changes } from './read-model/changes.ts';
import { Freshness } from './read-model/freshness.ts';
import { readModelMetrics } from './read-model/metrics.ts';
import { ReadModelStore } from './read-model/store.ts';
import { ROUTES as CRM_ROUTES } from './shared/contracts/crm/routes.ts';
import { PROBLEMS as UNAVAILABLE } from './shared/contracts/unavailable.ts';
import { HttpServer, type HttpApp } from './shared/kernel/http.ts';
import { KafkaProducer } from './shared/kernel/kafka/producer.ts';
import { createLogger } from './shared/kernel/log.ts';
import { Metrics } from './shared/kernel/metrics.ts';
import { ServiceClient } from './shared/kernel/service-client.ts';

const log = createLogger({ service: 'test', platform: 'test', namespace: 'test', pod: 'test' }, 'silent');

/** No route is called, so no other service is. */
const NOWHERE = { url: 'http://127.0.0.1:1', apiKey: '' };

/** How each service with an HTTP API registers its routes; no route is called. */
const SERVICES: Record<string, (app: HttpApp, metrics: Metrics) => void> = {
  accounts: (app, metrics) => {
    const ledger = new ServiceClient({ ...NOWHERE, name: 'ledger', unavailable: UNAVAILABLE.ledger_unavailable }, log, metrics);
    const store = new AccountStore({ query: async () => [], transaction: () => Promise.reject(new Error('no database')) });
    accountRoutes(app, new Accounts(store, ledger, accountMetrics(metrics)));
  },
  crm: (app, metrics) => {
    const database = { query: async () => [], transaction: () => Promise.reject(new Error('no database')) };
    const records = new Records(database, () => undefined);
    const payments = new Payments({
      records,
      store: new PaymentStore(database),
      transfers: undefined,
      metrics: paymentMetrics(metrics),
      log,
    });
    const issuer = { name: 'Example Telecom', address: [], taxId: '', payment: [] };
    registerRoutes(app, handlersOf({ reads: new DatabaseReads(database), records, database, payments, issuer }));
    const uncalled = (): never => assert.fail('no route is called');
    registerRoutes(app, cacheHandlers({ statistics: uncalled, expanded: uncalled, invalidate: uncalled }, 'pod'));
  },
  gateway: (app, metrics) => {
    const ledger = new ServiceClient({ ...NOWHERE, name: 'ledger', unavailable: UNAVAILABLE.ledger_unavailable }, log, metrics);
    const producer = new KafkaProducer({ KAFKA_BROKERS: ['127.0.0.1:1'], KAFKA_SSL: false }, 'test', log, metrics);
    gatewayRoutes(app, ledger);
    gatewayTransfers(
      app,
      new ServiceClient({ ...NOWHERE, name: 'orchestrator', unavailable: UNAVAILABLE.orchestrator_unavailable }, log, metrics),
    );
    projectedRoutes(app, { ledger, readModel: undefined }, metrics);
    gatewayAccounts(app, new ServiceClient({ ...NOWHERE, name: 'accounts', unavailable: UNAVAILABLE.accounts_unavailable }, log, metrics));
    crmRoutes(app, new ServiceClient({ ...NOWHERE, ...CRM_CLIENT }, log, metrics));
    seedRoute(app, { enabled: true, maxEvents: 1, topic: 'test', source: 'test' }, { ledger, producer, log });
  },
  ledger: (app, metrics) => {
    const database = { query: async () => [] };
    const store = new LedgerStore(database);
    const own = ledgerMetrics(metrics);
    ledgerRoutes(app, store, metrics);
    ledgerCommands(app, { store, engine: new LedgerEngine(database, log, own), metrics: own });
  },
  orchestrator: (app, metrics) => {
    const ledger = new ServiceClient({ ...NOWHERE, name: 'ledger', unavailable: UNAVAILABLE.ledger_unavailable }, log, metrics);
    const store = new TransferStore({ query: async () => [] }, log, 1);
    transferRoutes(app, { store, transfers: new Transfers({ store, ledger, metrics: transferMetrics(metrics), log }) });
  },
  'read-model': (app, metrics) => {
    const store = new ReadModelStore({ query: async () => [] });
    const own = readModelMetrics(metrics);
    const positions = { topic: 'test', read: async () => new Map() };
    const freshness = new Freshness({ admin: { extents: async () => [] }, positions, lag: own.lag, log });
    readModelRoutes(app, { store, changes: new Changes(async () => new Map(), log), freshness, metrics: own });
  },
};

const LEDGER_ROUTES = [
  'GET /api/v1/accounts: ledger:read',
  'GET /api/v1/accounts/:id: ledger:read',
  'GET /api/v1/accounts/:id/balance: ledger:read',
  'GET /api/v1/accounts/:id/statement: ledger:read',
  'GET /api/v1/ledger/check: ledger:admin',
];

const TRANSFER_ROUTES = ['GET /api/v1/transfers/:id: transfers:read', 'POST /api/v1/transfers: transfers:write'];

/** Its contract is the one list of its routes: see the tests of crm. */
const FROM_CRM = CRM_ROUTES.map(({ method, url, scopes }) => `${method} ${url}: ${scopes.join(' ')}`);

/** What each route requires. A new route has its line here. */
const ROUTES: Record<string, string[]> = {
  accounts: ['POST /api/v1/accounts: accounts:write'],
  crm: FROM_CRM,
  gateway: ['POST /api/v1/accounts: accounts:write', ...LEDGER_ROUTES, ...TRANSFER_ROUTES, ...FROM_CRM, 'POST /debug/seed: debug:seed'],
  ledger: [
    ...LEDGER_ROUTES,
    'GET /api/v1/holds/:id: ledger:read',
    'GET /api/v1/transactions/:id: ledger:read',
    'POST /api/v1/accounts/:id/close: ledger:write',
    'POST /api/v1/accounts: ledger:write',
    'POST /api/v1/holds/:id/settle: ledger:write',
    'POST /api/v1/holds/:id/void: ledger:write',
    'POST /api/v1/holds: ledger:write',
    'POST /api/v1/transactions/:id/reversal: ledger:write',
    'POST /api/v1/transactions/batch: ledger:write',
    'POST /api/v1/transactions: ledger:write',
  ],
  orchestrator: TRANSFER_ROUTES,
  'read-model': ['GET /api/v1/accounts/:id/balance: ledger:read', 'GET /api/v1/accounts/:id/statement: ledger:read'],
};

await test('every service with an HTTP server is compared', () => {
  const mains = globSync('*/main.ts', { cwd: import.meta.dirname });
  const serving = mains.filter((file) => readFileSync(new URL(file, import.meta.url), 'utf8').includes('HttpServer.create('));
  assert.deepEqual(
    serving.map((file) => file.split('/')[0] ?? '').toSorted((a, b) => a.localeCompare(b)),
    Object.keys(SERVICES),
  );
});

await test('only the kernel creates HTTP servers, so every route is declared to it', () => {
  const files = globSync('**/*.ts', {
    cwd: import.meta.dirname,
    exclude: ['**/*.test.ts', 'node_modules/**', '**/testing/**', 'benchmarks/**'],
  });
  const creating = files.filter((file) => /\bfastify\(|\bcreateServer\(/.test(readFileSync(new URL(file, import.meta.url), 'utf8')));
  assert.deepEqual(creating.toSorted(), ['shared/kernel/health.ts', 'shared/kernel/http.ts']);
});

for (const [name, register] of Object.entries(SERVICES)) {
  await test(`${name}: every route requires scopes; only the documentation is public`, async () => {
    const metrics = new Metrics({});
    const server = await HttpServer.create(name, { log, metrics }, { maxInFlight: 1 });
    register(server.app, metrics);
    await server.app.ready();
    const own = server.routes.filter(({ method, url }) => method !== 'HEAD' && !/^\/(docs|openapi\.json)(\/|$)/.test(url));
    assert.deepEqual(
      own
        .map(({ method, url, access }) => `${method} ${url}: ${typeof access === 'string' ? `public, ${access}` : access.join(' ')}`)
        .toSorted(),
      ROUTES[name]?.toSorted(),
    );
    for (const { url, access } of server.routes.filter(({ url: path }) => /^\/(docs|openapi\.json)/.test(path))) {
      assert.match(String(access), /OpenAPI document/, url);
    }
    await server.app.close();
  });
}
