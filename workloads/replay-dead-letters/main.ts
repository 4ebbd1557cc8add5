/**
 * A job that republishes dead letters to the topic that they came from, once their cause is removed. It selects by reason, event id and time,
 * stops at a limit, and leaves the dead-letter topic as it is. Consumers recognize events that they have applied by id, so that a second run
 * does no harm. docs/events.md shows how to run it.
 */
import { z } from 'zod';
import { count, flag, kafkaEnv, topicName } from '../shared/kernel/config.ts';
import { KafkaProducer } from '../shared/kernel/kafka/producer.ts';
import { runJob } from '../shared/kernel/service.ts';
import { replay } from './replay.ts';

const list = z
  .string()
  .regex(/^[^\s,]+(,[^\s,]+)*$/, 'write a comma list without spaces')
  .transform((text) => text.split(','))
  .optional();
const time = z.iso
  .datetime({ error: 'write a UTC time such as 2026-01-31T12:00:00Z' })
  .transform((text) => Date.parse(text))
  .optional();

const env = {
  ...kafkaEnv,
  REPLAY_DLQ_TOPIC: topicName,
  REPLAY_TOPIC: topicName,
  REPLAY_REASONS: list,
  REPLAY_EVENT_IDS: list,
  REPLAY_FROM: time,
  REPLAY_TO: time,
  REPLAY_MAX_RECORDS: count(1, 1_000_000, 10_000),
  REPLAY_DRY_RUN: flag,
};

await runJob('replay-dead-letters', env, async ({ config, log, metrics, onStop }) => {
  const producer = new KafkaProducer(config, config.POD_NAME, log, metrics);
  onStop('producer', () => producer.close());
  const result = await replay(
    { connection: config, clientId: 'replay-dead-letters', topic: config.REPLAY_DLQ_TOPIC, log, metrics },
    {
      topic: config.REPLAY_TOPIC,
      reasons: config.REPLAY_REASONS,
      eventIds: config.REPLAY_EVENT_IDS,
      from: config.REPLAY_FROM,
      to: config.REPLAY_TO,
    },
    config.REPLAY_MAX_RECORDS,
    async (records) => {
      if (!config.REPLAY_DRY_RUN) await producer.send(config.REPLAY_TOPIC, () => records);
    },
  );
  const message = config.REPLAY_DRY_RUN ? 'dry run: these dead letters would be replayed' : 'dead letters replayed';
  log.info({ ...result, dlq_topic: config.REPLAY_DLQ_TOPIC, topic: config.REPLAY_TOPIC }, message);
});
