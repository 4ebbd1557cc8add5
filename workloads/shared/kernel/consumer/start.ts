import { KafkaAdmin } from '../kafka/admin.ts';
import { BatchConsumer } from '../kafka/batch-consumer.ts';
import type { KafkaConnection } from '../kafka/client.ts';
import { isFatal } from '../kafka/failures.ts';
import { KafkaProducer } from '../kafka/producer.ts';
import { isDataError } from '../postgres.ts';
import type { Postgres } from '../postgres.ts';
import { retryPolicy } from '../retry.ts';
import type { ServiceParts } from '../service.ts';
import { Assignment } from './assignment.ts';
import { DeadLetters } from './dead-letters.ts';
import type { Decode } from './decode.ts';
import type { Apply } from './effects.ts';
import { consumerMetrics } from './metrics.ts';
import type { Positions } from './positions.ts';
import { Processor } from './processor.ts';
import { watchTopic } from './topic-watch.ts';
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
  /** Ids of an event for log records, such as `account_id`. */
  idsOf?: (event: E) => Record<string, string>;
  /**
   * For consumers where latency counts: each sampled message gets a span that continues its trace, and a log record in it, both with the ids of
   * its event. By default there is a span for each producer's span of a batch.
   */
  followMessages?: boolean;
  /** Largest fetch in bytes, default {@link MAX_FETCH_BYTES}. */
  maxFetchBytes?: number;
  /** Most database transactions at a time, each with partitions of its own; default 1. */
  lanes?: number;
  /** Called for each record that was sent to the dead-letter topic. */
  onRejected?: (rejection: Rejection) => void;
}

/**
 * Starts a consumer whose effects are in Postgres: batches across partitions, exactly-once effects, halving, dead letters, takeover and drain.
 * It starts consuming at once, and stops with the service.
 */
export function startConsumer<E>(service: ServiceParts, definition: ConsumerDefinition<E>): void {
  const { log, metrics, health, onStop, fail } = service;
  const { connection, clientId, settings, positions } = definition;
  const producer = new KafkaProducer(connection, clientId, log, metrics);
  onStop('producer', () => producer.close());
  const admin = new KafkaAdmin(connection, clientId, log);
  onStop('admin', () => admin.close());

  const own = consumerMetrics(metrics, definition.name, Object.keys(definition.rejections ?? {}));
  const assignment = new Assignment({ positions, admin, metrics: own, log });
  const processor = new Processor<E>({
    ...definition,
    resumeFrom: (partitions) => assignment.resumeFrom(partitions),
    topicIdOf: (partition) => assignment.topicIdOf(partition),
    deadLetters: settings.deadLetterTopic === undefined ? undefined : new DeadLetters(producer, settings.deadLetterTopic, settings.group),
    metrics: own,
    log,
    group: settings.group,
    maxRecords: settings.maxRecords,
  });
  const retried = retryPolicy({ log, what: 'read the positions', retryable: (error) => !isDataError(error) && !isFatal(error) });
  const consumer = new BatchConsumer(
    {
      connection,
      clientId,
      group: settings.group,
      topic: settings.topic,
      minBytes: settings.minBytes,
      maxWaitMs: settings.maxWaitMs,
      maxBytes: definition.maxFetchBytes ?? MAX_FETCH_BYTES,
      onAssigned: (partitions, signal) => retried.execute(() => assignment.assign(partitions), signal),
      onBatches: (batches, lease) => processor.onBatches(batches, lease),
      onFatal: (error) => fail('the consumer cannot continue', error),
    },
    log,
    metrics,
  );
  health.addReadiness('consumer', () => consumer.notReady());
  health.addLiveness('consumer', () => consumer.notLive());
  onStop('consumer', () => consumer.stop());
  onStop('topic watch', watchTopic({ log, isOutdated: () => assignment.isOutdated(), onOutdated: () => consumer.reassign() }));
  consumer.start();
}
