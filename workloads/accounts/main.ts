import { z } from 'zod';
import { PROBLEMS as UNAVAILABLE } from '../shared/contracts/unavailable.ts';
import { authEnv, generatedKey, openAuthentication } from '../shared/kernel/auth/config.ts';
import { databaseEnv, httpEnv, kafkaEnv } from '../shared/kernel/config.ts';
import { HttpServer } from '../shared/kernel/http.ts';
import { KafkaProducer } from '../shared/kernel/kafka/producer.ts';
import { openPostgres } from '../shared/kernel/postgres.ts';
import { ServiceClient } from '../shared/kernel/service-client.ts';
import { runService } from '../shared/kernel/service.ts';
import { accountMetrics, Accounts } from './accounts.ts';
import { accountRoutes } from './api.ts';
import { startBackground } from './background.ts';
import { AccountStore } from './store.ts';

const env = {
  ...httpEnv,
  ...databaseEnv,
  ...authEnv,
  ...kafkaEnv,
  LEDGER_URL: z.url({ protocol: /^https?$/, error: "write the ledger's address, such as http://ledger:8080" }),
  /** The key of this service for the ledger. */
  LEDGER_API_KEY: generatedKey,
};

await runService('accounts', env, async (service) => {
  const { config, log, metrics, onStop } = service;
  const store = new AccountStore(openPostgres(service, config, 'accounts'));
  const producer = new KafkaProducer(config, config.POD_NAME, log, metrics);
  onStop('producer', () => producer.close());
  const ledgerOptions = { url: config.LEDGER_URL, apiKey: config.LEDGER_API_KEY, unavailable: UNAVAILABLE.ledger_unavailable };
  const ledger = new ServiceClient({ name: 'ledger', ...ledgerOptions }, log, metrics);
  const accounts = new Accounts(store, ledger, accountMetrics(metrics));
  const http = await HttpServer.create('BSS accounts', service, {
    maxInFlight: config.MAX_REQUESTS_IN_FLIGHT,
    // Its clients are services of the platform, which hold the key of this service.
    authentication: await openAuthentication(config, 'services', log),
  });
  accountRoutes(http.app, accounts);
  onStop(
    'events and resumption',
    startBackground({ store, accounts, producer, source: `/${config.NAMESPACE}/${config.PLATFORM}/accounts`, log }),
  );
  onStop('http', () => http.close());
  await http.listen(config.PORT);
});
