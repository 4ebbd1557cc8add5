import { CALCULATION_RATE } from '../business.ts';
import { GROUP_LAG, GROUP_RATE, TOPIC_RATE } from '../kafka.ts';
import { POOL_RATIO, QUERY_SECONDS } from '../postgresql.ts';
import { CACHE_MEMORY_RATIO } from '../redis.ts';
import { counter, DEMO, demo, gauge, type AlertCase, type RecordCase } from './case.ts';

const INTEREST = 'service="interest",pod="demo-interest-1"';
const EXPORTER = 'pod="demo-exporters-1"';
const IN_EXPORTER = { ...DEMO, pod: 'demo-exporters-1' };
const IN_POOLER = { ...DEMO, pod: 'demo-pgbouncer-1' };
const POOL = 'pod="demo-pgbouncer-1",database="ledger",user="interest"';
const IN_POOL = { ...IN_POOLER, database: 'ledger', user: 'interest' };

/** A pool of 20 with `busy` connections in use for 25 minutes. */
function pool(busy: number): Record<string, string> {
  return {
    [demo('pgbouncer_pools_server_active_connections', POOL)]: gauge([5, 2], [30, busy], [60, 2]),
    [demo('pgbouncer_databases_pool_size', 'pod="demo-pgbouncer-1",name="ledger",database="ledger"')]: gauge([60, 20]),
  };
}

/** 10 queries a second that take `seconds` each for half an hour. */
function queries(seconds: number): Record<string, string> {
  const labels = 'pod="demo-pgbouncer-1",database="ledger"';
  return {
    [demo('pgbouncer_stats_queries_duration_seconds_total', labels)]: counter([30, 10 * seconds], [60, 0.1]),
    [demo('pgbouncer_stats_queries_pooled_total', labels)]: counter([60, 10]),
  };
}

const database: AlertCase[] = [
  {
    alert: 'PostgresDown',
    series: { [demo('pg_up', EXPORTER)]: gauge([5, 1], [30, 0], [60, 1]) },
    fires: 6,
    resolved: 30,
    labels: IN_EXPORTER,
    description: 'The exporter cannot log in to Postgres: the server is down, unreachable or refuses the password.',
  },
  {
    alert: 'PgbouncerDown',
    series: { [demo('pgbouncer_up', 'pod="demo-pgbouncer-1"')]: gauge([5, 1], [30, 0], [60, 1]) },
    fires: 6,
    resolved: 30,
    labels: IN_POOLER,
    description: 'The exporter in demo-pgbouncer-1 cannot reach the console of PgBouncer.',
  },
  {
    alert: 'DbConnectionsWarning',
    series: pool(16),
    fires: 10,
    resolved: 30,
    labels: { ...IN_POOL, family: 'DbConnections' },
    description: '80% of the server connections in demo-pgbouncer-1 are busy, above 75 %.',
  },
  {
    alert: 'DbConnectionsCritical',
    series: pool(19),
    fires: 7,
    resolved: 30,
    labels: { ...IN_POOL, family: 'DbConnections' },
    description: '95% of the server connections in demo-pgbouncer-1 are busy, above 90 %.',
  },
  {
    alert: 'DbPoolExhausted',
    series: { [demo('pgbouncer_pools_client_waiting_connections', POOL)]: gauge([5, 0], [30, 3], [60, 0]) },
    fires: 6,
    resolved: 30,
    labels: IN_POOL,
    description: '3 clients wait in demo-pgbouncer-1: every server connection of the pool is busy.',
  },
  {
    alert: 'PgbouncerClientsNearLimit',
    series: {
      [demo('pgbouncer_used_clients', 'pod="demo-pgbouncer-1"')]: gauge([5, 10], [30, 90], [60, 10]),
      [demo('pgbouncer_config_max_client_connections', 'pod="demo-pgbouncer-1"')]: gauge([60, 100]),
    },
    fires: 10,
    resolved: 30,
    labels: IN_POOLER,
    description: '90% of max_client_conn is in use, above 80 %.',
  },
  {
    alert: 'DbSlowQueries',
    series: queries(0.75),
    fires: 5.25,
    resolved: 36,
    labels: { ...DEMO, database: 'ledger' },
    description: 'A query takes 750ms on average, above 500 ms.',
  },
  {
    alert: 'DbLongTransaction',
    series: { [demo('pg_stat_activity_max_tx_duration', `${EXPORTER},datname="ledger",state="active"`)]: gauge([5, 0], [30, 90], [60, 0]) },
    fires: 10,
    resolved: 30,
    labels: { ...DEMO, datname: 'ledger', state: 'active' },
    description: 'The oldest transaction (active) is 1m 30s old, above 1 minute: it holds locks and keeps vacuum from its work.',
  },
  {
    alert: 'DbDeadlocks',
    series: { [demo('pg_stat_database_deadlocks', `${EXPORTER},datname="ledger"`)]: gauge([20, 0], [60, 2]) },
    fires: 20,
    resolved: 31,
    labels: { ...DEMO, datname: 'ledger' },
    description: 'Postgres ended 2 transactions to resolve deadlocks.',
  },
];

