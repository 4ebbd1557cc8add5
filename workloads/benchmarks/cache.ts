/**
 * `node workloads/benchmarks/cache.ts`: what invalidation costs a write, how long a change takes to reach a cache, by NOTIFY and by polling,
 * the hit rate and read time under a Zipf load, and the loads of a thundering herd, in one run on real servers. Prints the report and writes
 * docs/results/cache.md.
 */
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { availableParallelism, loadavg, totalmem } from 'node:os';
import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { cachedFamily, entityKey } from '../crm/cache-keys.ts';
import { CUSTOMER } from '../crm/families.ts';
import { Records } from '../crm/records.ts';
import { CacheLab } from '../crm/testing/cache-lab.ts';
import type { CacheInstance } from '../crm/testing/cache-lab.ts';
import type { Postgres } from '../shared/kernel/postgres.ts';
import { postgresClock } from './processor-time.ts';
import { median, spread } from './report.ts';

const RESULT = new URL('../../docs/results/cache.md', import.meta.url);
const ROUNDS = 7;
const WRITES = 800;
const WRITERS = 8;
const CUSTOMERS = 10_000;
/** Exponent of the Zipf distribution; 1 is the classic one. */
const ZIPF = 1;
const READS = 60_000;
const READERS = 32;
/** One read in so many is followed by a write of the same customer. */
const READS_PER_WRITE = 100;
const STALENESS_WRITES = 600;
const STALENESS_PAUSE_MS = 8;
const HERD = 500;
const HERD_KEYS = 20;

/** Without triggers; with notification rows, which caches poll; and with NOTIFY as well. */
const WAYS = ['off', 'rows', 'notify'] as const;
type Way = (typeof WAYS)[number];

const customers = cachedFamily('customers');
if (!customers) throw new Error('customers are not cached');
const family = customers;
const keyOf = (id: string) => entityKey(family, id);

async function seeded(lab: CacheLab): Promise<string[]> {
  const ids = Array.from({ length: CUSTOMERS }, () => randomUUID());
  await lab.sql(
    `INSERT INTO customer (id, type, name, email, status, currency)
     SELECT id, 'individual', 'Customer ' || id, id || '@example.org', 'active', 'EUR' FROM unnest($1::uuid[]) AS id`,
    [ids],
  );
  await lab.sql('ANALYZE');
  return ids;
}

const percentile = (values: readonly number[], share: number): number => {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
};

/** Runs `count` pieces of work, `lanes` at a time. */
async function inLanes(count: number, lanes: number, work: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) await work(index);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

interface WriteCost {
  rate: number;
  /** Median of a write, in milliseconds. */
  ms: number;
  processorMicroseconds: number;
}

interface Writer {
  write: (id: string) => Promise<unknown>;
  database: Postgres;
}

/** A change of a customer as the service makes it: lock, row, audit row and event in a transaction. */
function changes(database: Postgres): Writer {
  const records = new Records(database, () => undefined);
  const write = (id: string): Promise<unknown> =>
    records.write({ client: 'benchmark' }, async (writing) => {
      const current = await writing.lock(CUSTOMER, id);
      return writing.update(CUSTOMER, current, { name: `Customer ${randomUUID()}` });
    });
  return { write, database };
}

/** The least that a change can be: one statement. */
function statements(database: Postgres): Writer {
  const text = 'UPDATE customer SET name = $2, version = version + 1 WHERE id = $1';
  return { write: (id) => database.query('update customer', text, [id, randomUUID()]), database };
}

async function costOf(lab: CacheLab, { write }: Writer, ids: readonly string[]): Promise<WriteCost> {
  const clock = await postgresClock(lab.postgres.port);
  const times: number[] = [];
  const startedAt = performance.now();
  let seconds = 0;
  const processor = await clock(async () => {
    await inLanes(WRITES, WRITERS, async () => {
      const at = performance.now();
      await write(ids[Math.floor(Math.random() * ids.length)] ?? '');
      times.push(performance.now() - at);
    });
    seconds = (performance.now() - startedAt) / 1_000;
  });
  return { rate: WRITES / seconds, ms: percentile(times, 0.5), processorMicroseconds: (processor / WRITES) * 1e6 };
}

