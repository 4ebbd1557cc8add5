/**
 * A job that deletes the records of one partition of the topic before an offset, for a projection that cannot continue because an entry is missing.
 * The records are lost to every consumer of the topic. docs/read-model.md shows when and how to run it.
 */
import { z } from 'zod';
import { kafkaEnv } from '../shared/kernel/config.ts';
import { KafkaAdmin } from '../shared/kernel/kafka/admin.ts';
import { runJob } from '../shared/kernel/service.ts';
import { projectionEnv } from './settings.ts';

const wholeNumber = z.string({ error: 'write a whole number' }).regex(/^\d{1,18}$/, 'write a whole number');

const env = {
  ...kafkaEnv,
  READ_MODEL_TOPIC: projectionEnv.READ_MODEL_TOPIC,
  DELETE_PARTITION: wholeNumber.transform(Number),
  /** The first offset that is kept. */
  DELETE_BEFORE_OFFSET: wholeNumber.transform(BigInt),
};

await runJob('read-model-delete-records', env, async ({ config, log, onStop }) => {
  const { READ_MODEL_TOPIC: topic, DELETE_PARTITION: partition, DELETE_BEFORE_OFFSET: before } = config;
  const admin = new KafkaAdmin(config, config.POD_NAME, log);
  onStop('admin', () => admin.close());
  const extent = (await admin.extents(topic)).find((each) => each.partition === partition);
  if (!extent) throw new Error(`topic ${topic} has no partition ${partition}`);
  const { low, high } = extent;
  if (before > high) throw new Error(`offset ${before} is beyond the end of partition ${partition} of ${topic}, which is ${high}`);
  if (before > low) await admin.deleteRecords(topic, partition, before);
  const place = { topic, partition, offset: before.toString() };
  log.info({ ...place, records: (before > low ? before - low : 0n).toString() }, 'records before the offset are deleted');
});
