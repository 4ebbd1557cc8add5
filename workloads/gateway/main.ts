import { z } from 'zod';
import { PROBLEMS as READ_MODEL } from '../shared/contracts/read-model.ts';
import { PROBLEMS as UNAVAILABLE } from '../shared/contracts/unavailable.ts';
import { authEnv, generatedKey, openAuthentication } from '../shared/kernel/auth/config.ts';
import { clientEnv, count, flag, httpEnv, kafkaEnv, topicName } from '../shared/kernel/config.ts';
import { HttpServer } from '../shared/kernel/http.ts';
import { KafkaProducer } from '../shared/kernel/kafka/producer.ts';
import { ServiceClient } from '../shared/kernel/service-client.ts';
import { runService } from '../shared/kernel/service.ts';
import { accountRoutes, ACCOUNTS_CLIENT } from './account-routes.ts';
import { calledService } from './called-service.ts';
import { crmRoutes, CRM_CLIENT } from './crm-routes.ts';
import { ledgerRoutes } from './ledger-routes.ts';
import { projectedRoutes, READ_MODEL_AWAY } from './projected-routes.ts';
import { seedRoute } from './seed-route.ts';
import { ORCHESTRATOR_CLIENT, transferRoutes } from './transfer-routes.ts';

const env = {
  ...httpEnv,
  ...clientEnv,
  ...authEnv,
  ...kafkaEnv,
  LEDGER_URL: z.url({ protocol: /^https?$/, error: "write the ledger's address, such as http://ledger:8080" }),
  /** The gateway's own key for the ledger. */
  LEDGER_API_KEY: generatedKey,
  /** Without it, the gateway has no routes of transfers. */
  ORCHESTRATOR_URL: z.url({ protocol: /^https?$/, error: "write the orchestrator's address, such as http://orchestrator:8080" }).optional(),
  /** The gateway's own key for the orchestrator. */
  ORCHESTRATOR_API_KEY: generatedKey.optional(),
  /** Without it, the gateway opens no accounts. */
  ACCOUNTS_URL: z
    .url({ protocol: /^https?$/, error: 'write the address of the accounts service, such as http://accounts:8080' })
    .optional(),
  /** The gateway's own key for the accounts service. */
  ACCOUNTS_API_KEY: generatedKey.optional(),
  /** Without it, balances and statements come from the ledger. */
  READ_MODEL_URL: z.url({ protocol: /^https?$/, error: "write the read model's address, such as http://read-model:8080" }).optional(),
  READ_MODEL_API_KEY: generatedKey.optional(),
  /** Without it, the gateway has no routes of customers, catalogue, orders, invoices and payments. */
  CRM_URL: z.url({ protocol: /^https?$/, error: 'write the address of crm, such as http://crm:8080' }).optional(),
  CRM_API_KEY: generatedKey.optional(),
  DEBUG_SEED_ENABLED: flag,
  /** Most events of one request. */
  DEBUG_SEED_MAX_EVENTS: count(1, 1_000_000, 1_000_000),
  INTEREST_TOPIC: topicName,
};

await runService('gateway', env, async ({ config, log, metrics, onStop }) => {
  const authentication = await openAuthentication(config, 'platform', log);
  const producer = new KafkaProducer(config, config.POD_NAME, log, metrics);
  onStop('producer', () => producer.close());
  const ledger = new ServiceClient(
    { name: 'ledger', url: config.LEDGER_URL, apiKey: config.LEDGER_API_KEY, unavailable: UNAVAILABLE.ledger_unavailable },
    log,
    metrics,
  );
  const orchestrator = calledService(
    config,
    'ORCHESTRATOR',
    (service) => new ServiceClient({ ...ORCHESTRATOR_CLIENT, ...service }, log, metrics),
  );
  const accounts = calledService(config, 'ACCOUNTS', (service) => new ServiceClient({ ...ACCOUNTS_CLIENT, ...service }, log, metrics));
  const readModel = calledService(config, 'READ_MODEL', (service) => {
    const problems = { unavailable: READ_MODEL_AWAY, passed: [READ_MODEL.not_yet_projected] };
    return new ServiceClient({ name: 'read model', ...service, ...problems }, log, metrics);
  });
  const crm = calledService(config, 'CRM', (service) => new ServiceClient({ ...CRM_CLIENT, ...service }, log, metrics));
  const http = await HttpServer.create(
    'BSS gateway',
    { log, metrics },
    {
      maxInFlight: config.MAX_REQUESTS_IN_FLIGHT,
      requestsPerSecond: config.REQUESTS_PER_SECOND,
      authentication,
      authFailuresPerMinute: config.AUTH_FAILURES_PER_MINUTE,
      trustedProxies: config.TRUSTED_PROXIES,
    },
  );
  ledgerRoutes(http.app, ledger);
  if (orchestrator) transferRoutes(http.app, orchestrator);
  if (accounts) accountRoutes(http.app, accounts);
  if (crm) crmRoutes(http.app, crm);
  projectedRoutes(http.app, { ledger, readModel }, metrics);
  seedRoute(
    http.app,
    {
      enabled: config.DEBUG_SEED_ENABLED,
      maxEvents: config.DEBUG_SEED_MAX_EVENTS,
      topic: config.INTEREST_TOPIC,
      source: `/${config.NAMESPACE}/${config.PLATFORM}/gateway`,
    },
    { ledger, producer, log },
  );
  onStop('http', () => http.close());
  await http.listen(config.PORT);
});
