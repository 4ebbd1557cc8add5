import { databaseEnv, httpEnv } from '../shared/kernel/config.ts';
import { HttpApi } from '../shared/kernel/http.ts';
import { Postgres } from '../shared/kernel/postgres.ts';
import { runService } from '../shared/kernel/service.ts';
import { ledgerRoutes } from './api.ts';
import { LedgerStore } from './store.ts';

await runService('ledger', { ...httpEnv, ...databaseEnv }, async ({ config, log, metrics, onStop }) => {
  const database = new Postgres(
    { url: config.DATABASE_URL, password: config.PGPASSWORD, max: config.DB_POOL_MAX, applicationName: 'ledger' },
    log,
    metrics,
  );
  onStop('database', () => database.close());
  const api = new HttpApi('BSS ledger', { log, metrics });
  ledgerRoutes(api, new LedgerStore(database), metrics);
  onStop('http', () => api.close());
  await api.listen(config.PORT);
});
