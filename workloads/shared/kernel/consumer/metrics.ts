import { WORK_BUCKETS } from '../metrics.ts';
import type { Metrics } from '../metrics.ts';
import { REJECTIONS } from './rejections.ts';

/**
 * The metrics of a consumer. Units are in the names.
 * @param prefix of every name, such as "interest"
 * @param rejections codes of the consumer's own
 */
export function consumerMetrics(metrics: Metrics, prefix: string, rejections: readonly string[]) {
  const codes = [...Object.keys(REJECTIONS), ...rejections];
  return {
    batchSize: metrics.histogram(`${prefix}_batch_size`, 'Records per database transaction', [1, 10, 50, 100, 250, 500, 1000, 2500, 5000]),
    batchSeconds: metrics.histogram(`${prefix}_batch_duration_seconds`, 'Time to apply one batch', WORK_BUCKETS),
    dbCalls: metrics.histogram(`${prefix}_batch_db_calls`, 'Database statements per batch', [2, 3, 4, 8, 16, 32, 64]),
    fallbacks: metrics.counter(`${prefix}_batch_fallback_total`, 'Batches halved because the database rejected them', [], [{}]),
    duplicates: metrics.counter(`${prefix}_duplicates_total`, 'Events skipped because they were applied before', [], [{}]),
    blocked: metrics.counter(`${prefix}_partitions_blocked_total`, 'Times that a partition could not continue', [], [{}]),
    lost: metrics.counter(`${prefix}_records_lost_total`, 'Records that retention deleted before they were applied', [], [{}]),
    recreated: metrics.counter(
      `${prefix}_partitions_recreated_total`,
      'Partitions that started over because their topic was recreated',
      [],
      [{}],
    ),
    deadLetters: metrics.counter(
      `${prefix}_dead_letters_total`,
      'Records sent to the dead-letter topic',
      ['reason'],
      codes.map((reason) => ({ reason })),
    ),
  };
}

export type ConsumerMetrics = ReturnType<typeof consumerMetrics>;
