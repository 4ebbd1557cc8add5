/**
 * Faults of a platform and the alerts that they lead to, in rounds. The faults of a round break parts that do not depend on each other, so they are
 * caused at the same time. The operator is paused during a round; each fault repairs what it broke.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { kafkaAt } from '../../../local/src/demo/kafka.ts';
import { MINUTE, NAMESPACE, OPERATOR_NAMESPACE, PLATFORM } from '../environment.ts';
import { GROUP, TOPIC } from '../events.ts';
import type { Bench } from './bench.ts';
import type { Companion, Labels } from './notifications.ts';
import { SmallDisk } from './small-disk.ts';

export interface Fault {
  readonly name: string;
  /** Alerts that must be notified, and resolved after the repair. */
  readonly alerts: readonly Labels[];
  /** Alerts that may be notified besides. What the inhibition rules mute is not repeated here. */
  readonly companions?: readonly Companion[];
  /** A component without which the fault cannot be seen: the fault is left out on a platform that has not got it. */
  readonly needs?: string;
  /** Brings about what the fault needs, before any fault of the round is caused. */
  readonly prepare?: (bench: Bench) => Promise<void>;
  readonly cause: (bench: Bench) => Promise<void>;
  /** Also works where `cause` failed halfway. */
  readonly repair: (bench: Bench) => Promise<void>;
  /** Takes away what `prepare` brought about, after the round. */
  readonly finish?: (bench: Bench) => Promise<void>;
}

export interface Round {
  readonly name: string;
  readonly faults: readonly Fault[];
  /** False where the operator cannot report alerts in status. */
  readonly inStatus: boolean;
}

/** The operator of a paused platform still reports what is missing. */
const NOT_READY: Companion = { alert: { alertname: 'PlatformNotReady' }, reason: 'a part of the platform is gone' };

const burns = (budget: 'Error' | 'Latency'): Companion[] =>
  ['Fast', 'Slow'].map((speed) => ({
    alert: { alertname: `Sla${budget}BudgetBurn${speed}` },
    reason: 'the same requests count against the objective; its windows look back up to 3 days',
    lasting: true,
  }));

/** They outlast what caused them. */
export const BUDGET_BURNS: readonly Companion[] = [...burns('Error'), ...burns('Latency')];

const levels = (family: string, reason: string, further: Labels = {}): Companion[] =>
  ['Warning', 'Critical'].map((level) => ({ alert: { alertname: family + level, ...further }, reason }));

const latencies = (reason: string): Companion[] => [...levels('BssLatencyP95', reason), ...levels('BssLatencyP99', reason)];

/** A pod that ends is a target until it is gone, and does not answer. Only divided durations are as short as that. */
const ending = (service: string): Companion => ({
  alert: { alertname: 'ServiceDown', service },
  reason: 'its pod ends',
  dividedOnly: true,
});

/** Entries wait in the outbox, and balances are old. */
const ENTRIES_WAIT: readonly Companion[] = ['OutboxAgeWarning', 'OutboxAgeCritical', 'OutboxRelayStalled', 'ReadModelBehind'].map(
  (alertname) => ({
    alert: { alertname },
    reason: 'entries of the ledger wait meanwhile',
  }),
);

const TRANSFERS_FAIL: Companion = { alert: { alertname: 'TransfersFailing' }, reason: 'transfers need the ledger' };

/**
 * Alerts on the speed of processes and on the processors of the node. With divided durations a few slow seconds are enough for them, and a machine
 * that other tests keep busy has such seconds. With the real durations they count.
 */
export const BUSY_MACHINE: readonly Companion[] = [
  ...latencies('requests are slow while the machine is busy'),
  ...['EventLoopBlocked', 'CpuHigh', 'CpuWarning', 'CpuCritical', 'ConsumerDelayHigh', 'ThroughputLow'].map((alertname) => ({
    alert: { alertname },
    reason: 'the machine is busy',
  })),
  ...burns('Latency'),
].map((companion) => ({ ...companion, dividedOnly: true }));

/** A component without pods. */
function stopped(object: string): Pick<Fault, 'cause' | 'repair'> {
  return {
    cause: (bench) => bench.scale(object, 0),
    repair: (bench) => bench.scale(object, 1),
  };
}

async function produce(bench: Bench, value: string): Promise<void> {
  const producer = kafkaAt(await bench.env.target.forward(NAMESPACE, `${PLATFORM}-kafka`, 9092)).producer();
  await producer.connect();
  try {
    await producer.send({ topic: TOPIC, messages: [{ key: 'poison', value }] });
  } finally {
    await producer.disconnect();
  }
}

const POISON: Fault = {
  name: 'a poison record',
  alerts: [{ alertname: 'DeadLetters', reason: 'not_json' }],
  companions: [{ alert: { alertname: 'InterestFailures' }, reason: 'a record that is given up is a failed calculation' }],
  cause: (bench) => produce(bench, 'not JSON'),
  // The window of the alert ends it.
  repair: () => Promise.resolve(),
};

