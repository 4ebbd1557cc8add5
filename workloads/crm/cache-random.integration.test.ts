/**
 * Random writes and reads of orders in three caches, while connections are cut and healed, servers are killed and started, and caches end and
 * begin. No read returns a value that was replaced longer before the read than the bound, and at the end every cache returns the last value.
 * `CACHE_SEED=7 CACHE_SECONDS=600 node --test workloads/crm/cache-random.integration.test.ts` repeats the choices of a run, for longer.
 */
import assert from 'node:assert/strict';
import { randomInt, randomUUID } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { waitFor } from '../shared/testing/wait.ts';
import { cachedFamily, entityKey, ownedKey } from './cache-keys.ts';
import { CacheLab } from './testing/cache-lab.ts';
import type { CacheInstance } from './testing/cache-lab.ts';

const SEED = Number(process.env['CACHE_SEED'] ?? randomInt(1_000_000));
const SECONDS = Number(process.env['CACHE_SECONDS'] ?? 20);
const BOUND_MS = 1_000;
const INSTANCES = 3;
const CUSTOMERS = 15;
/** So many that an order is often not written for longer than the bound: what is old then stays old. */
const ORDERS = 60;
const READERS = 4;
const WRITERS = 2;

/** mulberry32. @returns numbers in [0, 1) */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** What was written under a name: values only grow, and each was acknowledged at a time. */
class History {
  readonly #writes = new Map<string, { value: number; at: number }[]>();

  acknowledged(name: string, value: number): void {
    const writes = this.#writes.get(name) ?? [];
    writes.push({ value, at: performance.now() });
    this.#writes.set(name, writes);
  }

