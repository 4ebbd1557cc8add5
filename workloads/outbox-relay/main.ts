import { LEDGER_ENTRY_TYPE } from '../shared/contracts/ledger-entry.ts';
import { databaseEnv, kafkaEnv, topicName } from '../shared/kernel/config.ts';
import { isFatal } from '../shared/kernel/kafka/failures.ts';
import { KafkaProducer } from '../shared/kernel/kafka/producer.ts';
import { PollLoop } from '../shared/kernel/poll-loop.ts';
import { openPostgres } from '../shared/kernel/postgres.ts';
import { runService } from '../shared/kernel/service.ts';
import { BacklogWatch } from './backlog.ts';
import { relayMetrics } from './metrics.ts';
import { Publisher } from './publisher.ts';
import { Relay } from './relay.ts';

const env = { ...kafkaEnv, ...databaseEnv, LEDGER_ENTRY_TOPIC: topicName.default(LEDGER_ENTRY_TYPE) };

await runService('outbox-relay', env, (service) => {
  const { config, log, metrics, health, onStop, fail } = service;
  const database = openPostgres(service, config, 'outbox-relay');
  const backlog = new BacklogWatch(database, log);
  // A failed send ends the pass: the next one reads the outbox again.
  const producer = new KafkaProducer(config, config.POD_NAME, log, metrics, { attempts: 0 });
  onStop('producer', () => producer.close());
  const relay = new Relay({
    database,
    publisher: new Publisher(producer, config.LEDGER_ENTRY_TOPIC),
    metrics: relayMetrics(metrics, () => backlog.backlog()),
    log,
    source: `/bss/${config.PLATFORM}/ledger`,
  });
  const loop = new PollLoop({
    log,
    what: 'publish the outbox',
    minDelayMs: 10,
    maxDelayMs: 100,
    maxRetryDelayMs: 1_000,
    retryable: (error) => !isFatal(error),
    onFatal: (error) => fail('the relay cannot publish', error),
    pass: (signal) => relay.pass(signal),
  });
  health.addReadiness('relay', () => loop.notReady());
  health.addLiveness('relay', () => loop.notLive());
  onStop('backlog', () => backlog.stop());
  onStop('relay', () => loop.stop());
  backlog.start();
  loop.start();
  return Promise.resolve();
});