const BATCH = 'INTEREST_BATCH_MAX_RECORDS';
/** Records that wait at least, and those that are added at once; the limit of the alert is 1000. */
const LAG = { least: 4000, step: 4000 };

/** A consumer that applies one record at a time: it works and commits, and cannot keep up. */
function starvedConsumer(): Fault {
  let batch = '';
  let feeding: { stop: () => Promise<void> } | undefined;
  return {
    name: 'a consumer that lags behind',
    alerts: [{ alertname: 'KafkaConsumerLag', consumergroup: GROUP }],
    companions: [
      ending('interest'),
      { alert: { alertname: 'ConsumerDelayHigh' }, reason: 'the same records, by their age' },
      { alert: { alertname: 'ThroughputLow' }, reason: 'more records arrive than are applied' },
      { alert: { alertname: 'KafkaConsumerLag', consumergroup: 'read-model' }, reason: 'the entries of the records come all at once' },
    ],
    prepare: async (bench) => {
      batch = await bench.variableOf('interest', BATCH);
      await bench.setVariable('interest', BATCH, '1');
    },
    cause: (bench) => {
      feeding = keepLag(bench);
      return Promise.resolve();
    },
    repair: async (bench) => {
      await feeding?.stop();
      if (batch !== '') await bench.setVariable('interest', BATCH, batch);
    },
  };
}

/** Adds records whenever fewer than `LAG.least` wait. */
function keepLag(bench: Bench): { stop: () => Promise<void> } {
  let isStopped = false;
  const run = async (): Promise<void> => {
    while (!isStopped) {
      const [lag] = await bench.query(`sum(kafka_consumergroup_lag{consumergroup="${GROUP}"})`).catch(() => []);
      if ((lag?.value ?? 0) < LAG.least) await bench.env.gateway.seed(LAG.step).catch(() => undefined);
      // The exporter reads the offsets every few seconds.
      await pause(5000);
    }
  };
  const done = run();
  return {
    stop: () => {
      isStopped = true;
      return done;
    },
  };
}

/** 60 of the 64 MiB that the small profile gives Redis. */
const FILLED = 60;
const FILL = `for i = 1, ${FILLED} do redis.call('SET', 'fault:' .. i, string.rep('x', 1048576)) end`;
const EMPTY = `for i = 1, ${FILLED} do redis.call('DEL', 'fault:' .. i) end`;

const CACHE_FULL: Fault = {
  name: 'a cache that is nearly full',
  alerts: [{ alertname: 'CacheMemoryUsage' }],
  cause: async (bench) => void (await bench.redis('EVAL', FILL, '0')),
  repair: async (bench) => void (await bench.redis('EVAL', EMPTY, '0')),
};

const DISK_FULL: Fault = {
  name: 'a disk fills',
  needs: 'node-exporter',
  alerts: [{ alertname: 'DiskSpaceLow' }],
  companions: [
    { alert: { alertname: 'CapacityForecast' }, reason: 'the same disk, by its course' },
    // The disk is mounted into a new pod.
    ending('node-exporter'),
  ],
  prepare: ({ env }) => new SmallDisk(env).create(),
  cause: ({ env }) => new SmallDisk(env).fill(),
  repair: ({ env }) => new SmallDisk(env).empty(),
  finish: ({ env }) => new SmallDisk(env).remove(),
};

const OPERATOR_DOWN: Fault = {
  name: 'the operator is down',
  alerts: [{ alertname: 'TargetMissing', job: 'bss-operator' }],
  companions: [ending('bss-operator')],
  cause: (bench) => bench.scale('deployment/bss-operator', 0, OPERATOR_NAMESPACE),
  repair: (bench) => bench.scale('deployment/bss-operator', 1, OPERATOR_NAMESPACE),
};

const TARGETS_MISSING: Fault = {
  name: 'the exporters of Postgres and Redis are gone',
  alerts: [
    { alertname: 'TargetMissing', job: 'postgres-exporter' },
    { alertname: 'TargetMissing', job: 'redis-exporter' },
  ],
  companions: [NOT_READY, ending('postgres-exporter'), ending('redis-exporter')],
  ...stopped(`deployment/${PLATFORM}-exporters`),
};

const NO_CONSUMER: Fault = {
  name: 'no consumer is left',
  alerts: [{ alertname: 'KafkaConsumerGroupEmpty' }, { alertname: 'TargetMissing', job: 'interest' }],
  companions: [NOT_READY, ending('interest')],
  cause: async (bench) => {
    await bench.scale(`deployment/${PLATFORM}-interest`, 0);
    await bench.untilGone('interest');
    await bench.env.gateway.seed(500);
  },
  repair: (bench) => bench.scale(`deployment/${PLATFORM}-interest`, 1),
};

/** More sessions than the pool and its reserve have connections (20 and 5). */
const LEAKED = 34;

