import { authEnv, openAuthentication } from '../shared/kernel/auth/config.ts';
import { databaseEnv, httpEnv } from '../shared/kernel/config.ts';
import { HttpServer } from '../shared/kernel/http.ts';
import { openPostgres } from '../shared/kernel/postgres.ts';
import { runService } from '../shared/kernel/service.ts';
import { ledgerRoutes } from './api.ts';
import { ledgerCommands } from './commands.ts';
import { LedgerEngine } from './engine.ts';
import { startExpiry } from './expiry.ts';
import { ledgerMetrics } from './metrics.ts';
import { LedgerStore } from './store.ts';

await runService('ledger', { ...httpEnv, ...databaseEnv, ...authEnv }, async (service) => {
  const { config, log, metrics, onStop } = service;
  const database = openPostgres(service, config, 'ledger');
  const http = await HttpServer.create('BSS ledger', service, {
    maxInFlight: config.MAX_REQUESTS_IN_FLIGHT,
    // Its clients are services of the platform, which hold the key of the ledger.
    authentication: await openAuthentication(config, 'services', log),
  });
  const store = new LedgerStore(database);
  const own = ledgerMetrics(metrics);
  ledgerRoutes(http.app, store, metrics);
  ledgerCommands(http.app, { store, engine: new LedgerEngine(database, log, own), metrics: own });
  onStop('expiry of holds', startExpiry(store, own, log));
  onStop('http', () => http.close());
  await http.listen(config.PORT);
});
