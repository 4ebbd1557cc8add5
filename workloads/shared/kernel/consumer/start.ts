import { KafkaAdmin } from '../kafka/admin.ts';
import { BatchConsumer } from '../kafka/batch-consumer.ts';
import type { KafkaConnection } from '../kafka/client.ts';
import { isFatal } from '../kafka/failures.ts';
import { KafkaProducer } from '../kafka/producer.ts';
import { isDataError } from '../postgres.ts';
import type { Postgres } from '../postgres.ts';
import { retryPolicy } from '../retry.ts';
import type { ServiceParts } from '../service.ts';
import { resumeFrom } from './assignment.ts';
import { DeadLetters } from './dead-letters.ts';
import type { Decode } from './decode.ts';
import type { Apply } from './effects.ts';
import { consumerMetrics } from './metrics.ts';
import type { Positions } from './positions.ts';
import { Processor } from './processor.ts';
import type { Rejection } from './rejections.ts';
import { MAX_FETCH_BYTES } from './settings.ts';
import type { ConsumerSettings } from './settings.ts';

/** What makes one consumer different from another. */
export interface ConsumerDefinition<E> {
  /** Prefix of its metrics. */
  name: string;
  connection: KafkaConnection;
  /** Name of this member for Kafka, such as the pod's name. */
  clientId: string;
  settings: ConsumerSettings;
  database: Postgres;
  positions: Positions;
  decode: Decode<E>;
  apply: Apply<E>;
  /** Codes of its own, beyond those of every consumer, with their meaning. */
  rejections?: Record<string, string>;
  /** Called for each record that was sent to the dead-letter topic. */
  onRejected?: (rejection: Rejection) => void;
}

/**
 * Starts a consumer whose effects are in Postgres: batches across partitions, exactly-once effects, halving, dead letters, takeover and drain.
 * It starts consuming at once, and stops with the service.
 */
export function startConsumer<E>(service: ServiceParts, definition: ConsumerDefinition<E>): void {
  const { log, metrics, health, onStop, fail } = service;
  const { connection, clientId, settings, database, positions } = definition;
  const producer = new KafkaProducer(connection, clientId, log, metrics);
  onStop('producer', () => producer.close());
  const admin = new KafkaAdmin(connection, clientId, log);
  onStop('admin', () => admin.close());

  const own = consumerMetrics(metrics, definition.name, Object.keys(definition.rejections ?? {}));
  const lost = (records: number): void => own.lost.inc(records);
  const resume = (partitions: number[]) => resumeFrom(partitions, { positions, admin, log, lost });
  const processor = new Processor<E>({
    ...definition,
    resumeFrom: resume,
    deadLetters: new DeadLetters(producer, settings.deadLetterTopic, settings.group),
    metrics: own,
    log,
    group: settings.group,
    maxRecords: settings.maxRecords,
    statements: () => database.calls,
  });
  const assignment = retryPolicy({ log, what: 'read the positions', retryable: (error) => !isDataError(error) && !isFatal(error) });
  const consumer = new BatchConsumer(
    {
      connection,
      clientId,
      group: settings.group,
      topic: settings.topic,
      minBytes: settings.minBytes,
      maxWaitMs: settings.maxWaitMs,
      maxBytes: MAX_FETCH_BYTES,
      onAssigned: (partitions, signal) => assignment.execute(() => resume(partitions), signal),
      onBatches: (batches, lease) => processor.onBatches(batches, lease),
      onFatal: (error) => fail('the consumer cannot continue', error),
    },
    log,
    metrics,
  );
  health.addReadiness('consumer', () => consumer.notReady());
  health.addLiveness('consumer', () => consumer.notLive());
  onStop('consumer', () => consumer.stop());
  consumer.start();
}
