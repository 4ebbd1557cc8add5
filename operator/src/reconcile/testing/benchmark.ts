/**
 * `node operator/src/reconcile/testing/benchmark.ts [platforms] [seconds]`: what many platforms cost the operator, on a real API server and a real Kafka, with
 * a hand in place of nodes and controllers. Prints the figures and writes docs/results/operator-scale.md.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, loadavg, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import process from 'node:process';
import { setTimeout as pause } from 'node:timers/promises';
import { until } from '../../runtime/testing/harness.ts';
import { Cluster, type TestPlatform } from './cluster.ts';
import type { OperatorProcess } from './operator-process.ts';
import { consumption, median } from './process-usage.ts';

const PLATFORMS = Number(process.argv[2] ?? 200);
const SECONDS = Number(process.argv[3] ?? 60);
const SINGLES = 5;
const LIMIT_MS = 10 * 60_000;
const RESULT = new URL('../../../../docs/results/operator-scale.md', import.meta.url);

/** The smallest platform that serves anything: Postgres, PgBouncer, migration, ledger and gateway on a Kafka of the user's. */
const OFF = { enabled: false };
const MINIMAL = {
  workloads: { interest: OFF, kafkaExporter: OFF, outboxRelay: OFF, orchestrator: OFF, readModel: OFF, accounts: OFF, crm: OFF },
};

interface Row {
  what: string;
  value: string;
  goal: string;
}

/** Number of platforms that are ready and had their first pass since the operator's start. */
async function readyPlatforms(operator: OperatorProcess): Promise<number> {
  return (await operator.metrics()).match(/^bss_platform_ready\{.*\} 1$/gm)?.length ?? 0;
}

async function untilReady(cluster: Cluster, count: number): Promise<void> {
  await until(`${count} platforms to be ready`, LIMIT_MS, async () => {
    await pause(100);
    return (await readyPlatforms(cluster.operator)) === count;
  });
}

/** No pass for ten seconds. */
async function untilQuiet(cluster: Cluster): Promise<void> {
  let [passes, since] = [-1, performance.now()];
  await until('the operator to have nothing to do', LIMIT_MS, async () => {
    await pause(500);
    const now = await cluster.passes();
    if (now !== passes) [passes, since] = [now, performance.now()];
    return performance.now() - since > 10_000;
  });
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await work();
  return (performance.now() - begun) / 1000;
}

/** From the creation of a platform until all of its objects exist, one platform after the other on an operator that has nothing else to do. */
async function singles(cluster: Cluster): Promise<{ seconds: number; objects: number }> {
  const times: number[] = [];
  let objects = 0;
  for (let index = 0; index < SINGLES; index += 1) {
    let platform: TestPlatform | undefined;
    times.push(await seconds(async () => (platform = await cluster.platform(`scale-${index}`, MINIMAL)).ready()));
    objects = (await platform?.status())?.inventory?.length ?? 0;
  }
  return { seconds: median(times), objects };
}

async function many(cluster: Cluster): Promise<number> {
  const names = Array.from({ length: PLATFORMS - SINGLES }, (_value, index) => `scale-${index + SINGLES}`);
  return seconds(async () => {
    // Eight at a time, as fast as the API server takes them.
    const create = async () => {
      for (let name = names.shift(); name !== undefined; name = names.shift()) await cluster.platform(name, MINIMAL);
    };
    await Promise.all(Array.from({ length: 8 }, create));
    await untilReady(cluster, PLATFORMS);
  });
}

/** Restarts the operator: seconds until it leads, and until it has reconciled every platform. */
async function restart(cluster: Cluster): Promise<{ leads: number; reconciled: number }> {
  await cluster.operator.stop();
  let leads = 0;
  const reconciled = await seconds(async () => {
    leads = await seconds(() => cluster.startOperator());
    await untilReady(cluster, PLATFORMS);
  });
  return { leads, reconciled };
}

interface Steady {
  rss: number;
  peak: number;
  /** Percent of one core. */
  cpu: number;
  passes: number;
  writes: number;
}

async function steady(cluster: Cluster): Promise<Steady> {
  const [passes, writes] = [await cluster.passes(), (await cluster.writes()).length];
  const { rss, peak, cpu, seconds: taken } = await consumption(cluster.operator.pid, SECONDS);
  return {
    rss,
    peak,
    cpu: (100 * cpu) / taken,
    passes: (await cluster.passes()) - passes,
    writes: (await cluster.writes()).length - writes,
  };
}

async function measure(cluster: Cluster): Promise<Row[]> {
  const one = await singles(cluster);
  const all = await many(cluster);
  await untilQuiet(cluster);
  const again = await restart(cluster);
  await untilQuiet(cluster);
  const calm = await steady(cluster);
  const s = (value: number) => `${value.toFixed(1)} s`;
  const mib = (value: number) => `${Math.round(value)} MiB`;
  return [
    {
      what: `apply of one platform to all of its ${one.objects} objects, ready (median of ${SINGLES})`,
      value: s(one.seconds),
      goal: '3 s',
    },
    { what: `apply of the other ${PLATFORMS - SINGLES} at once, all ready`, value: s(all), goal: '' },
    { what: 'restart: until the operator leads', value: s(again.leads), goal: '' },
    { what: `restart: until all ${PLATFORMS} are reconciled`, value: s(again.reconciled), goal: '60 s' },
    { what: `memory (RSS), median over ${SECONDS} s`, value: mib(calm.rss), goal: '250 MB' },
    { what: 'memory (RSS), peak since the restart', value: mib(calm.peak), goal: '' },
    { what: `processor over ${SECONDS} s, of one core`, value: `${calm.cpu.toFixed(1)} %`, goal: '2 %' },
    { what: `passes over ${SECONDS} s, all platforms`, value: String(calm.passes), goal: '' },
    { what: `writes over ${SECONDS} s, all platforms`, value: String(calm.writes), goal: '0' },
  ];
}

function page(rows: Row[], load: string): string {
  const table = rows.map(({ what, value, goal }) => `| ${what} | ${value} | ${goal} |`).join('\n');
  return `# What ${PLATFORMS} platforms cost the operator

Written by \`make bench-operator\` on ${new Date().toISOString().slice(0, 10)}; all rows come from one run.

| figure | measured | goal |
|---|--:|--:|
${table}

- Machine: ${availableParallelism()} processors, ${Math.round(totalmem() / 2 ** 30)} GiB, load ${load}. API server, etcd, Kafka, operator and benchmark share it.
- A platform here: Postgres, PgBouncer, migration, ledger and gateway on one external Kafka; no Redis, no Prometheus, no network policies, no consumers.
- No nodes: a hand in place of controllers and kubelets says of each object that it is healthy as soon as it sees it.
- The operator is a process of its own with the chart's rights, the chart's \`NODE_OPTIONS\` and a compile cache, as in the image.
`;
}

const before = loadavg()[0]?.toFixed(1);
// As the image has it; the first operator fills it.
const compiled = await mkdtemp(join(tmpdir(), 'bss-operator-'));
const cluster = await Cluster.start({ environment: { NODE_COMPILE_CACHE: compiled } });
try {
  const rows = await measure(cluster);
  for (const { what, value, goal } of rows)
    console.log(`${what.padEnd(72)} ${value.padStart(9)}${goal === '' ? '' : `   (goal: ${goal})`}`);
  if (PLATFORMS === 200) await writeFile(RESULT, page(rows, `${before} before and ${loadavg()[0]?.toFixed(1)} after`));
} finally {
  await cluster.stop();
  await rm(compiled, { recursive: true });
}
