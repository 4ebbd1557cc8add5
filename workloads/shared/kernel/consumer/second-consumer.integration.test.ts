/** What a consumer costs beyond the kernel: a projection that counts events by currency, against a real Kafka and Postgres. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { Client } from 'pg';
import { startServices } from '../../../../local/src/services/index.ts';
import { cloudEventHeaders, interestTransaction, type InterestTransaction } from '../../contracts/interest-transaction.ts';
import { readTopic } from '../../testing/read-topic.ts';
import { consumed } from '../../testing/record.ts';
import { createTopics } from '../../testing/topics.ts';
import { waitFor } from '../../testing/wait.ts';
import { Health } from '../health.ts';
import { KafkaAdmin } from '../kafka/admin.ts';
import { KafkaProducer, type OutgoingRecord } from '../kafka/producer.ts';
import { createLogger } from '../log.ts';
import { Metrics } from '../metrics.ts';
import { openPostgres, type Postgres } from '../postgres.ts';
import type { ServiceParts } from '../service.ts';
import { jsonDecoder } from './decode.ts';
import { exactlyOnce } from './effects.ts';
import { Positions } from './positions.ts';
import type { Slice } from './slice.ts';
import { startConsumer } from './start.ts';

// -- the consumer -----------------------------------------------------------------------------------------------------------------------
function startTally(service: ServiceParts, connection: { KAFKA_BROKERS: string[]; KAFKA_SSL: boolean }, database: Postgres): void {
  const positions = new Positions(database, settings.group, settings.topic);
  startConsumer(service, {
    name: 'tally',
    connection,
    clientId: 'tally',
    settings,
    database,
    positions,
    decode: jsonDecoder(interestTransaction, ({ accountId }) => accountId),
    apply: exactlyOnce(database, positions, count, ({ id }) => id),
    rejections: { unknown_currency: 'The tally counts euros and dollars alone' },
  });
}

const count: Parameters<typeof exactlyOnce<InterestTransaction>>[2] = async (tx, entries) => {
  for (const entry of entries)
    if (entry.event.currency === 'XXX') entry.rejection = { code: 'unknown_currency', detail: entry.event.currency };
  await tx.query(
    'count events',
    `INSERT INTO tally AS t (currency, events) SELECT c, count(*) FROM unnest($1::text[]) AS e (c) GROUP BY c
     ON CONFLICT (currency) DO UPDATE SET events = t.events + excluded.events`,
    [entries.map(({ event }) => event.currency)],
  );
};
// -----------------------------------------------------------------------------------------------------------------------------------------

const LIMIT = { timeout: 120_000 };
const suffix = randomUUID().slice(0, 8);
const settings = {
  topic: `events-${suffix}`,
  group: `tally-${suffix}`,
  deadLetterTopic: `events-${suffix}.dlq`,
  maxRecords: 100,
  minBytes: 1,
  maxWaitMs: 50,
};
const log = createLogger({ service: 'test', platform: 'test', namespace: 'test', pod: 'test' }, process.env['TEST_LOG_LEVEL'] ?? 'silent');
const services = await startServices({ kafka: true, postgres: true, pgbouncer: true });
const connection = { KAFKA_BROKERS: services.kafka.brokers, KAFKA_SSL: false };
const admin = new KafkaAdmin(connection, 'test', log);
const producer = new KafkaProducer(connection, 'test', log, new Metrics({}));
const databaseName = `tally_${suffix}`;
const client = new Client({ connectionString: services.postgres.url(databaseName) });

interface Process {
  service: ServiceParts;
  database: Postgres;
  metrics: Metrics;
  stop(): Promise<void>;
}

/** One process without a consumer: its parts stop in reverse order, as in the drain. */
function openProcess(): Process {
  const steps: (() => Promise<unknown>)[] = [];
  const metrics = new Metrics({});
  const service: ServiceParts = {
    log,
    metrics,
    health: new Health(),
    onStop: (_name, step) => steps.unshift(step),
    fail: (message, error) => assert.fail(`${message}: ${String(error)}`),
  };
  const config = { DATABASE_URL: services.pgbouncer.url(databaseName), PGPASSWORD: services.pgbouncer.password, DB_POOL_MAX: 2 };
  return {
    service,
    database: openPostgres(service, config, 'tally'),
    metrics,
    stop: async () => {
      for (const step of steps) await step();
    },
  };
}

function startProcess(): Process {
  const started = openProcess();
  startTally(started.service, connection, started.database);
  return started;
}

function recordOf(currency: string): OutgoingRecord {
  const body = { id: randomUUID(), accountId: `a-${Math.floor(Math.random() * 50)}`, currency, days: 1, valueDate: '2026-01-31' };
  return { key: body.accountId, value: JSON.stringify(body), headers: cloudEventHeaders(body, '/test', new Date().toISOString()) };
}

const events = (number: number, currency: string): OutgoingRecord[] => Array.from({ length: number }, () => recordOf(currency));

