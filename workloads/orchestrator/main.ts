import { z } from 'zod';
import { PROBLEMS as UNAVAILABLE } from '../shared/contracts/unavailable.ts';
import { authEnv, generatedKey, openAuthentication } from '../shared/kernel/auth/config.ts';
import { count, databaseEnv, httpEnv } from '../shared/kernel/config.ts';
import { HttpServer } from '../shared/kernel/http.ts';
import { openPostgres } from '../shared/kernel/postgres.ts';
import { ServiceClient } from '../shared/kernel/service-client.ts';
import { runService } from '../shared/kernel/service.ts';
import { transferRoutes } from './api.ts';
import { transferMetrics } from './metrics.ts';
import { TransferStore } from './store.ts';
import { startSweeper } from './sweeper.ts';
import { Transfers } from './transfers.ts';

const HOUR_MS = 3_600_000;
/** Longer than the deadline of a request, after which its process has given the transfer up. */
const LEASE_MS = 8_000;

const env = {
  ...httpEnv,
  ...databaseEnv,
  ...authEnv,
  LEDGER_URL: z.url({ protocol: /^https?$/, error: "write the ledger's address, such as http://ledger:8080" }),
  /** The orchestrator's key for the ledger. */
  LEDGER_API_KEY: generatedKey,
  /** Hours that the key of an ended transfer is kept at least. */
  IDEMPOTENCY_TTL_HOURS: count(1, 8_760, 24),
};

await runService('orchestrator', env, async (service) => {
  const { config, log, metrics, onStop } = service;
  const database = openPostgres(service, config, 'orchestrator');
  const ledgerOptions = { url: config.LEDGER_URL, apiKey: config.LEDGER_API_KEY, unavailable: UNAVAILABLE.ledger_unavailable };
  const ledger = new ServiceClient({ name: 'ledger', ...ledgerOptions }, log, metrics);
  const store = new TransferStore(database, log, LEASE_MS);
  const transfers = new Transfers({ store, ledger, metrics: transferMetrics(metrics), log });
  const http = await HttpServer.create('BSS orchestrator', service, {
    maxInFlight: config.MAX_REQUESTS_IN_FLIGHT,
    // Its clients are services of the platform, which hold the key of the orchestrator.
    authentication: await openAuthentication(config, 'services', log),
  });
  transferRoutes(http.app, { transfers, store });
  onStop('sweeper', startSweeper({ store, transfers, log }, config.IDEMPOTENCY_TTL_HOURS * HOUR_MS));
  onStop('http', () => http.close());
  await http.listen(config.PORT);
});