/** Clients keep their transactions open, as code does that never gives its connections back. The consumer's role: the ledger goes on. */
const POOL_EXHAUSTED: Fault = {
  name: 'a connection pool is used up',
  alerts: [{ alertname: 'DbPoolExhausted' }],
  companions: levels('DbConnections', 'the busy connections of the same pool'),
  // No session waits as long as PgBouncer lets it (query_wait_timeout).
  cause: async (bench) =>
    bench.startSessions('leak', LEAKED, String.raw`BEGIN; SELECT 1 \watch interval=2 count=3`, await bench.loginOf('interest')),
  repair: (bench) => bench.endSessions('leak'),
};

/** A lock that is taken again and again: reads wait for it, shorter than the gateway waits for the ledger (2 s). */
const LATENCY: Fault = {
  name: 'requests are slow',
  alerts: [{ alertname: 'BssLatencyP95Critical', service: 'ledger' }],
  companions: [
    ...latencies('the same requests, at another service or by another quantile'),
    ...levels('BssErrorRate', 'requests that wait longer than the gateway does').map((one) => ({ ...one, dividedOnly: true })),
    { alert: { alertname: 'DbSlowQueries' }, reason: 'the requests wait in the database' },
    {
      alert: { alertname: 'ServiceDown', service: 'postgres-exporter' },
      reason: 'it reads the size of the locked table, and on a slow machine two scrapes in a row are too late',
      dividedOnly: true,
    },
    ...burns('Latency'),
    TRANSFERS_FAIL,
    ...ENTRIES_WAIT,
  ],
  cause: (bench) => bench.startSessions('lock', 1, 'BEGIN; LOCK TABLE account IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(1.5); COMMIT;'),
  repair: (bench) => bench.endSessions('lock'),
};

const REDIS_DOWN: Fault = {
  name: 'Redis is down',
  alerts: [{ alertname: 'RedisDown' }],
  companions: [NOT_READY],
  ...stopped(`deployment/${PLATFORM}-redis`),
};

const KAFKA_DOWN: Fault = {
  name: 'Kafka is down',
  alerts: [{ alertname: 'KafkaDown' }],
  companions: [NOT_READY, ...ENTRIES_WAIT],
  ...stopped(`statefulset/${PLATFORM}-kafka`),
};

const ERROR_RATE: Fault = {
  name: 'requests fail',
  alerts: [{ alertname: 'BssErrorRateCritical', service: 'ledger' }],
  companions: [
    ...levels('BssErrorRate', 'the gateway answers 503 where the ledger fails', { service: 'gateway' }),
    ...levels('BssErrorRate', 'the same requests', { service: 'ledger' }),
    ...levels('BssErrorRate', 'the orchestrator answers 503 where the ledger fails', { service: 'orchestrator' }),
    ...burns('Error'),
    TRANSFERS_FAIL,
  ],
  cause: async ({ env }) => void (await env.platform.sql('REVOKE SELECT ON account FROM ledger')),
  repair: async ({ env }) => void (await env.platform.sql('GRANT SELECT ON account TO ledger')),
};

const SLOW_QUERIES: Fault = {
  name: 'queries are slow',
  alerts: [{ alertname: 'DbSlowQueries' }],
  // 12 of the 20 connections of the pool: requests still get one.
  cause: async (bench) => bench.startSessions('slow', 12, 'SELECT pg_sleep(3);', await bench.loginOf('ledger')),
  repair: (bench) => bench.endSessions('slow'),
};

const POSTGRES_DOWN: Fault = {
  name: 'Postgres is down',
  alerts: [{ alertname: 'PostgresDown' }],
  companions: [
    NOT_READY,
    ...levels('BssErrorRate', 'requests need the ledger, and the ledger needs its database'),
    ...latencies('requests wait for the database until their deadline'),
    ...burns('Error'),
    ...burns('Latency'),
    TRANSFERS_FAIL,
    ...ENTRIES_WAIT,
  ],
  ...stopped(`statefulset/${PLATFORM}-postgres`),
};

/** New objects on each call: some faults keep what they have to restore. */
export function rounds(): Round[] {
  return [
    { name: 'control', inStatus: false, faults: [POISON, starvedConsumer(), CACHE_FULL, DISK_FULL, OPERATOR_DOWN] },
    { name: 'connections', inStatus: true, faults: [NO_CONSUMER, POOL_EXHAUSTED, LATENCY, REDIS_DOWN] },
    { name: 'queries', inStatus: true, faults: [KAFKA_DOWN, ERROR_RATE, SLOW_QUERIES, TARGETS_MISSING] },
    { name: 'postgres', inStatus: true, faults: [POSTGRES_DOWN] },
  ];
}

/** Longest wait for a notification: the longest duration of a condition with its window is 20 minutes. */
export function limitMs({ divisor }: Pick<Bench, 'divisor'>): number {
  return 2 * MINUTE + (20 * MINUTE) / divisor;
}
