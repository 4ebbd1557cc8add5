import { CRM_EVENT_TOPIC } from '../shared/contracts/crm/events.ts';
import { authEnv, openAuthentication } from '../shared/kernel/auth/config.ts';
import { count, databaseEnv, httpEnv, kafkaEnv, topicName } from '../shared/kernel/config.ts';
import { cacheEnv } from '../shared/kernel/cache/open.ts';
import { HttpServer } from '../shared/kernel/http.ts';
import { KafkaProducer } from '../shared/kernel/kafka/producer.ts';
import { openPostgres } from '../shared/kernel/postgres.ts';
import { runService } from '../shared/kernel/service.ts';
import { registerRoutes } from './api.ts';
import { openCachedReads } from './cache.ts';
import { startBackground } from './background.ts';
import { handlersOf } from './handlers.ts';
import { issuerEnv, issuerOf } from './invoice/issuer.ts';
import { crmMetrics } from './metrics.ts';
import { paymentMetrics } from './payments/metrics.ts';
import { Payments } from './payments/payments.ts';
import { PaymentStore } from './payments/store.ts';
import { openTransfers, paymentEnv } from './payments/transfers.ts';
import { Records } from './records.ts';

const env = {
  ...httpEnv,
  ...databaseEnv,
  ...authEnv,
  ...kafkaEnv,
  ...paymentEnv,
  ...issuerEnv,
  ...cacheEnv,
  CRM_EVENT_TOPIC: topicName.default(CRM_EVENT_TOPIC),
  /** Days that a deleted resource is kept. */
  CRM_RETENTION_DAYS: count(1, 36_500, 90),
  /** Hours that an idempotency key is kept. */
  IDEMPOTENCY_TTL_HOURS: count(1, 8_760, 24),
};

await runService('crm', env, async (service) => {
  const { config, log, metrics, onStop } = service;
  const database = openPostgres(service, config, 'crm');
  const producer = new KafkaProducer(config, config.POD_NAME, log, metrics);
  onStop('producer', () => producer.close());
  const own = crmMetrics(metrics);
  const { reads, withCache } = await openCachedReads(service, config, database);
  const records = new Records(database, own.committed);
  const transfers = openTransfers(config, log, metrics);
  const payments = new Payments({ records, store: new PaymentStore(database), transfers, metrics: paymentMetrics(metrics), log });
  const http = await HttpServer.create('BSS CRM', service, {
    maxInFlight: config.MAX_REQUESTS_IN_FLIGHT,
    // Its clients are services of the platform, which hold the key of this service.
    authentication: await openAuthentication(config, 'services', log),
  });
  registerRoutes(http.app, withCache(handlersOf({ reads, records, database, payments, issuer: issuerOf(config) })), own.answered);
  const source = `/${config.NAMESPACE}/${config.PLATFORM}/crm`;
  const outbox = { database, producer, metrics: own, topic: config.CRM_EVENT_TOPIC, source };
  const retention = { database, records, days: config.CRM_RETENTION_DAYS, keyHours: config.IDEMPOTENCY_TTL_HOURS };
  onStop('events and retention', startBackground({ outbox, retention, log }));
  onStop('payments', payments.startSweeper());
  onStop('http', () => http.close());
  await http.listen(config.PORT);
});
