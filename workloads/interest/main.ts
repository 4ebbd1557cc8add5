import { interestTransaction } from '../shared/contracts/interest-transaction.ts';
import { databaseEnv, kafkaEnv } from '../shared/kernel/config.ts';
import { jsonDecoder } from '../shared/kernel/consumer/decode.ts';
import { Positions } from '../shared/kernel/consumer/positions.ts';
import { consumerEnv, consumerSettings } from '../shared/kernel/consumer/settings.ts';
import { startConsumer } from '../shared/kernel/consumer/start.ts';
import { openPostgres } from '../shared/kernel/postgres.ts';
import { runService } from '../shared/kernel/service.ts';
import { applyInterest } from './apply.ts';
import { interestMetrics } from './metrics.ts';
import { ProductConfigs } from './product-configs.ts';
import { REJECTIONS } from './rejections.ts';
import { InterestStore } from './store.ts';

/** Throughput counts, not latency: large transactions, and fetches that wait for them to fill. */
const BATCHING = { maxRecords: 5_000, minBytes: 1024 * 1024, maxWaitMs: 500 };

const env = { ...kafkaEnv, ...databaseEnv, ...consumerEnv('INTEREST', BATCHING) };

await runService('interest', env, async (service) => {
  const { config, metrics } = service;
  const settings = consumerSettings('INTEREST', config);
  const database = openPostgres(service, config, 'interest');
  const store = new InterestStore(database, settings.group, settings.topic);
  const own = interestMetrics(metrics);
  startConsumer(service, {
    name: 'interest',
    connection: config,
    clientId: config.POD_NAME,
    settings,
    database,
    positions: new Positions(database, settings.group, settings.topic),
    decode: jsonDecoder(interestTransaction, ({ accountId }) => accountId),
    apply: applyInterest(store, new ProductConfigs(database), own),
    rejections: REJECTIONS,
    onRejected: () => own.calculations.inc({ status: 'failure' }),
  });
});