  last(name: string): number {
    return Math.max(...(this.#writes.get(name) ?? []).map(({ value }) => value));
  }

  /** For how long a value had been replaced at a time; 0 when it was not. */
  staleness(name: string, value: number, at: number): number {
    const newer = (this.#writes.get(name) ?? []).filter((write) => write.value > value && write.at <= at);
    return newer.length === 0 ? 0 : at - Math.min(...newer.map((write) => write.at));
  }
}

const orders = cachedFamily('orders') ?? assert.fail('orders are cached');

class Run {
  readonly history = new History();
  readonly staleness: number[] = [];
  readonly counts = { reads: 0, failed: 0, writes: 0, faults: 0 };
  readonly violations: string[] = [];
  readonly #lab: CacheLab;
  readonly #instances: CacheInstance[];
  readonly #customers: string[] = [];
  readonly #orders: { id: string; customerId: string }[] = [];
  readonly #holding = generator(SEED);
  readonly #until = performance.now() + SECONDS * 1_000;

  constructor(lab: CacheLab, instances: CacheInstance[]) {
    this.#lab = lab;
    this.#instances = instances;
  }

  async prepare(): Promise<void> {
    for (let n = 0; n < CUSTOMERS; n += 1) this.#customers.push(randomUUID());
    await this.#lab.sql(
      `INSERT INTO customer (id, type, name, status, currency) SELECT id, 'individual', 'name', 'active', 'EUR' FROM unnest($1::uuid[]) AS id`,
      [this.#customers],
    );
    for (let n = 0; n < ORDERS; n += 1) {
      const order = { id: randomUUID(), customerId: this.#customers[n % CUSTOMERS] ?? '' };
      await this.#lab.sql(`INSERT INTO "order" (id, customer_id, status, currency) VALUES ($1, $2, 'draft', 'EUR')`, [
        order.id,
        order.customerId,
      ]);
      this.#orders.push(order);
    }
  }

  async all(): Promise<void> {
    const loops = [
      ...Array.from({ length: WRITERS }, (_value, index) => this.#loop(index, 20, (random) => this.#write(random))),
      ...Array.from({ length: READERS }, (_value, index) => this.#loop(100 + index, 4, (random) => this.#read(random))),
      this.#loop(200, 700, (random) => this.#fault(random)),
    ];
    await Promise.all(loops);
  }

  /** Runs a step again and again, with pauses of up to twice `meanMs`. */
  async #loop(offset: number, meanMs: number, step: (random: () => number) => Promise<void>): Promise<void> {
    const random = generator(SEED * 1_000 + offset);
    while (performance.now() < this.#until) {
      await step(random);
      await pause(2 * meanMs * random());
    }
  }

  async #write(random: () => number): Promise<void> {
    const { id } = pick(this.#orders, random);
    const text = 'UPDATE "order" SET version = version + 1 WHERE id = $1 RETURNING version::int AS version';
    try {
      const [row] = await this.#lab.sql<{ version: number }>(text, [id]);
      this.history.acknowledged(id, row?.version ?? 0);
      this.counts.writes += 1;
    } catch {
      // The database is away.
    }
  }

  async #read(random: () => number): Promise<void> {
    const instance = pick(this.#instances, random);
    const { id, customerId } = pick(this.#orders, random);
    const listed = random() < 0.3;
    const at = performance.now();
    try {
      const versions = listed ? await this.versions(instance, customerId) : { [id]: await this.version(instance, id) };
      this.counts.reads += 1;
      for (const [order, version] of Object.entries(versions)) this.#judge(order, version, at, listed ? 'list' : 'order');
    } catch {
      this.counts.failed += 1;
    }
  }

  /** A loader that is delayed between its read and its return: what it has read may be invalidated meanwhile. */
  async #held(): Promise<void> {
    if (this.#holding() < 0.3) await pause(100 * this.#holding());
  }

  version(instance: CacheInstance, id: string): Promise<number> {
    return instance.cache.getOrLoad(entityKey(orders, id), async () => {
      const text = 'SELECT version::int AS version FROM "order" WHERE id = $1';
      const [row] = await instance.database.query<{ version: number }>('read order', text, [id]);
      await this.#held();
      return row?.version ?? 0;
    });
  }

  versions(instance: CacheInstance, customerId: string): Promise<Record<string, number>> {
    return instance.cache.getOrLoad(ownedKey(orders, customerId, 'all'), async () => {
      const text = 'SELECT id::text, version::int AS version FROM "order" WHERE customer_id = $1';
      const rows = await instance.database.query<{ id: string; version: number }>('list orders', text, [customerId]);
      await this.#held();
      return Object.fromEntries(rows.map(({ id, version }) => [id, version]));
    });
  }

  #judge(order: string, version: number, at: number, what: string): void {
    const staleness = this.history.staleness(order, version, at);
    this.staleness.push(staleness);
    if (staleness > BOUND_MS)
      this.violations.push(`${what} ${order}: version ${version} was replaced ${Math.round(staleness)} ms before the read`);
  }

  async #fault(random: () => number): Promise<void> {
    this.counts.faults += 1;
    const index = Math.floor(random() * INSTANCES);
    const links = Object.values(this.#instances[index]?.links ?? {});
    const kind = random();
    if (kind < 0.6) {
      const link = pick(links, random);
      link.cut();
      await pause(1_500 * random());
      link.heal();
    } else if (kind < 0.75) {
      for (const link of links) link.cut();
      await pause(2_000 * random());
      for (const link of links) link.heal();
    } else if (kind < 0.83) {
      await this.#lab.restartPostgres();
    } else if (kind < 0.92) {
      await this.#lab.redis.kill();
      await pause(500 * random());
      await this.#lab.redis.start();
    } else {
      await this.#instances[index]?.stop();
      this.#instances[index] = await this.#lab.instance({ CACHE_MAX_STALENESS_MS: String(BOUND_MS) });
    }
  }

  /** Every cache returns the last value of every order. */
  async settled(): Promise<void> {
    await Promise.all(this.#instances.map((instance) => instance.ready()));
    for (const [index, instance] of this.#instances.entries())
      for (const { id, customerId } of this.#orders)
        await waitFor(
          `cache ${index} to return the last version of order ${id}`,
          async () => {
            const last = this.history.last(id);
            return (await this.version(instance, id)) >= last && ((await this.versions(instance, customerId))[id] ?? 0) >= last;
          },
          2 * BOUND_MS,
        );
  }
}

function pick<T>(list: readonly T[], random: () => number): T {
  const picked = list[Math.floor(random() * list.length)];
  if (picked === undefined) throw new Error('there is nothing to pick from');
  return picked;
}

test(
  'no read is older than the bound, whatever is lost, and none is old for ever',
  { timeout: SECONDS * 1_000 + 90_000 },
  async (context) => {
    context.diagnostic(`CACHE_SEED=${SEED} CACHE_SECONDS=${SECONDS}`);
    const lab = await CacheLab.start({ notify: SEED % 2 === 0 });
    try {
      const env = { CACHE_MAX_STALENESS_MS: String(BOUND_MS) };
      const instances = await Promise.all(Array.from({ length: INSTANCES }, () => lab.instance(env)));
      await Promise.all(instances.map((instance) => instance.ready()));
      const run = new Run(lab, instances);
      await run.prepare();
      await run.all();
      await run.settled();
      const sorted = run.staleness.toSorted((one, other) => one - other);
      const at = (share: number): number => Math.round(sorted[Math.floor(share * (sorted.length - 1))] ?? 0);
      context.diagnostic(`${JSON.stringify(run.counts)}; staleness p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, highest ${at(1)} ms`);
      assert.deepEqual(run.violations.slice(0, 10), [], `seed ${SEED}`);
      assert.ok(
        run.counts.reads > 20 * SECONDS && run.counts.writes > 5 * SECONDS && run.counts.faults > SECONDS / 5,
        'the run had work to do',
      );
    } finally {
      await lab.stop();
    }
  },
);