const cache: AlertCase[] = [
  {
    alert: 'RedisDown',
    series: { [demo('redis_up', EXPORTER)]: gauge([5, 1], [30, 0], [60, 1]) },
    fires: 6,
    resolved: 30,
    labels: IN_EXPORTER,
    description: 'The exporter cannot log in to Redis: the server is down, unreachable or refuses the password.',
  },
  {
    alert: 'CacheMemoryUsage',
    series: {
      [demo('redis_memory_used_bytes', EXPORTER)]: gauge([5, 10], [30, 90], [60, 10]),
      [demo('redis_memory_max_bytes', EXPORTER)]: gauge([60, 100]),
    },
    fires: 15,
    resolved: 30,
    labels: IN_EXPORTER,
    description: '90% of maxmemory is in use, above 80 %. At 100 % Redis evicts keys or refuses writes.',
  },
  {
    alert: 'CacheRejectsConnections',
    series: { [demo('redis_rejected_connections_total', EXPORTER)]: gauge([20, 0], [60, 4]) },
    fires: 20,
    resolved: 31,
    labels: IN_EXPORTER,
    description: '4 connections were refused: maxclients is reached.',
  },
  {
    alert: 'CacheDistrusted',
    series: {
      [demo('cache_trusted', 'service="crm",pod="demo-crm-1",cache="customers"')]: gauge([5, 1], [30, 0], [60, 1]),
      [demo('cache_trusted', 'service="crm",pod="demo-crm-2",cache="customers"')]: gauge([60, 1]),
    },
    fires: 10,
    resolved: 30,
    labels: { ...DEMO, service: 'crm', pod: 'demo-crm-1' },
    description: 'The cache in demo-crm-1 cannot read the notifications of changes: every read goes to the database.',
  },
];

const GROUP = 'consumergroup="interest-batch"';
const TOPIC = `${GROUP},topic="interest.transaction.v1"`;
const IN_TOPIC = { ...DEMO, consumergroup: 'interest-batch', topic: 'interest.transaction.v1' };

/** A group that has a lag of 1200 over two partitions for 25 minutes. */
const lag = {
  [demo('kafka_consumergroup_lag', `${TOPIC},partition="0"`)]: gauge([5, 0], [30, 500], [60, 0]),
  [demo('kafka_consumergroup_lag', `${TOPIC},partition="1"`)]: gauge([5, 0], [30, 700], [60, 0]),
};

const kafka: AlertCase[] = [
  {
    alert: 'KafkaDown',
    series: {
      // Samples at 0, 15, ... s: the last reading is that of the fifth minute, until the exporter reads again.
      [demo('kafka_exporter_last_reading_timestamp_seconds', 'pod="demo-kafka-exporter-1"')]: [
        ...Array.from({ length: 21 }, (_, index) => index * 15),
        ...Array.from({ length: 99 }, () => 300),
        ...Array.from({ length: 120 }, (_, index) => 1800 + index * 15),
      ].join(' '),
    },
    fires: 6.75,
    resolved: 30,
    labels: { ...DEMO, pod: 'demo-kafka-exporter-1' },
    description: 'The exporter last read offsets and groups 1m 45s ago.',
  },
  {
    alert: 'KafkaConsumerLag',
    series: lag,
    fires: 10,
    resolved: 30,
    labels: IN_TOPIC,
    description: '1200 records wait, above 1000.',
  },
  {
    alert: 'KafkaConsumerStalled',
    series: { ...lag, [demo('kafka_consumergroup_current_offset', `${TOPIC},partition="0"`)]: counter([5, 10], [30, 0], [60, 10]) },
    // The last commit leaves the window of the rate at 9 min 45 s.
    fires: 11.75,
    resolved: 30.5,
    labels: IN_TOPIC,
    description: '1200 records wait and the group commits nothing.',
  },
  {
    alert: 'KafkaConsumerGroupEmpty',
    series: { ...lag, [demo('kafka_consumergroup_members', GROUP)]: gauge([8, 1], [20, 0], [60, 1]) },
    fires: 9,
    resolved: 20,
    labels: { ...DEMO, consumergroup: 'interest-batch' },
    description: 'Records wait for the group, and no consumer has joined it.',
  },
  {
    alert: 'DeadLetters',
    series: {
      [demo('interest_dead_letters_total', 'service="interest",pod="demo-interest-1",reason="not_json"')]: gauge([20, 0], [60, 3]),
    },
    fires: 20,
    resolved: 31,
    labels: { ...DEMO, service: 'interest', reason: 'not_json' },
    description: '3 records went to the dead-letter topic: not_json.',
  },
  {
    // The consumer found the gap when it started, before its first scrape.
    alert: 'RecordsLost',
    series: { [demo('interest_records_lost_total', INTEREST)]: `_x80 ${gauge([30, 500])}` },
    fires: 20,
    resolved: 30,
    labels: { ...DEMO, service: 'interest' },
    description: '500 records were deleted by the retention of their topic and are not in the ledger.',
  },
  {
    alert: 'TopicRecreated',
    series: { [demo('interest_partitions_recreated_total', INTEREST)]: gauge([20, 0], [60, 12]) },
    fires: 20,
    resolved: 31,
    labels: { ...DEMO, service: 'interest' },
    description: '12 partitions are read from their first record on.',
  },
];

