/** Which alerts mute which: while a cause fires, what follows from it notifies nobody. In the form of Alertmanager's `inhibit_rules`. */

export interface Inhibition {
  readonly source_matchers: readonly string[];
  readonly target_matchers: readonly string[];
  /** Labels that must have the same value on both. */
  readonly equal: readonly string[];
}

const ON_PLATFORM = ['namespace', 'platform'];

/** A cause with what it makes fire besides. Each name is that of an alert; a test checks it. */
export const CONSEQUENCES: Readonly<Record<string, readonly string[]>> = {
  KafkaDown: [
    'AutoscalerBlind',
    'ConsumerDelayHigh',
    'KafkaConsumerGroupEmpty',
    'KafkaConsumerLag',
    'KafkaConsumerStalled',
    'OutboxAgeCritical',
    'OutboxAgeWarning',
    'OutboxRelayStalled',
    'ReadModelBehind',
    'ThroughputLow',
  ],
  PostgresDown: [
    'CacheDistrusted',
    'DbConnectionsCritical',
    'DbConnectionsWarning',
    'DbPoolExhausted',
    'DbSlowQueries',
    'KafkaConsumerStalled',
    'ReadModelBehind',
    'ThroughputLow',
    'TransfersFailing',
  ],
  OutboxRelayStalled: ['OutboxAgeCritical', 'OutboxAgeWarning'],
  KafkaConsumerGroupEmpty: ['ConsumerDelayHigh', 'KafkaConsumerLag', 'KafkaConsumerStalled', 'ThroughputLow'],
  KafkaConsumerStalled: ['ConsumerDelayHigh', 'KafkaConsumerLag', 'ThroughputLow'],
  DiskSpaceCritical: ['CapacityForecast', 'LokiRequestErrors', 'PrometheusNotIngesting', 'TempoRequestErrors'],
  DiskSpaceLow: ['CapacityForecast'],
  CollectorExportFailing: ['CollectorQueueFull', 'CollectorRefusesData', 'JaegerNotIngesting', 'SpansDropped'],
  CollectorQueueFull: ['CollectorRefusesData', 'SpansDropped'],
  CollectorRefusesData: ['SpansDropped'],
};

export const INHIBITIONS: readonly Inhibition[] = [
  {
    // Both lack a family where neither has one: that must not count as equal.
    source_matchers: ['severity="critical"', 'family=~".+"'],
    target_matchers: ['severity="warning"', 'family=~".+"'],
    equal: [...ON_PLATFORM, 'family', 'service', 'api', 'pod', 'database', 'user', 'device'],
  },
  {
    source_matchers: ['alertname="ServiceDown"', 'service=~".+"'],
    target_matchers: ['alertname!="ServiceDown"', 'service=~".+"'],
    equal: [...ON_PLATFORM, 'service'],
  },
  {
    // The workloads have nowhere to send their spans to.
    source_matchers: ['alertname=~"ServiceDown|TargetMissing"', 'job="collector"'],
    target_matchers: ['alertname="SpansDropped"'],
    equal: [],
  },
  ...Object.entries(CONSEQUENCES).map(([cause, consequences]) => ({
    source_matchers: [`alertname="${cause}"`],
    target_matchers: [`alertname=~"${consequences.join('|')}"`],
    equal: ON_PLATFORM,
  })),
];
