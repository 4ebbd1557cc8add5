/** Kafka, its consumer groups and their dead letters. */
import { PLATFORM, series } from '../promql.ts';
import type { Alert, Group, RuleOptions } from './types.ts';

const BY_GROUP = `${PLATFORM}, consumergroup`;
const BY_TOPIC = `${BY_GROUP}, topic`;

/** Records that a group has yet to consume from a topic. */
export const GROUP_LAG = 'group:kafka_consumergroup_lag:sum';
/** Records a second that a group commits. */
export const GROUP_RATE = 'group:kafka_consumergroup_commits:rate';
/** Records a second that producers append to a topic. */
export const TOPIC_RATE = 'topic:kafka_topic_appends:rate';

function recordings({ timing }: RuleOptions): Group {
  const rate = timing.range('rate');
  return {
    name: 'bss-kafka-records',
    rules: [
      { record: GROUP_LAG, expr: `sum by (${BY_TOPIC}) (${series('kafka_consumergroup_lag')})` },
      { record: GROUP_RATE, expr: `sum by (${BY_TOPIC}) (rate(${series('kafka_consumergroup_current_offset')}[${rate}]))` },
      { record: TOPIC_RATE, expr: `sum by (${PLATFORM}, topic) (rate(${series('kafka_topic_partition_current_offset')}[${rate}]))` },
    ],
  };
}

/**
 * How often an event happened within a range, by service. A process may count its first event before its first scrape, where `increase` sees none:
 * all that a new series has counted is recent.
 */
export function recent(metric: string, range: string, ...by: string[]): string {
  const counted = series(metric);
  return `sum by (${[PLATFORM, 'service', ...by].join(', ')}) ((${counted} unless ${counted} offset ${range}) or increase(${counted}[${range}])) > 0`;
}

/** Records that were not applied. */
function records({ timing }: RuleOptions): Alert[] {
  const range = timing.range('event');
  return [
    {
      alert: 'DeadLetters',
      expr: recent('interest_dead_letters_total', range, 'reason'),
      severity: 'warning',
      team: 'streaming',
      summary: '{{ $labels.service }} of platform {{ $labels.platform }} gives up on records',
      description: '{{ $value | printf "%.0f" }} records went to the dead-letter topic: {{ $labels.reason }}.',
    },
    {
      alert: 'RecordsLost',
      expr: recent('interest_records_lost_total', range),
      severity: 'critical',
      team: 'streaming',
      summary: 'Kafka deleted records before {{ $labels.service }} of platform {{ $labels.platform }} applied them',
      description: '{{ $value | printf "%.0f" }} records were deleted by the retention of their topic and are not in the ledger.',
    },
    {
      alert: 'TopicRecreated',
      expr: recent('interest_partitions_recreated_total', range),
      severity: 'warning',
      team: 'streaming',
      summary: 'A topic that {{ $labels.service }} of platform {{ $labels.platform }} reads was deleted and created again',
      description: '{{ $value | printf "%.0f" }} partitions are read from their first record on.',
    },
  ];
}

function groups({ timing }: RuleOptions): Alert[] {
  return [
    {
      alert: 'KafkaConsumerLag',
      expr: `${GROUP_LAG} > 1000`,
      for: timing.for('lag'),
      severity: 'warning',
      team: 'streaming',
      summary: '{{ $labels.consumergroup }} lags behind on {{ $labels.topic }}',
      description: '{{ $value }} records wait, above 1000.',
    },
    {
      alert: 'KafkaConsumerStalled',
      // `unless` also covers a group that has never committed, for which there is no rate.
      expr: `${GROUP_LAG} > 0 unless on (${BY_TOPIC}) ${GROUP_RATE} > 0`,
      for: timing.for('critical'),
      severity: 'critical',
      team: 'streaming',
      summary: '{{ $labels.consumergroup }} stands still on {{ $labels.topic }}',
      description: '{{ $value }} records wait and the group commits nothing.',
    },
    {
      alert: 'KafkaConsumerGroupEmpty',
      expr: `${series('kafka_consumergroup_members')} == 0 and on (${BY_GROUP}) sum by (${BY_GROUP}) (${GROUP_LAG}) > 0`,
      for: timing.for('down'),
      severity: 'critical',
      team: 'streaming',
      summary: '{{ $labels.consumergroup }} has no members',
      description: 'Records wait for the group, and no consumer has joined it.',
    },
  ];
}

export function kafkaGroups(options: RuleOptions): Group[] {
  const { timing } = options;
  return [
    recordings(options),
    {
      name: 'kafka-alerts',
      rules: [
        {
          alert: 'KafkaDown',
          expr: `time() - ${series('kafka_exporter_last_reading_timestamp_seconds')} > ${timing.seconds('stale')}`,
          for: timing.for('down'),
          severity: 'critical',
          team: 'streaming',
          summary: 'Kafka of platform {{ $labels.platform }} does not answer',
          description: 'The exporter last read offsets and groups {{ $value | humanizeDuration }} ago.',
        },
        ...groups(options),
        ...records(options),
      ],
    },
  ];
}
