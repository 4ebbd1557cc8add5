/**
 * `node workloads/benchmarks/pgbouncer.ts [seconds]`: the same two statements through PgBouncer and from connections of the clients' own, at 20,
 * 50 and 200 clients, with kept connections and with a connection for each request. Three rounds. Prints the table and writes
 * docs/results/pgbouncer.md.
 */
import { writeFile } from 'node:fs/promises';
import { availableParallelism, loadavg, totalmem } from 'node:os';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { Client } from 'pg';
import { startServices, type PostgresService } from '../../local/src/services/index.ts';
import { closedLoop, quantile, type LoadResult } from './load.ts';
import { mebibytesOf, processorSecondsByProgram } from './processor-time.ts';
import { cell, precise, whole } from './report.ts';

const SECONDS = Number(process.argv[2] ?? 2);
const ROUNDS = 3;
const ROWS = 10_000;
const WARM_UP_SHARE = 0.25;
const SAMPLE_MS = 100;
/** PgBouncer accepts 100 in a platform by default. */
const MOST_CLIENTS = 220;
/** Backends of closed connections count until they have ended. */
const MOST_BACKENDS = 400;
const RESULT = new URL('../../docs/results/pgbouncer.md', import.meta.url);

const WAYS = ['direct', 'PgBouncer'] as const;
type Way = (typeof WAYS)[number];
type Connecting = 'kept' | 'each';
const CASES: readonly { readonly clients: number; readonly connecting: Connecting }[] = [
  { clients: 20, connecting: 'kept' },
  { clients: 50, connecting: 'kept' },
  { clients: 200, connecting: 'kept' },
  { clients: 20, connecting: 'each' },
  { clients: 50, connecting: 'each' },
];

interface Measured {
  readonly load: LoadResult;
  /** Most connections of the server at a time. */
  readonly connections: number;
  /** Of all processes of Postgres. */
  readonly mebibytes: number;
  /** Microseconds of processor time of Postgres and PgBouncer for one request. */
  readonly micros: number;
}

class Bench {
  readonly #urls: Record<Way, string>;
  readonly #admin: Client;

  constructor(postgres: PostgresService, pgbouncer: PostgresService, admin: Client) {
    const at = ({ host, port }: PostgresService): string => `postgresql://bench:bench@${host}:${port}/postgres`;
    this.#urls = { direct: at(postgres), PgBouncer: at(pgbouncer) };
    this.#admin = admin;
  }

  async measure(way: Way, { clients, connecting }: (typeof CASES)[number]): Promise<Measured> {
    // PgBouncer keeps its connections after a case: their memory would count for the direct ones.
    await this.#admin.query(`SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'bench'`);
    const kept = connecting === 'kept' ? await this.#connected(way, clients) : [];
    const send = (index: number): Promise<boolean> => (kept[index] ? request(kept[index]) : this.#alone(way));
    try {
      await closedLoop(clients, SECONDS * WARM_UP_SHARE, send);
      return await this.#measured(way, () => closedLoop(clients, SECONDS, send));
    } finally {
      await Promise.all(kept.map((client) => client.end()));
    }
  }

  async #measured(way: Way, run: () => Promise<LoadResult>): Promise<Measured> {
    const before = await processorSecondsByProgram();
    const running = run();
    const connections = await this.#mostConnections(way, running);
    const load = await running;
    const mebibytes = await mebibytesOf('Postgres');
    const after = await processorSecondsByProgram();
    if (load.failed > 0) throw new Error(`${load.failed} requests failed`);
    if (load.latencies.length === 0) throw new Error(`no request was answered within ${SECONDS} s: measure for longer`);
    const used = ['Postgres', 'PgBouncer'].reduce((sum, name) => sum + (after.get(name) ?? 0) - (before.get(name) ?? 0), 0);
    return { load, connections, mebibytes, micros: (used * 1e6) / load.latencies.length };
  }

  async #mostConnections(way: Way, work: Promise<unknown>): Promise<number> {
    let most = 0;
    const ended = new AbortController();
    const end = (): void => ended.abort();
    void work.then(end, end);
    while (!ended.signal.aborted) {
      const { rows } = await this.#admin.query<{ open: number }>(
        // PgBouncer keeps idle connections, which have no name yet.
        `SELECT count(*)::int AS open FROM pg_stat_activity WHERE usename = 'bench' AND (application_name = 'direct') = $1`,
        [way === 'direct'],
      );
      most = Math.max(most, rows[0]?.open ?? 0);
      await delay(SAMPLE_MS, undefined, { signal: ended.signal }).catch(() => undefined);
    }
    return most;
  }

  async #connected(way: Way, count: number): Promise<Client[]> {
    const clients: Client[] = [];
    for (let index = 0; index < count; index += 1) clients.push(await this.#connect(way));
    return clients;
  }

  async #connect(way: Way): Promise<Client> {
    const client = new Client({ connectionString: this.#urls[way], application_name: way });
    // A connection that is lost fails its request: that is reported, not this.
    client.on('error', () => undefined);
    await client.connect();
    return client;
  }

  async #alone(way: Way): Promise<boolean> {
    const client = await this.#connect(way);
    try {
      return await request(client);
    } finally {
      await client.end();
    }
  }
}

const anyRow = (): number => 1 + Math.floor(Math.random() * ROWS);