async function tally(): Promise<Record<string, number>> {
  const { rows } = await client.query<{ currency: string; events: number }>('SELECT currency, events::int FROM tally');
  return Object.fromEntries(rows.map((row) => [row.currency, row.events]));
}

async function drained(): Promise<void> {
  await waitFor('the positions to reach the end of the topic', async () => {
    const { rows } = await client.query<{ partition: number; next: string }>(
      'SELECT partition, next_offset::text AS next FROM consumer_offset',
    );
    const positions = new Map(rows.map(({ partition, next }) => [partition, BigInt(next)]));
    return (await admin.extents(settings.topic)).every(({ partition, high }) => positions.get(partition) === high);
  });
}

before(async () => {
  const server = new Client({ connectionString: services.postgres.url() });
  await server.connect();
  await server.query(`CREATE DATABASE ${databaseName}`);
  await server.end();
  await client.connect();
  await client.query(await readFile(new URL('tables.sql', import.meta.url), 'utf8'));
  await client.query('CREATE TABLE tally (currency text PRIMARY KEY, events bigint NOT NULL)');
  await createTopics(services.kafka.brokers, [
    { topic: settings.topic, partitions: 4 },
    { topic: settings.deadLetterTopic, partitions: 1 },
  ]);
}, LIMIT);
after(async () => {
  await Promise.allSettled([client.end(), admin.close(), producer.close()]);
  await services.stop();
}, LIMIT);

test('counts each event once across a restart and a second delivery, and dead-letters what it rejects', LIMIT, async () => {
  const first = startProcess();
  const sent = events(300, 'EUR');
  await producer.send(settings.topic, () => [
    ...sent,
    ...events(200, 'USD'),
    recordOf('XXX'),
    { key: 'k', value: 'no event', headers: {} },
  ]);
  await drained();
  await first.stop();
  assert.deepEqual(await tally(), { EUR: 300, USD: 200 });

  const second = startProcess();
  await producer.send(settings.topic, () => [...sent.slice(0, 50), ...events(10, 'EUR')]);
  await drained();
  await second.stop();
  assert.deepEqual(await tally(), { EUR: 310, USD: 200 });
  assert.match((await second.metrics.expose()).body, /tally_duplicates_total 50/);

  const letters = await readTopic(services.kafka.brokers, settings.deadLetterTopic);
  assert.deepEqual(new Set(letters.map(({ headers }) => headers['dlq_reason'])), new Set(['not_json', 'unknown_currency']));
  assert.equal(letters.length, 2);
});

/** Events of partition 0 from an offset on, one for each currency. */
function sliceOf(start: bigint, ...currencies: string[]): Slice<InterestTransaction> {
  const entries = currencies.map((currency, index) => {
    const offset = start + BigInt(index);
    const event = { id: randomUUID(), accountId: 'a', currency, days: 1, valueDate: '2026-01-31' };
    return { record: consumed({ offset }), event };
  });
  return [{ topic: settings.topic, partition: 0, start, next: start + BigInt(entries.length), entries }];
}

const WAITING = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;

test('effects whose events have no id: applied once and with their position, or not at all', LIMIT, async () => {
  const own = openProcess();
  const { database } = own;
  const group = `${settings.group}-direct`;
  const positions = new Positions(database, group, settings.topic);
  await positions.place([{ partition: 0, from: undefined, to: { next: 0n, topicId: undefined }, lost: 0n, reason: 'new' }]);
  const apply = exactlyOnce(database, positions, count);
  const slice = sliceOf(0n, 'CHF', 'CHF');
  assert.deepEqual(await apply(slice), { kind: 'applied', events: 2, duplicates: 0 });
  assert.deepEqual(await apply(slice), {
    kind: 'moved',
    positions: [{ topic: settings.topic, partition: 0, next: 2n, otherTopic: false }],
  });

  const later = sliceOf(2n, 'CHF');
  const contested = exactlyOnce<InterestTransaction>(database, positions, async (tx, entries) => {
    await waitFor('the other owner to wait for the position', async () => (await client.query(WAITING)).rowCount === 1, 30_000);
    await count(tx, entries);
  });
  const outcomes = await Promise.all([contested(later), contested(later)]);
  assert.deepEqual(outcomes.map(({ kind }) => kind).toSorted(), ['applied', 'moved'], 'two owners of a partition');
  assert.equal((await tally())['CHF'], 3);

  const withoutPosition = exactlyOnce<InterestTransaction>(database, positions, async (tx, entries) => {
    await count(tx, entries);
    await tx.query('delete the position', 'DELETE FROM consumer_offset WHERE consumer_group = $1', [group]);
  });
  await assert.rejects(withoutPosition(sliceOf(3n, 'CHF')), /moved 0 of 1 positions/);
  assert.equal((await tally())['CHF'], 3, 'no effect without its position');
  assert.deepEqual(await positions.read([0]), new Map([[0, { next: 3n, topicId: undefined }]]));
  await own.stop();
});
