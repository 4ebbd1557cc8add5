import type { z } from 'zod';
import { count, topicName } from '../config.ts';

/** Largest fetch in bytes: about two slices of 5,000 small events with their headers, which are done with before a rebalance times out. */
export const MAX_FETCH_BYTES = 4 * 1024 * 1024;

/** What a consumer reads, as whom, and how it batches. */
export interface ConsumerSettings {
  topic: string;
  group: string;
  /** Undefined: rejected records are skipped. For a consumer that reads again what another one has rejected. */
  deadLetterTopic: string | undefined;
  /** Most records of one transaction. */
  maxRecords: number;
  /** A fetch returns once it has so many bytes, or after `maxWaitMs`. */
  minBytes: number;
  maxWaitMs: number;
}

interface Batching {
  maxRecords: number;
  minBytes: number;
  maxWaitMs: number;
}

/** For consumers where latency counts: a fetch returns as soon as there is a record. */
export const LOW_LATENCY: Batching = { maxRecords: 1_000, minBytes: 1, maxWaitMs: 100 };

const variables = ({ maxRecords, minBytes, maxWaitMs }: Batching) => ({
  TOPIC: topicName,
  GROUP: topicName,
  DLQ_TOPIC: topicName,
  BATCH_MAX_RECORDS: count(1, 5_000, maxRecords),
  FETCH_MIN_BYTES: count(1, MAX_FETCH_BYTES, minBytes),
  FETCH_MAX_WAIT_MS: count(1, 5_000, maxWaitMs),
});
type Variables = ReturnType<typeof variables>;
type ConsumerEnv<P extends string> = { [N in keyof Variables as `${P}_${N}`]: Variables[N] };

/** zod fields of a consumer's variables: `consumerEnv('INTEREST')` reads INTEREST_TOPIC, INTEREST_GROUP, INTEREST_DLQ_TOPIC, ... */
export function consumerEnv<P extends string>(prefix: P, batching: Batching = LOW_LATENCY): ConsumerEnv<P> {
  const entries = Object.entries(variables(batching)).map(([name, field]) => [`${prefix}_${name}`, field]);
  return Object.fromEntries(entries) as ConsumerEnv<P>;
}

/** The settings in a configuration that was read by {@link consumerEnv}. */
export function consumerSettings<P extends string>(
  prefix: P,
  config: { [N in keyof Variables as `${P}_${N}`]: z.output<Variables[N]> },
): ConsumerSettings {
  const values = config as Record<string, unknown>;
  const read = <N extends keyof Variables>(name: N) => values[`${prefix}_${name}`] as z.output<Variables[N]>;
  return {
    topic: read('TOPIC'),
    group: read('GROUP'),
    deadLetterTopic: read('DLQ_TOPIC'),
    maxRecords: read('BATCH_MAX_RECORDS'),
    minBytes: read('FETCH_MIN_BYTES'),
    maxWaitMs: read('FETCH_MAX_WAIT_MS'),
  };
}