/** 10 calculations a second, a tenth of which fail for half an hour. */
const calculations = {
  [demo('interest_calculation_total', 'pod="demo-interest-1",status="success"')]: counter([30, 9], [60, 10]),
  [demo('interest_calculation_total', 'pod="demo-interest-1",status="failure"')]: counter([30, 1], [60, 0]),
};

/** A group that consumes half of what arrives for half an hour, with a backlog. */
const slow = {
  [demo('kafka_topic_partition_current_offset', 'topic="interest.transaction.v1",partition="0"')]: counter([60, 100]),
  [demo('kafka_consumergroup_current_offset', `${TOPIC},partition="0"`)]: counter([30, 50], [60, 100]),
  [demo('kafka_consumergroup_lag', `${TOPIC},partition="0"`)]: gauge([30, 5000], [60, 0]),
};

const business: AlertCase[] = [
  {
    alert: 'InterestFailures',
    series: calculations,
    fires: 5.25,
    resolved: 36,
    labels: DEMO,
    description: '10% of the calculations failed, above 1 %.',
  },
  {
    alert: 'PaymentTransfersOverdue',
    series: {
      [demo('payment_transfers_pending', 'job="crm",service="crm",pod="demo-crm-1",state="overdue"')]: gauge([10, 0], [30, 2], [60, 0]),
      [demo('payment_transfers_pending', 'job="crm",service="crm",pod="demo-crm-1",state="in_progress"')]: gauge([60, 5]),
    },
    fires: 12,
    resolved: 30,
    labels: DEMO,
    description: 'The outcome of 2 payments or refunds has been unknown for more than an hour. They are resumed time and again.',
  },
  {
    alert: 'ThroughputLow',
    series: slow,
    fires: 5.25,
    resolved: 30,
    labels: IN_TOPIC,
    description: 'It consumes 50% of the records that arrive on interest.transaction.v1, below 80 %, and the backlog grows.',
  },
];

export const alerts: AlertCase[] = [...database, ...cache, ...kafka, ...business];

const topic = '{namespace="bss",platform="demo",consumergroup="interest-batch",topic="interest.transaction.v1"}';

export const records: RecordCase[] = [
  {
    record: POOL_RATIO,
    series: pool(16),
    at: 10,
    values: { '{namespace="bss",platform="demo",pod="demo-pgbouncer-1",database="ledger",user="interest"}': 0.8 },
  },
  { record: QUERY_SECONDS, series: queries(0.75), at: 10, values: { '{namespace="bss",platform="demo",database="ledger"}': 0.75 } },
  {
    record: CACHE_MEMORY_RATIO,
    series: { [demo('redis_memory_used_bytes')]: gauge([60, 25]), [demo('redis_memory_max_bytes')]: gauge([60, 100]) },
    at: 1,
    values: { '{namespace="bss",platform="demo"}': 0.25 },
  },
  {
    // A server without a limit has no share.
    record: CACHE_MEMORY_RATIO,
    series: { [demo('redis_memory_used_bytes')]: gauge([60, 25]), [demo('redis_memory_max_bytes')]: gauge([60, 0]) },
    at: 1,
    values: {},
  },
  { record: GROUP_LAG, series: lag, at: 10, values: { [topic]: 1200 } },
  { record: GROUP_RATE, series: slow, at: 10, values: { [topic]: 50 } },
  { record: TOPIC_RATE, series: slow, at: 10, values: { '{namespace="bss",platform="demo",topic="interest.transaction.v1"}': 100 } },
  {
    record: CALCULATION_RATE,
    series: calculations,
    at: 10,
    values: { '{namespace="bss",platform="demo",status="success"}': 9, '{namespace="bss",platform="demo",status="failure"}': 1 },
  },
  {
    record: 'interest_calculation_executed_total',
    series: calculations,
    at: 10,
    values: { '{namespace="bss",platform="demo",pod="demo-interest-1"}': 6000 },
  },
];
