/**
 * `node workloads/benchmarks/interest-in-cluster.ts [events [rounds]]`: events per second of one replica of the interest consumer in a cluster, beside COPY
 * of the same rows into the same Postgres and beside one event at a time. CLUSTER and NAME pick the cluster, as for `make demo`. It works on a
 * platform of its own, which is deleted at the end. Prints the table and writes docs/results/interest-in-cluster.md.
 */
import { writeFile } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';
import process from 'node:process';
import { Gateway, isReady, PlatformResource, until } from '../../local/src/demo/platform.ts';
import { Progress } from '../../local/src/progress.ts';
import { chooseTarget } from '../../local/src/target/choose.ts';
import { installOperator } from '../../local/src/target/install.ts';
import { bringUp, type Target } from '../../local/src/target/target.ts';
import { cell, medianRow, precise, rate, STEADY_SHARE, table, type Row } from './report.ts';

const EVENTS = Number(process.argv[2] ?? 300_000);
/** An odd number. */
const ROUNDS = Number(process.argv[3] ?? 3);
const ONE_BY_ONE = 2_000;
const SEED_CHUNK = 50_000;
const ACCOUNTS = 10_000;
/** Of the replica; the profile gives it more. */
const MEMORY_MEBIBYTES = 256;
const NAMESPACE = 'bss-benchmark';
const PLATFORM = 'bench';
const TOPIC = 'interest.transaction.v1';
const RESULT = new URL('../../docs/results/interest-in-cluster.md', import.meta.url);
const MINUTE = 60_000;
/** Events that the consumer's positions are past. */
const APPLIED = `(SELECT coalesce(sum(next_offset), 0) FROM consumer_offset WHERE topic = '${TOPIC}')`;

/** The consumers behind the ledger's outbox. Each entry of the ledger is published and projected, in the same Postgres and Kafka. */
const EVENT_PATH = ['outboxRelay', 'readModel'];

/** One replica with as much CPU as it can use, as Postgres has, or none while its backlog is made. */
const MANIFEST = {
  apiVersion: 'v1',
  kind: 'List',
  items: [
    {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: NAMESPACE, labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
    },
    {
      apiVersion: 'bss-platform.io/v1alpha1',
      kind: 'BssPlatform',
      metadata: { name: PLATFORM, namespace: NAMESPACE },
      spec: {
        profile: 'small',
        deletionPolicy: 'delete',
        seedAccounts: ACCOUNTS,
        // One replica is measured: nothing else competes for the processors.
        postgres: { managed: { resources: { limits: { cpu: '2' } } } },
        ...Object.fromEntries(['grafana', 'loki', 'tempo', 'jaeger', 'nodeExporter'].map((part) => [part, { enabled: false }])),
        workloads: {
          gateway: { debugSeed: { enabled: true } },
          interest: { replicas: 0, resources: { limits: { cpu: '2', memory: `${MEMORY_MEBIBYTES}Mi` } } },
          crm: { enabled: false },
          ...eventPath(0),
        },
      },
    },
  ],
};

function eventPath(replicas: number): object {
  return Object.fromEntries(EVENT_PATH.map((part) => [part, { replicas }]));
}

/** How much was applied when, by the clock of the server in seconds. */
interface Sample {
  readonly at: number;
  readonly applied: number;
}

/** Samples until all was applied, and when that was. */
interface Course {
  readonly samples: readonly Sample[];
  readonly end: number;
}

interface Drained {
  /** Without the end of the backlog, see STEADY_SHARE. */
  readonly steady: Row;
  readonly toEnd: Row;
}

class Bench {
  readonly #platform: PlatformResource;
  readonly #gateway: Gateway;
  readonly #password: Promise<string>;

  constructor(platform: PlatformResource, gateway: Gateway) {
    this.#platform = platform;
    this.#gateway = gateway;
    this.#password = platform.credential('postgres-password');
  }