/** Reads a row and changes one, each in a transaction of its own. */
async function request(client: Client): Promise<boolean> {
  const read = await client.query('SELECT balance FROM bench WHERE id = $1', [anyRow()]);
  const written = await client.query('UPDATE bench SET balance = balance + 1 WHERE id = $1', [anyRow()]);
  return read.rowCount === 1 && written.rowCount === 1;
}

async function prepare(postgres: PostgresService, pgbouncer: PostgresService): Promise<Client> {
  const admin = new Client({ connectionString: postgres.url() });
  admin.on('error', () => undefined);
  await admin.connect();
  await admin.query(`CREATE ROLE bench LOGIN PASSWORD 'bench'`);
  await admin.query(`CREATE TABLE bench (id bigint PRIMARY KEY, balance bigint NOT NULL) WITH (fillfactor = 50)`);
  await admin.query('INSERT INTO bench SELECT n, 0 FROM generate_series(1, $1::int) AS n', [ROWS]);
  await admin.query('GRANT SELECT, UPDATE ON bench TO bench');
  await admin.query('VACUUM ANALYZE bench');
  const pooler = new Client({ connectionString: pgbouncer.url('pgbouncer') });
  await pooler.connect();
  await pooler.query(`SET max_client_conn = ${MOST_CLIENTS}`);
  await pooler.end();
  return admin;
}

/** By case and way, one entry a round. */
async function rounds(bench: Bench): Promise<Map<string, Measured[]>> {
  const results = new Map<string, Measured[]>();
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const one of CASES) {
      for (const way of round % 2 === 0 ? WAYS : WAYS.toReversed()) {
        const key = keyOf(one, way);
        results.set(key, [...(results.get(key) ?? []), await bench.measure(way, one)]);
      }
    }
    console.log(`round ${round + 1} of ${ROUNDS}`);
  }
  return results;
}

const keyOf = ({ clients, connecting }: (typeof CASES)[number], way: Way): string => `${clients} ${connecting} ${way}`;
const rateOf = ({ load }: Measured): number => load.latencies.length / load.seconds;

function row(one: (typeof CASES)[number], way: Way, results: ReadonlyMap<string, Measured[]>): string {
  const measured = results.get(keyOf(one, way)) ?? [];
  const direct = results.get(keyOf(one, 'direct')) ?? [];
  const ratios = measured.map((round, index) => rateOf(round) / rateOf(direct[index] ?? round));
  const cells = [
    String(one.clients),
    one.connecting === 'kept' ? 'kept' : 'one for each request',
    way,
    cell(
      measured.map(({ load }) => quantile(load.latencies, 0.95)),
      (ms) => ms.toFixed(1),
    ),
    cell(measured.map(rateOf)),
    way === 'direct' ? '' : `**${cell(ratios, precise)}**`,
    cell(measured.map(({ connections }) => connections)),
    one.connecting === 'kept' ? cell(measured.map(({ mebibytes }) => mebibytes)) : '',
    cell(measured.map(({ micros }) => micros)),
  ];
  return `| ${cells.join(' | ')} |`;
}

function report(results: ReadonlyMap<string, Measured[]>, load: string): string {
  const rows = CASES.flatMap((one) => WAYS.map((way) => row(one, way, results)));
  return `# PgBouncer against connections of the clients' own

Written by \`make bench-pgbouncer\` (\`node workloads/benchmarks/pgbouncer.ts ${SECONDS}\`) on ${new Date().toISOString().slice(0, 10)}; all figures come from one run.

| clients | connections | way | p95, ms | requests/s | of direct | server connections | memory of Postgres, MiB | µs of Postgres and PgBouncer |
|--:|---|---|--:|--:|--:|--:|--:|--:|
${rows.join('\n')}

- Medians of ${ROUNDS} rounds of ${SECONDS} s, in parentheses the lowest and the highest. A round measures both ways one after the other, in alternating order. Ratios are of one round.
- A request reads one row of ${whole(ROWS)} and changes another one, each statement in a transaction of its own. A client sends the next request when the former one is answered. Where each request has a connection, its time includes
  the connection with authentication (SCRAM).
- PgBouncer has the platform's pool: 20 server connections, and 5 in reserve. It accepts ${MOST_CLIENTS} clients here, and Postgres ${MOST_BACKENDS} connections; both numbers are lower in a platform: 200 clients need
  \`spec.pgbouncer.maxClientConnections\`, or without PgBouncer \`max_connections\`, of more than 200.
- Server connections: the most that Postgres had at a time. Memory: of its processes together, what they share counted once. µs: processor time for one request.
- Machine: ${availableParallelism()} processors, ${Math.round(totalmem() / 2 ** 30)} GiB, ${load}. The servers and one process with all clients share it: requests/s are bounded by the machine, not by the number of connections.
- Postgres runs with fsync off.
`;
}

const loadBefore = loadavg()[0] ?? 0;
const services = await startServices({ postgres: true, pgbouncer: true }, { postgresSettings: { max_connections: MOST_BACKENDS } });
try {
  const admin = await prepare(services.postgres, services.pgbouncer);
  const results = await rounds(new Bench(services.postgres, services.pgbouncer, admin));
  await admin.end();
  const text = report(results, `load ${loadBefore.toFixed(1)} before`);
  await writeFile(RESULT, text);
  process.stdout.write(`${text}\n`);
} finally {
  await services.stop();
}
process.exit(0);
