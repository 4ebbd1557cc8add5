/** The event path: transfers, the outbox of the ledger and its relay, and the read model. */
import { PLATFORM, series } from '../promql.ts';
import { recent } from './kafka.ts';
import type { Alert, Group, RuleOptions } from './types.ts';

/** Failures that are not the client's: `error_type` of a rejection names a rule of the ledger. */
export const SERVER_FAILURES = 'ledger_unavailable|database_unavailable|deadline_exceeded|internal';
/** Share of the transfers of a platform that failed for a reason other than the client's. */
export const TRANSFER_FAILURES = 'platform:transfers_failed:ratio';

const ENTRY_TOPIC = 'ledger.entry.v1';
const AGE = `max by (${PLATFORM}) (${series('outbox_oldest_unsent_age_seconds')})`;

function outbox({ timing }: RuleOptions): Alert[] {
  const published = `sum by (${PLATFORM}) (rate(${series('outbox_events_published_total')}[${timing.half('rate')}]))`;
  const age = (severity: 'warning' | 'critical', limit: number, text: string): Alert => ({
    alert: severity === 'critical' ? 'OutboxAgeCritical' : 'OutboxAgeWarning',
    expr: `${AGE} > ${limit}`,
    for: timing.for('down'),
    severity,
    team: 'streaming',
    labels: { family: 'OutboxAge' },
    summary: 'Entries of platform {{ $labels.platform }} wait in the outbox',
    description: `The oldest row of the outbox is {{ $value | humanizeDuration }} old, above ${text}: read models are that far behind.`,
  });
  return [
    age('warning', 60, '1 minute'),
    age('critical', 300, '5 minutes'),
    {
      alert: 'OutboxRelayStalled',
      expr: `min by (${PLATFORM}) (min_over_time(${series('outbox_pending')}[${timing.half('rate')}])) > 0 unless on (${PLATFORM}) ${published} > 0`,
      for: timing.for('critical'),
      severity: 'critical',
      team: 'streaming',
      summary: 'The outbox relay of platform {{ $labels.platform }} publishes nothing',
      description: '{{ $value }} rows or more wait in the outbox, and Kafka has acknowledged none of their entries.',
    },
  ];
}

/** The gateway has the series of the read model where the platform has one. */
function fallback({ timing }: RuleOptions): Alert {
  const reads = (labels?: string): string =>
    `sum by (${PLATFORM}) (rate(${series('gateway_account_reads_total', labels)}[${timing.range('rate')}]))`;
  return {
    alert: 'AccountReadsFromLedger',
    expr: `${reads('source="ledger"')} / (${reads()} > 0) > 0.5 and on (${PLATFORM}) ${series('gateway_account_reads_total', 'source="read-model"')}`,
    for: timing.for('warning'),
    severity: 'warning',
    team: 'streaming',
    summary: 'The ledger of platform {{ $labels.platform }} answers for the read model',
    description: '{{ $value | humanizePercentage }} of the balances and statements come from the ledger, above 50 %.',
  };
}

function readModel(options: RuleOptions): Alert[] {
  const { timing } = options;
  const range = timing.range('event');
  return [
    fallback(options),
    {
      alert: 'ReadModelBehind',
      expr: `max by (${PLATFORM}, topic) (${series('consumer_lag_seconds', `topic="${ENTRY_TOPIC}"`)}) > 60`,
      for: timing.for('down'),
      severity: 'warning',
      team: 'streaming',
      summary: 'Balances of platform {{ $labels.platform }} are out of date',
      description: 'The oldest entry of {{ $labels.topic }} that is not projected is {{ $value | humanizeDuration }} old, above 1 minute.',
    },
    {
      alert: 'ReadModelBlocked',
      expr: recent('read_model_partitions_blocked_total', range),
      severity: 'critical',
      team: 'streaming',
      summary: 'The read model of platform {{ $labels.platform }} cannot continue with a partition',
      description: '{{ $value | printf "%.0f" }} times a partition could not continue: an entry of an account is missing before it.',
    },
    {
      alert: 'EntryDeadLetters',
      expr: recent('read_model_dead_letters_total', range, 'reason'),
      severity: 'critical',
      team: 'streaming',
      summary: 'The read model of platform {{ $labels.platform }} gives up on entries of the ledger',
      description:
        '{{ $value | printf "%.0f" }} entries went to the dead-letter topic: {{ $labels.reason }}. Their balances are wrong until they are replayed.',
    },
  ];
}

function transfers({ timing }: RuleOptions): Alert[] {
  return [
    {
      alert: 'TransfersFailing',
      expr: `${TRANSFER_FAILURES} > 0.01`,
      for: timing.for('critical'),
      severity: 'critical',
      team: 'business',
      summary: 'Transfers of platform {{ $labels.platform }} fail',
      description: '{{ $value | humanizePercentage }} of the transfers failed for a reason other than a rejection, above 1 %.',
    },
  ];
}

export function eventPathGroups(options: RuleOptions): Group[] {
  const rate = options.timing.range('rate');
  const failed = series('transfers_failed_total', `error_type=~"${SERVER_FAILURES}"`);
  return [
    {
      name: 'bss-event-path-records',
      rules: [
        {
          record: TRANSFER_FAILURES,
          expr: `sum by (${PLATFORM}) (rate(${failed}[${rate}])) / (sum by (${PLATFORM}) (rate(${series('transfers_initiated_total')}[${rate}])) > 0)`,
        },
      ],
    },
    { name: 'bss-event-path-alerts', rules: [...transfers(options), ...outbox(options), ...readModel(options)] },
  ];
}