/** One round is every way once, in an order that rotates. A cache listens or polls meanwhile, as in production. */
async function writeCosts(lab: CacheLab, ids: readonly string[], make: (database: Postgres) => Writer): Promise<Record<Way, WriteCost>[]> {
  const listening = await (await lab.instance()).ready();
  const polling = await (await lab.instance({}, { listen: false })).ready();
  const writers: Record<Way, Writer> = {
    off: make(lab.connect()),
    rows: make(lab.connect('-c bss.cache_notify=off')),
    notify: make(lab.connect()),
  };
  const rounds: Record<Way, WriteCost>[] = [];
  for (let round = 0; round <= ROUNDS; round += 1) {
    const costs = new Map<Way, WriteCost>();
    for (let step = 0; step < WAYS.length; step += 1) {
      const way = WAYS[(round + step) % WAYS.length] ?? 'off';
      await lab.sql(`ALTER TABLE customer ${way === 'off' ? 'DISABLE' : 'ENABLE'} TRIGGER USER`);
      costs.set(way, await costOf(lab, writers[way], ids));
    }
    // The first round warms up.
    if (round > 0) rounds.push(Object.fromEntries(costs) as Record<Way, WriteCost>);
  }
  await lab.sql('ALTER TABLE customer ENABLE TRIGGER USER');
  await Promise.all([listening.stop(), polling.stop()]);
  return rounds;
}

/** Times from the acknowledgement of a commit until a cache no longer returns the former value. */
async function staleness(lab: CacheLab, ids: readonly string[], listen: boolean): Promise<number[]> {
  const instance = await (await lab.instance({}, { listen })).ready();
  const database = lab.connect(listen ? '' : '-c bss.cache_notify=off');
  const committed = new Map<string, number>();
  const times: number[] = [];
  const read = (id: string): Promise<number> => instance.cache.getOrLoad(keyOf(id), () => Promise.resolve(committed.get(id) ?? 0));
  const pending: Promise<void>[] = [];
  for (let index = 0; index < STALENESS_WRITES; index += 1) {
    const id = ids[index] ?? '';
    await read(id);
    committed.set(id, 1);
    await database.query('update customer', 'UPDATE customer SET version = version + 1 WHERE id = $1', [id]);
    const at = performance.now();
    const seen = async (): Promise<void> => {
      while ((await read(id)) === 0) await pause(1);
      times.push(performance.now() - at);
    };
    pending.push(seen());
    await pause(STALENESS_PAUSE_MS);
  }
  await Promise.all(pending);
  await instance.stop();
  return times;
}

