import { count, databaseEnv, kafkaEnv, topicName } from '../shared/kernel/config.ts';
import { KafkaAdmin } from '../shared/kernel/kafka/admin.ts';
import { BatchConsumer } from '../shared/kernel/kafka/consumer.ts';
import { isFatal } from '../shared/kernel/kafka/failures.ts';
import { KafkaProducer } from '../shared/kernel/kafka/producer.ts';
import { isDataError, Postgres, retrying } from '../shared/kernel/postgres.ts';
import { runService } from '../shared/kernel/service.ts';
import { resumeFrom } from './assignment.ts';
import { DeadLetters } from './dead-letter.ts';
import { interestMetrics } from './metrics.ts';
import { InterestProcessor } from './processor.ts';
import { ProductConfigs } from './product-configs.ts';
import { InterestStore } from './store.ts';

/** About four slices of 5,000 events: enough to fill transactions, little enough to be done with before a rebalance times out. */
const MAX_FETCH_BYTES = 4 * 1024 * 1024;
const ASSIGNMENT_ATTEMPTS = 30;

const env = {
  ...kafkaEnv,
  ...databaseEnv,
  INTEREST_TOPIC: topicName,
  INTEREST_GROUP: topicName,
  INTEREST_DLQ_TOPIC: topicName,
  INTEREST_BATCH_MAX_RECORDS: count(1, 5000, 5000),
  INTEREST_FETCH_MIN_BYTES: count(1, MAX_FETCH_BYTES, 1024 * 1024),
  INTEREST_FETCH_MAX_WAIT_MS: count(1, 5000, 500),
};

await runService('interest', env, async ({ config, log, metrics, health, onStop, fail }) => {
  const { INTEREST_TOPIC: topic, INTEREST_GROUP: group } = config;
  const database = new Postgres(
    { url: config.DATABASE_URL, password: config.PGPASSWORD, max: config.DB_POOL_MAX, applicationName: 'interest' },
    log,
    metrics,
  );
  onStop('database', () => database.close());
  const producer = new KafkaProducer(config, config.POD_NAME, log, metrics);
  onStop('producer', () => producer.close());
  const admin = new KafkaAdmin(config, config.POD_NAME, log);
  onStop('admin', () => admin.close());

  const store = new InterestStore(database, group, topic);
  const processor = new InterestProcessor({
    database,
    store,
    configs: new ProductConfigs(database),
    deadLetters: new DeadLetters(producer, config.INTEREST_DLQ_TOPIC, group),
    metrics: interestMetrics(metrics),
    log,
    group,
    maxRecords: config.INTEREST_BATCH_MAX_RECORDS,
  });
  const assignmentRetry = retrying(log, ASSIGNMENT_ATTEMPTS, (error) => !isDataError(error) && !isFatal(error));
  const consumer = new BatchConsumer(
    {
      connection: config,
      clientId: config.POD_NAME,
      group,
      topic,
      minBytes: config.INTEREST_FETCH_MIN_BYTES,
      maxWaitMs: config.INTEREST_FETCH_MAX_WAIT_MS,
      maxBytes: MAX_FETCH_BYTES,
      onAssigned: (partitions) => assignmentRetry.execute(() => resumeFrom(partitions, topic, { store, admin, log })),
      onBatches: (batches, lease) => processor.onBatches(batches, lease),
      onFatal: (error) => fail('the consumer cannot go on', error),
    },
    log,
    metrics,
  );
  health.addReadiness('consumer', () => consumer.notReady());
  health.addLiveness('consumer', () => consumer.notLive());
  onStop('consumer', () => consumer.stop());
  consumer.start();
});
