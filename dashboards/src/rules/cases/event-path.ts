import { counter, DEMO, demo, gauge, type AlertCase, type RecordCase } from './case.ts';

const RELAY = 'service="outbox-relay",pod="demo-outbox-relay-1"';
const READ_MODEL = 'service="read-model",pod="demo-read-model-1"';
const GATEWAY = 'service="gateway",pod="demo-gateway-1"';
const ORCHESTRATOR = 'service="orchestrator",pod="demo-orchestrator-1"';
const IN_READ_MODEL = { ...DEMO, service: 'read-model' };

const age = (value: number) => ({ [demo('outbox_oldest_unsent_age_seconds', RELAY)]: gauge([5, 0], [30, value], [60, 0]) });
const failures = (type: string, rate: number) => ({
  [demo('transfers_failed_total', `${ORCHESTRATOR},error_type="${type}"`)]: counter([30, rate], [60, 0]),
});

const reads = (platform: string, source: string, ...rates: Parameters<typeof counter>) => ({
  [`gateway_account_reads_total{namespace="bss",platform="${platform}",${GATEWAY},source="${source}"}`]: counter(...rates),
});

export const alerts: AlertCase[] = [
  {
    alert: 'TransfersFailing',
    series: {
      [demo('transfers_initiated_total', ORCHESTRATOR)]: counter([60, 10]),
      ...failures('ledger_unavailable', 0.5),
      // Rejections are the client's.
      ...failures('insufficient_funds', 5),
    },
    fires: 2.25,
    resolved: 36,
    labels: DEMO,
    description: '5% of the transfers failed for a reason other than a rejection, above 1 %.',
  },
  {
    alert: 'OutboxAgeWarning',
    series: age(90),
    fires: 6,
    resolved: 30,
    labels: { ...DEMO, family: 'OutboxAge' },
    description: 'The oldest row of the outbox is 1m 30s old, above 1 minute: read models are that far behind.',
  },
  {
    alert: 'OutboxAgeCritical',
    series: age(600),
    fires: 6,
    resolved: 30,
    labels: { ...DEMO, family: 'OutboxAge' },
    description: 'The oldest row of the outbox is 10m 0s old, above 5 minutes: read models are that far behind.',
  },
  {
    alert: 'OutboxRelayStalled',
    series: {
      [demo('outbox_pending', RELAY)]: gauge([5, 0], [30, 7], [60, 0]),
      [demo('outbox_events_published_total', RELAY)]: counter([5, 20], [30, 0], [60, 20]),
    },
    fires: 9.25,
    resolved: 31,
    labels: DEMO,
    description: '7 rows or more wait in the outbox, and Kafka has acknowledged none of their entries.',
  },
  {
    alert: 'AccountReadsFromLedger',
    series: {
      ...reads('demo', 'ledger', [10, 0], [40, 8], [70, 0]),
      ...reads('demo', 'read-model', [10, 10], [40, 2], [70, 10]),
      // A platform without a read model.
      ...reads('plain', 'ledger', [70, 10]),
    },
    fires: 18.25,
    resolved: 43,
    labels: DEMO,
    description: '80% of the balances and statements come from the ledger, above 50 %.',
  },
  {
    alert: 'ReadModelBehind',
    series: {
      [demo('consumer_lag_seconds', `${READ_MODEL},topic="ledger.entry.v1",partition="3"`)]: gauge([5, 0.2], [30, 90], [60, 0.2]),
      [demo('consumer_lag_seconds', `${READ_MODEL},topic="ledger.entry.v1",partition="4"`)]: gauge([60, 0.2]),
    },
    fires: 6,
    resolved: 30,
    labels: { ...DEMO, topic: 'ledger.entry.v1' },
    description: 'The oldest entry of ledger.entry.v1 that is not projected is 1m 30s old, above 1 minute.',
  },
  {
    alert: 'ReadModelBlocked',
    series: { [demo('read_model_partitions_blocked_total', READ_MODEL)]: gauge([20, 0], [60, 2]) },
    fires: 20,
    resolved: 31,
    labels: IN_READ_MODEL,
    description: '2 times a partition could not continue: an entry of an account is missing before it.',
  },
  {
    alert: 'EntryDeadLetters',
    series: { [demo('read_model_dead_letters_total', `${READ_MODEL},reason="not_json"`)]: gauge([20, 0], [60, 3]) },
    fires: 20,
    resolved: 31,
    labels: { ...IN_READ_MODEL, reason: 'not_json' },
    description: '3 entries went to the dead-letter topic: not_json. Their balances are wrong until they are replayed.',
  },
];

export const records: RecordCase[] = [
  {
    record: 'platform:transfers_failed:ratio',
    series: {
      [demo('transfers_initiated_total', ORCHESTRATOR)]: counter([60, 10]),
      ...failures('internal', 0.2),
      ...failures('deadline_exceeded', 0.3),
      ...failures('account_not_found', 4),
    },
    at: 20,
    values: { '{namespace="bss", platform="demo"}': 0.05 },
  },
];