/** Ranks with the probabilities of a Zipf distribution. */
function zipf(count: number): () => number {
  const sums: number[] = [];
  let sum = 0;
  for (let rank = 1; rank <= count; rank += 1) sums.push((sum += 1 / rank ** ZIPF));
  return () => {
    const wanted = Math.random() * sum;
    let [low, high] = [0, count - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((sums[middle] ?? 0) < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

interface ReadFigures {
  hitRatio: number;
  local: number;
  redis: number;
  /** Milliseconds. */
  cached: number[];
  rate: number;
}

/** Reads of two processes with room for a tenth of the customers in each, and writes among them. */
async function zipfReads(lab: CacheLab, ids: readonly string[]): Promise<ReadFigures> {
  const instances = await Promise.all([lab.instance({ CACHE_MAX_MEBIBYTES: '1' }), lab.instance({ CACHE_MAX_MEBIBYTES: '1' })]);
  await Promise.all(instances.map((instance) => instance.ready()));
  const writer = statements(lab.connect());
  const rank = zipf(ids.length);
  const cached: number[] = [];
  const startedAt = performance.now();
  await inLanes(READS, READERS, async (index) => {
    const id = ids[rank()] ?? '';
    const instance = instances[index % instances.length];
    if (!instance) return;
    let loaded = false;
    const at = performance.now();
    await instance.cache.getOrLoad(keyOf(id), async () => {
      loaded = true;
      const [row] = await instance.database.query(
        'read customer',
        'SELECT id::text, name, email, version::int AS version FROM customer WHERE id = $1',
        [id],
      );
      return row;
    });
    if (!loaded) cached.push(performance.now() - at);
    if (index % READS_PER_WRITE === 0) await writer.write(id);
    if (index % 50 === 0) await pause(0);
  });
  const seconds = (performance.now() - startedAt) / 1_000;
  const results = await Promise.all(['local', 'redis', 'coalesced', 'miss', 'bypass'].map((result) => answered(instances, result)));
  const [local = 0, redis = 0, , miss = 0, bypass = 0] = results;
  const all = results.reduce((total, value) => total + value, 0);
  await Promise.all(instances.map((instance) => instance.stop()));
  return { hitRatio: 1 - (miss + bypass) / all, local: local / all, redis: redis / all, cached, rate: READS / seconds };
}

async function answered(instances: readonly CacheInstance[], result: string): Promise<number> {
  const values = await Promise.all(
    instances.map((instance) => instance.metric('cache_requests_total', `cache="customers",result="${result}"`)),
  );
  return values.reduce((total, value) => total + value, 0);
}

/** Loads of each of some missing keys, which 500 readers of two processes ask for at the same time. */
async function herd(lab: CacheLab, ids: readonly string[]): Promise<number[]> {
  const instances = await Promise.all([lab.instance(), lab.instance()]);
  await Promise.all(instances.map((instance) => instance.ready()));
  const loads: number[] = [];
  for (const id of ids.slice(-HERD_KEYS)) {
    await lab.sql('UPDATE customer SET version = version + 1 WHERE id = $1', [id]);
    await Promise.all(instances.map((instance) => instance.feed.readNow()));
    let made = 0;
    await Promise.all(
      Array.from({ length: HERD }, async (_value, index) => {
        const instance = instances[index % instances.length];
        return instance?.cache.getOrLoad(keyOf(id), async () => {
          made += 1;
          return instance.database.query('read customer', 'SELECT name FROM customer WHERE id = $1', [id]);
        });
      }),
    );
    loads.push(made);
  }
  await Promise.all(instances.map((instance) => instance.stop()));
  return loads;
}

const number = (value: number, digits = 0): string =>
  value.toLocaleString('en', { maximumFractionDigits: digits, minimumFractionDigits: digits });

/** By how much a measure is above that of `off`, by round, in percent. */
const above = (rounds: readonly Record<Way, WriteCost>[], way: Way, measure: (cost: WriteCost) => number): number[] =>
  rounds.map((round) => (measure(round[way]) / measure(round.off) - 1) * 100);

function writeRows(what: string, rounds: readonly Record<Way, WriteCost>[]): string {
  return WAYS.map((way) => {
    const costs = rounds.map((round) => round[way]);
    const percent = (measure: (cost: WriteCost) => number): string => {
      if (way === 'off') return '';
      const values = above(rounds, way, measure);
      const [low, high] = spread(values);
      return `**${number(median(values), 1)} %** (${number(low)} to ${number(high)})`;
    };
    const cells = [
      number(median(costs.map(({ rate }) => rate))),
      number(median(costs.map(({ ms }) => ms)), 2),
      percent(({ ms }) => ms),
      number(median(costs.map(({ processorMicroseconds }) => processorMicroseconds))),
      percent(({ processorMicroseconds }) => processorMicroseconds),
    ];
    return `| ${what} | ${way} | ${cells.join(' | ')} |`;
  }).join('\n');
}

function stalenessRow(what: string, times: readonly number[]): string {
  return `| ${what} | ${[0.5, 0.95, 0.99, 1].map((share) => number(percentile(times, share), 1)).join(' | ')} |`;
}

const lab = await CacheLab.start({ notify: true });
try {
  const ids = await seeded(lab);
  const loadBefore = loadavg();
  const whole = await writeCosts(lab, ids, changes);
  const bare = await writeCosts(lab, ids, statements);
  const notified = await staleness(lab, ids, true);
  const polled = await staleness(lab, ids.slice(STALENESS_WRITES), false);
  const reads = await zipfReads(lab, ids);
  const loads = await herd(lab, ids);
  const [settings] = await lab.sql<{ text: string }>(
    `SELECT string_agg(name || ' ' || setting, ', ' ORDER BY name) AS text FROM pg_settings WHERE name IN ('server_version', 'synchronous_commit', 'fsync')`,
  );
  const report = `# The cache

Written by \`make bench-cache\` (\`node workloads/benchmarks/cache.ts\`) on ${new Date().toISOString().slice(0, 10)}; all figures come from one run.

## Cost of invalidation for a write

| write | way | writes/s | ms | more than off | µs of Postgres | more than off |
|---|---|--:|--:|--:|--:|--:|
${writeRows('change of a customer', whole)}
${writeRows('one UPDATE', bare)}

- \`off\`: without triggers. \`rows\`: triggers write notification rows, which the caches poll. \`notify\`: NOTIFY as well.
- A change of a customer is what the service does: lock, row, audit row and event in one transaction. One UPDATE is the least that a change can be.
- Medians of ${ROUNDS} rounds of ${number(WRITES)} writes from ${WRITERS} connections, in parentheses the lowest and the highest; the ways alternate in each round. Goal: less than 10 % more for a change.
- ms: median of a write. µs of Postgres: processor time of the server for one write; it does not depend on what else the machine does.

## Staleness after a commit

| way | p50, ms | p95, ms | p99, ms | highest, ms |
|---|--:|--:|--:|--:|
${stalenessRow('notify: a connection that listens', notified)}
${stalenessRow('rows: polled every 100 ms', polled)}

- Time from the acknowledgement of a commit until a cache no longer returns the former value; ${STALENESS_WRITES} writes, one every ${STALENESS_PAUSE_MS} ms. Goal: p99 below 250 ms.

## Reads

| figure | value | goal |
|---|--:|--:|
| hit rate | ${number(reads.hitRatio * 100, 1)} % | > 80 % |
| of it in the process, in Redis | ${number(reads.local * 100, 1)} %, ${number(reads.redis * 100, 1)} % | |
| read from the cache, p50, p95, p99 | ${[0.5, 0.95, 0.99].map((share) => number(percentile(reads.cached, share), 2)).join(', ')} ms | p95 < 20 ms |
| reads | ${number(reads.rate)}/s | |
| loads of a key that ${HERD} readers miss at once | ${[...new Set(loads)].join(', ')} | 1 |

- ${number(READS)} reads by ${READERS} readers of ${number(CUSTOMERS)} customers with Zipf's distribution (exponent ${ZIPF}), through two caches of 1 MiB each on one Redis; one read in ${READS_PER_WRITE} is followed by a write of that customer. Both begin empty.
- The herd: ${HERD_KEYS} keys, ${HERD} readers in two caches each.

Machine: ${availableParallelism()} processors, ${Math.round(totalmem() / 2 ** 30)} GiB, load ${loadBefore[0]?.toFixed(1)} before and ${loadavg()[0]?.toFixed(1)} after. Postgres, Redis and benchmark share it. Postgres: ${settings?.text}. Without fsync a commit costs little, which makes the share of invalidation larger.
`;
  await writeFile(RESULT, report);
  process.stdout.write(`${report}\n`);
} finally {
  await lab.stop();
}
process.exit(0);
