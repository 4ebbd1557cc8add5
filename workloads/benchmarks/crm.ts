/**
 * `node workloads/benchmarks/crm.ts [seconds]`: how long the BSS APIs take at 200 requests a second, through gateway and crm with cache, Postgres
 * behind PgBouncer, Redis and the services of payments, with the load generator on the same machine. Three rounds. Prints the table and writes
 * docs/results/crm.md.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { availableParallelism, loadavg, totalmem } from 'node:os';
import process from 'node:process';
import { startServices } from '../../local/src/services/index.ts';
import { customerAccount } from '../crm/payments/transfers.ts';
import { fill, monthOf } from '../crm/seed/fill.ts';
import { GATEWAY_KEY, PaymentPlatform } from '../crm/testing/payments.ts';
import { createLogger } from '../shared/kernel/log.ts';
import { HttpClient, openLoop, quantile, type HttpAnswer } from './load.ts';
import { processorSecondsByProgram } from './processor-time.ts';
import { cell, precise, whole } from './report.ts';

const SECONDS = Number(process.argv[2] ?? 20);
const ROUNDS = 3;
const PER_SECOND = 200;
const WARM_UP_SECONDS = 10;
const CUSTOMERS = 5_000;
/** Customers with an account at the ledger, who can pay. */
const PAYERS = 50;
const FUNDS_MINOR = 10_000_000;
const PERIOD = { periodStart: '2026-01-01', periodEnd: '2026-01-31' };
const RESULT = new URL('../../docs/results/crm.md', import.meta.url);
const SERVICES = ['gateway', 'crm', 'orchestrator', 'ledger', 'accounts'] as const;
const SERVERS = ['Postgres', 'PgBouncer', 'Kafka', 'Redis'] as const;

const FAMILIES = ['customers', 'orders', 'invoices', 'payments'] as const;
type Family = (typeof FAMILIES)[number];

/** Milliseconds of the answers of each family, in ascending order. */
type Latencies = ReadonlyMap<Family, number[]>;

interface Round {
  readonly all: readonly number[];
  readonly byFamily: Latencies;
  readonly processors: ReadonlyMap<string, number>;
}

const pick = <T>(values: readonly T[]): T => values[Math.floor(Math.random() * values.length)] as T;

/** The systems that call the APIs: each request is one step of a flow, and what it makes is what later steps use. */
class Systems {
  readonly #client: HttpClient;
  readonly #known: Readonly<Record<Family, string[]>>;
  readonly #payers: readonly string[];
  /** Made by this load, and not changed yet. */
  readonly #fresh: Record<'customers' | 'invoices' | 'payments', string[]> = { customers: [], invoices: [], payments: [] };
  /** Requests that had another answer than they should, and what it was. */
  readonly wrong: string[] = [];
  /** Milliseconds of each answer since {@link taken}. */
  #times: [Family, number][] = [];
  /** Steps, each as often in a hundred requests as its weight. */
  readonly #steps: readonly { family: Family; run: () => Promise<boolean> }[];

