import { databaseEnv, httpEnv } from '../shared/kernel/config.ts';
import { HttpApi } from '../shared/kernel/http.ts';
import { openPostgres } from '../shared/kernel/postgres.ts';
import { runService } from '../shared/kernel/service.ts';
import { ledgerRoutes } from './api.ts';
import { LedgerStore } from './store.ts';

await runService('ledger', { ...httpEnv, ...databaseEnv }, async (service) => {
  const { config, log, metrics, onStop } = service;
  const database = openPostgres(service, config, 'ledger');
  const api = new HttpApi('BSS ledger', { log, metrics });
  ledgerRoutes(api, new LedgerStore(database), metrics);
  onStop('http', () => api.close());
  await api.listen(config.PORT);
});
