import { interestTransaction, readInterestTransaction } from '../shared/contracts/interest-transaction.ts';
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

/**
 * Transactions at a time. The events of an account are in one partition, and two partitions below sixteen never share a contra account: two lanes
 * do not wait for each other.
 */
const LANES = 2;

/** About 20,000 events with their headers: two transactions of each lane, before both wait for the slower one. */
const MAX_FETCH_BYTES = 8 * 1024 * 1024;

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
    decode: jsonDecoder(interestTransaction, ({ accountId }) => accountId, readInterestTransaction),
    maxFetchBytes: MAX_FETCH_BYTES,
    lanes: Math.min(LANES, config.DB_POOL_MAX),
    apply: applyInterest(store, new ProductConfigs(database), own),
    rejections: REJECTIONS,
    idsOf: ({ id, accountId }) => ({ transaction_id: id, account_id: accountId }),
    onRejected: () => own.calculations.inc({ status: 'failure' }),
  });
});