  constructor(client: HttpClient, known: Record<Family, string[]>, payers: readonly string[]) {
    this.#client = client;
    this.#known = known;
    this.#payers = payers;
    const table: [number, Family, () => Promise<boolean>][] = [
      [30, 'customers', () => this.#get(`customers/${pick(known.customers)}`)],
      [8, 'customers', () => this.#get(`customers/${pick(known.customers)}/orders`)],
      [6, 'customers', () => this.#get('customers?limit=20')],
      [4, 'customers', () => this.#create('customers', { name: 'Jane Example', email: 'jane@example.com' })],
      [4, 'customers', () => this.#changeCustomer()],
      [10, 'orders', () => this.#get(`orders/${pick(known.orders)}`)],
      [4, 'orders', () => this.#get('orders?limit=20')],
      [4, 'orders', () => this.#get('orders/summary')],
      [4, 'orders', () => this.#create('orders', { customerId: pick(known.customers) })],
      [8, 'invoices', () => this.#get(`invoices/${pick(known.invoices)}`)],
      [3, 'invoices', () => this.#create('invoices', { customerId: pick(known.customers), ...PERIOD })],
      [3, 'invoices', () => this.#generateInvoice()],
      [8, 'payments', () => this.#get(`payments/${pick(known.payments)}`)],
      [2, 'payments', () => this.#create('payments', { customerId: pick(this.#payers), amountMinor: '100' })],
      [2, 'payments', () => this.#processPayment()],
    ];
    this.#steps = table.flatMap(([weight, family, run]) => Array.from({ length: weight }, () => ({ family, run })));
  }

  /** One request. @returns whether its answer is the right one */
  async step(): Promise<boolean> {
    return pick(this.#steps).run();
  }

  get share(): ReadonlyMap<Family, number> {
    return new Map(FAMILIES.map((family) => [family, this.#steps.filter((step) => step.family === family).length / this.#steps.length]));
  }

  /** Creates what the first payments and reads need. */
  async begin(): Promise<void> {
    for (const customerId of this.#payers) {
      assert.ok(await this.#create('payments', { customerId, amountMinor: '100' }));
    }
  }

  /** The times since the last call. */
  taken(): Latencies {
    const byFamily = Map.groupBy(this.#times, ([family]) => family);
    this.#times = [];
    return new Map(FAMILIES.map((family) => [family, (byFamily.get(family) ?? []).map(([, ms]) => ms).toSorted((a, b) => a - b)]));
  }

  async #send(method: string, path: string, body?: object, headers: Record<string, string> = {}): Promise<HttpAnswer> {
    const startedAt = performance.now();
    const content = body === undefined ? {} : { body: JSON.stringify(body) };
    const answer = await this.#client.send(method, `/api/v1/${path}`, { ...content, headers: { 'x-api-key': GATEWAY_KEY, ...headers } });
    this.#times.push([path.split(/[/?]/)[0] as Family, performance.now() - startedAt]);
    return answer;
  }

  /** @returns whether the answer has the status; {@link wrong} has it otherwise */
  #has(status: number, request: string, answer: HttpAnswer): boolean {
    if (answer.status === status) return true;
    this.wrong.push(`${request}: ${answer.status} ${answer.body.slice(0, 300)}`);
    return false;
  }

  async #get(path: string): Promise<boolean> {
    return this.#has(200, `GET ${path}`, await this.#send('GET', path));
  }

  async #create(family: Family, body: object): Promise<boolean> {
    const answer = await this.#send('POST', family, body, { 'idempotency-key': randomUUID() });
    if (!this.#has(201, `POST ${family}`, answer)) return false;
    const { id } = JSON.parse(answer.body) as { id: string };
    this.#known[family].push(id);
    if (family !== 'orders') this.#fresh[family].push(id);
    return true;
  }

  async #changeCustomer(): Promise<boolean> {
    const id = this.#fresh.customers.pop();
    if (id === undefined) return this.#create('customers', { name: 'Jane Example' });
    const answer = await this.#send('PATCH', `customers/${id}`, { name: 'Jane Sample' }, { 'if-match': '"1"' });
    return this.#has(200, 'PATCH customers', answer);
  }

  async #generateInvoice(): Promise<boolean> {
    const id = this.#fresh.invoices.pop();
    if (id === undefined) return this.#create('invoices', { customerId: pick(this.#known.customers), ...PERIOD });
    return this.#has(200, 'POST invoices/{id}/generate', await this.#send('POST', `invoices/${id}/generate`));
  }

  async #processPayment(): Promise<boolean> {
    const id = this.#fresh.payments.pop();
    if (id === undefined) return this.#create('payments', { customerId: pick(this.#payers), amountMinor: '100' });
    const answer = await this.#send('POST', `payments/${id}/process`);
    if (!this.#has(200, 'POST payments/{id}/process', answer)) return false;
    const { status } = JSON.parse(answer.body) as { status: string };
    if (status !== 'done') this.wrong.push(`the payment is ${status}`);
    return status === 'done';
  }
}

/** Customers of the generated telecom, some of them with funds. */
async function seeded(platform: PaymentPlatform): Promise<{ known: Record<Family, string[]>; payers: string[] }> {
  const log = createLogger({ service: 'test', platform: 'test', namespace: 'test', pod: 'test' }, 'silent');
  const database = platform.crm.openDatabase();
  await fill(database, { customers: CUSTOMERS, number: 1, until: monthOf(new Date()) }, log);
  await database.close();
  await platform.crm.sql('ANALYZE');
  const ids = async (table: string): Promise<string[]> =>
    (await platform.crm.sql<{ id: string }>(`SELECT id::text FROM ${table} ORDER BY id LIMIT ${CUSTOMERS}`)).map(({ id }) => id);
  const active = await platform.crm.sql<{ id: string }>(
    `SELECT id::text FROM customer WHERE status = 'active' AND currency = 'EUR' AND deleted_at IS NULL ORDER BY id`,
  );
  const customers = active.map(({ id }) => id);
  const payers = customers.slice(0, PAYERS);
  for (const id of payers) {
    await platform.openAccount(id);
    await platform.move('bank', customerAccount(id), FUNDS_MINOR);
  }
  return { known: { customers, orders: await ids('"order"'), invoices: await ids('invoice'), payments: [] }, payers };
}

async function round(systems: Systems): Promise<Round> {
  systems.taken();
  const [before, own] = [await processorSecondsByProgram(), process.cpuUsage()];
  const load = await openLoop(PER_SECOND, SECONDS, () => systems.step());
  const [after, mine] = [await processorSecondsByProgram(), process.cpuUsage(own)];
  if (load.failed > 0)
    throw new Error(`${load.failed} of ${PER_SECOND * SECONDS} requests had another answer than they should: ${systems.wrong[0]}`);
  const processors = new Map([...after].map(([name, seconds]) => [name, (seconds - (before.get(name) ?? 0)) / SECONDS]));
  processors.set('load generator', (mine.user + mine.system) / 1e6 / SECONDS);
  return { all: load.latencies, byFamily: systems.taken(), processors };
}

function latencyRow(name: string, share: number, rounds: readonly (readonly number[])[]): string {
  const at = (of: number): string => cell(rounds.map((latencies) => quantile(latencies, of)));
  return `| ${name} | ${(share * 100).toFixed(0)} | ${at(0.5)} | ${at(0.95)} | ${at(0.99)} |`;
}

function report(rounds: readonly Round[], systems: Systems, hits: number, loads: readonly number[]): string {
  const families = FAMILIES.map((family) =>
    latencyRow(
      family,
      systems.share.get(family) ?? 0,
      rounds.map(({ byFamily }) => byFamily.get(family) ?? []),
    ),
  );
  const programs = [...SERVICES, ...SERVERS, 'load generator'].map((name) => {
    const values = rounds.map(({ processors }) => processors.get(name) ?? 0);
    return `| ${name} | ${cell(values, precise)} |`;
  });
  return `# The BSS APIs at ${PER_SECOND} requests a second

Written by \`make bench-crm\` (\`node workloads/benchmarks/crm.ts ${SECONDS}\`) on ${new Date().toISOString().slice(0, 10)}; all figures come from one run.

| requests | share, % | p50, ms | p95, ms | p99, ms |
|---|--:|--:|--:|--:|
${families.join('\n')}
${latencyRow(
  '**all**',
  1,
  rounds.map(({ all }) => all),
)}

Goal: p95 of all below 200 ms. The share of the reads that the cache answered: ${(hits * 100).toFixed(0)} %.

| process | processors in use |
|---|--:|
${programs.join('\n')}

- Medians of ${ROUNDS} rounds of ${SECONDS} s, in parentheses the lowest and the highest. ${WARM_UP_SECONDS} s before them are not measured.
- A request is sent when it is due, whatever the former ones do. In the row of all its time begins when it is due, in those of the families when it is sent. Every answer was the right one.
- Reads of customers, orders, invoices and payments, each list and the summary of orders; creations and changes of customers, orders, invoices with the generation of their lines, payments with their transfer on the ledger. 22 of 100 requests are writes.
- ${whole(CUSTOMERS)} customers of the seed with what they have; ids are chosen evenly, which is the worst case for a cache.
- Machine: ${availableParallelism()} processors, ${Math.round(totalmem() / 2 ** 30)} GiB, load ${loads.map((load) => load.toFixed(1)).join(' before and ')} after. Every process of the table shares it. Postgres runs with fsync off.
`;
}

async function hitRatio(platform: PaymentPlatform): Promise<number> {
  const of = (result: string): Promise<number> => platform.process.metric('cache_requests_total', `result="${result}"`);
  const [local, redis, coalesced, miss, bypass] = await Promise.all(['local', 'redis', 'coalesced', 'miss', 'bypass'].map(of));
  const hits = (local ?? 0) + (redis ?? 0) + (coalesced ?? 0);
  return hits / (hits + (miss ?? 0) + (bypass ?? 0));
}

async function measured(platform: PaymentPlatform): Promise<string> {
  const unlimited = { REQUESTS_PER_SECOND: '1000000' };
  const gateway = await platform.startGateway(unlimited);
  const client = new HttpClient(gateway.client.base);
  const { known, payers } = await seeded(platform);
  const systems = new Systems(client, known, payers);
  await systems.begin();
  const before = loadavg()[0] ?? 0;
  await openLoop(PER_SECOND, WARM_UP_SECONDS, () => systems.step());
  const rounds: Round[] = [];
  for (let index = 0; index < ROUNDS; index += 1) {
    rounds.push(await round(systems));
    console.log(`round ${index + 1} of ${ROUNDS}: p95 ${whole(quantile(rounds[index]?.all ?? [], 0.95))} ms`);
  }
  client.close();
  await platform.assertExactlyOnce();
  return report(rounds, systems, await hitRatio(platform), [before, loadavg()[0] ?? 0]);
}

const services = await startServices({ redis: true });
try {
  const platform = await PaymentPlatform.start({ REDIS_URL: services.redis.url });
  try {
    const text = await measured(platform);
    await writeFile(RESULT, text);
    process.stdout.write(`${text}\n`);
  } finally {
    await platform.stop();
  }
} finally {
  await services.stop();
}
process.exit(0);
