import { databaseEnv, httpEnv } from '../shared/kernel/config.ts';
import { HttpServer } from '../shared/kernel/http.ts';
import { openPostgres } from '../shared/kernel/postgres.ts';
import { runService } from '../shared/kernel/service.ts';
import { ledgerRoutes } from './api.ts';
import { LedgerStore } from './store.ts';

await runService('ledger', { ...httpEnv, ...databaseEnv }, async (service) => {
  const { config, metrics, onStop } = service;
  const database = openPostgres(service, config, 'ledger');
  const http = await HttpServer.create('BSS ledger', service, { maxInFlight: config.MAX_REQUESTS_IN_FLIGHT });
  ledgerRoutes(http.app, new LedgerStore(database), metrics);
  onStop('http', () => http.close());
  await http.listen(config.PORT);
});