  /** Events wait in Kafka before the replica starts; timed from its first applied batch. */
  async drain(name: string, events: number, maxRecords: number): Promise<Drained> {
    await this.#setInterest({ replicas: 0, batch: { maxRecords } });
    await until('the consumer to be gone', MINUTE, async () => (await this.#platform.replicas('interest')).ready === 0);
    const before = Number(await this.#sql(`SELECT ${APPLIED}`));
    let accepted = 0;
    while (accepted < events) accepted += await this.#gateway.seed(Math.min(SEED_CHUNK, events - accepted));
    // Nothing asks the API server meanwhile.
    const [{ samples, end }] = await Promise.all([this.#courseUntil(before + accepted), this.#patch({ interest: { replicas: 1 } })]);
    await this.#ready();
    const first = samples.find(({ applied }) => applied > before);
    if (first === undefined) throw new Error('all events were applied between two looks; take more of them');
    const steady = samples.find(({ applied }) => applied >= before + STEADY_SHARE * accepted) ?? { applied: before + accepted, at: end };
    const timed = ({ applied, at }: Sample): Row => ({ name, events: applied - first.applied, seconds: at - first.at });
    return { steady: timed(steady), toEnd: timed({ applied: before + accepted, at: end }) };
  }

  /**
   * Looks five times a second how much is applied, until it is `target`. One session does it: a `kubectl exec` for each look would take processor
   * time from what is measured.
   */
  async #courseUntil(target: number): Promise<Course> {
    const text = await this.#sql(`
      SELECT extract(epoch FROM clock_timestamp()), ${APPLIED} AS applied WHERE ${APPLIED} < ${target} \\watch interval=0.2 min_rows=1
      SELECT 'end', extract(epoch FROM clock_timestamp());`);
    const rows = text.split('\n').map((line) => line.split('|'));
    const samples = rows.flatMap(([at, applied]) =>
      at === 'end' || applied === undefined ? [] : [{ at: Number(at), applied: Number(applied) }],
    );
    return { samples, end: Number(rows.find(([label]) => label === 'end')?.[1]) };
  }

  /** The most memory that counted against the replica's limit since its start, in MiB. */
  async peakMemory(): Promise<number> {
    const files = '/sys/fs/cgroup/memory.peak /sys/fs/cgroup/memory/memory.max_usage_in_bytes';
    // One of them exists, by the version of cgroups.
    const command = ['sh', '-c', `cat ${files} 2>/dev/null || true`];
    const replica = ['-n', NAMESPACE, `deployment/${PLATFORM}-interest`];
    const bytes = Number((await this.#platform.kubectl.run(['exec', ...replica, '--', ...command])).trim());
    if (!(bytes > 0)) throw new Error(`the replica's container has none of ${files}`);
    return bytes / 2 ** 20;
  }

  /** The journal once more by COPY, into tables with the same columns and indexes, without the ledger's trigger; timed by the server. */
  async copy(): Promise<Row> {
    const text = await this.#sql(`
      CREATE TABLE copy_journal (LIKE journal_transaction INCLUDING ALL);
      CREATE TABLE copy_posting (LIKE posting INCLUDING ALL);
      COPY (SELECT * FROM journal_transaction WHERE kind = 'interest') TO '/data/journal';
      COPY (SELECT p.* FROM posting p JOIN journal_transaction t ON t.id = p.transaction_id WHERE t.kind = 'interest') TO '/data/posting';
      SELECT 'start ' || extract(epoch FROM clock_timestamp());
      COPY copy_journal FROM '/data/journal';
      COPY copy_posting FROM '/data/posting';
      SELECT 'end ' || extract(epoch FROM clock_timestamp());
      SELECT 'rows ' || count(*) FROM copy_journal;
      DROP TABLE copy_journal, copy_posting;`);
    const figure = (name: string): number => Number(new RegExp(`^${name} ([\\d.]+)$`, 'm').exec(text)?.[1]);
    return {
      name: 'COPY of the same rows (server side, no trigger, no balances)',
      events: figure('rows'),
      seconds: figure('end') - figure('start'),
    };
  }

  settings(): Promise<string> {
    const names = ['server_version', 'synchronous_commit', 'fsync', 'shared_buffers'];
    const selected = names.map((name) => `'${name} ' || current_setting('${name}')`).join(` || ', ' || `);
    return this.#sql(`SELECT ${selected}`);
  }

  /** Starts or stops what publishes and projects the entries of the ledger. Started, it first does what has been left. */
  async setEventPath(on: boolean): Promise<void> {
    await this.#setWorkloads(eventPath(on ? 1 : 0));
    if (!on) return;
    const empty = async (): Promise<boolean> => (await this.#sql('SELECT count(*) FROM outbox')) === '0';
    await until('the outbox to be empty', 10 * MINUTE, empty, 5000);
  }

  #setInterest(interest: object): Promise<void> {
    return this.#setWorkloads({ interest });
  }

  async #setWorkloads(workloads: object): Promise<void> {
    await this.#patch(workloads);
    await this.#ready();
  }

  async #patch(workloads: object): Promise<void> {
    const patch = JSON.stringify({ spec: { workloads } });
    await this.#platform.kubectl.run(['patch', 'bss', PLATFORM, '-n', NAMESPACE, '--type=merge', '-p', patch]);
  }

  #ready(): Promise<unknown> {
    return until('Ready', 2 * MINUTE, async () => isReady(await this.#platform.get()), 1000);
  }

  /** The password goes by standard input: a command line can be seen by others. */
  async #sql(statements: string): Promise<string> {
    const psql = '/usr/lib/postgresql/17/bin/psql -h /tmp -U postgres -d ledger -qAt -v ON_ERROR_STOP=1';
    const command = ['sh', '-c', `read -r PGPASSWORD && export PGPASSWORD && exec ${psql}`];
    const pod = ['-n', NAMESPACE, '-c', 'postgres', `${PLATFORM}-postgres-0`];
    const input = `${await this.#password}\n${statements}`;
    return (await this.#platform.kubectl.run(['exec', '-i', ...pod, '--', ...command], { input, timeoutMs: 10 * MINUTE })).trim();
  }
}

async function prepare(target: Target): Promise<Bench> {
  await bringUp(target);
  await installOperator(target);
  const platform = new PlatformResource(await target.kubectl(), NAMESPACE, PLATFORM);
  await platform.kubectl.run(['apply', '-f', '-'], { input: JSON.stringify(MANIFEST) });
  await until('the platform to become Ready', 4 * MINUTE, async () => isReady(await platform.get()));
  const url = await target.forward(NAMESPACE, `${PLATFORM}-gateway`, 8080);
  const gateway = new Gateway(url, () => platform.credential('api-key'));
  await until('the ledger to answer', MINUTE, () => gateway.ledgerCheck());
  return new Bench(platform, gateway);
}

/** The same events by one replica and by COPY, one after the other. */
interface Round {
  readonly replica: Drained;
  readonly copy: Row;
  /** Of the replica, in MiB. */
  readonly memory: number;
}

async function inRound(bench: Bench): Promise<Round> {
  const replica = await bench.drain('Kafka to database, one replica, batches of 5000', EVENTS, 5_000);
  const memory = await bench.peakMemory();
  return { replica, memory, copy: await bench.copy() };
}

async function measure(bench: Bench): Promise<string> {
  const rounds: Round[] = [];
  while (rounds.length < ROUNDS) rounds.push(await inRound(bench));
  const [copy, replica] = [medianRow(rounds.map((round) => round.copy)), medianRow(rounds.map((round) => round.replica.steady))];
  await bench.setEventPath(true);
  const { steady: shared } = await bench.drain('the same, while relay and read model publish and project what it writes', EVENTS, 5_000);
  await bench.setEventPath(false);
  const { steady: single } = await bench.drain('Kafka to database, one replica, one event at a time', ONE_BY_ONE, 1);
  const ofCopy = (part: keyof Drained): string =>
    cell(
      rounds.map((round) => rate(round.replica[part]) / rate(round.copy)),
      precise,
    );
  return `# What one replica of the interest consumer applies per second in a cluster

Written by \`node workloads/benchmarks/interest-in-cluster.ts ${EVENTS} ${ROUNDS}\` on ${new Date().toISOString().slice(0, 10)}; all rows come from one run.

${table([copy, replica, shared, single])}

- One replica, of COPY in the same round: ${ofCopy('steady')}. The first two rows are those with the median rate of ${ROUNDS} rounds.
- Each drain is timed until ${STEADY_SHARE * 100} % of the backlog is applied. At its end, fetches wait for 1 MiB or for 500 ms: with it, the ratio is ${ofCopy('toEnd')}.
- The replica's memory, as it counts against its limit of ${MEMORY_MEBIBYTES} MiB: ${Math.max(...rounds.map(({ memory }) => memory)).toFixed(0)} MiB at most while it applied a backlog.
- Machine: ${availableParallelism()} processors, ${Math.round(totalmem() / 2 ** 30)} GiB; control plane, Kafka, Postgres, PgBouncer, Prometheus and the consumer share it.
- Postgres: ${await bench.settings()}; it may use two processors, as the replica may. In the profile \`small\` it has one.
- Relay and read model are stopped for the other rows: an event is two entries of the ledger, each of which the relay reads, Kafka takes, and the read model writes.
- One event is one journal transaction and two postings, over ${ACCOUNTS.toLocaleString('en')} accounts. The events wait in Kafka before the replica starts; its start is not in the figure.
`;
}

const { target, reason } = chooseTarget();
console.log(reason);
const progress = new Progress('benchmark', 3);
try {
  const bench = await progress.step('cluster, operator, platform', () => prepare(target));
  const report = await progress.step('measure', () => measure(bench));
  await writeFile(RESULT, report);
  process.stdout.write(`\n${report}\n`);
} finally {
  await progress.step('delete the platform', async () => {
    const kubectl = await target.kubectl();
    await kubectl.run(['delete', 'namespace', NAMESPACE, '--ignore-not-found', '--timeout=120s']);
  });
  await target.close();
}
