/**
 * `make demo`: starts a cluster and a platform, sends a burst of events, and shows how the platform scales.
 * It can be repeated at any time, also after an interruption: every step is idempotent.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';
import { describeError, Failure, tellingLines } from '../failure.ts';
import { Progress } from '../progress.ts';
import { installOperator } from '../target/install.ts';
import { chooseTarget } from '../target/choose.ts';
import { bringUp, type Target } from '../target/target.ts';
import { audit } from './audit.ts';
import {
  Gateway,
  groupOffsets,
  isReady,
  minReplicasOf,
  missing,
  PlatformResource,
  prometheusValue,
  until,
  type Replicas,
} from './platform.ts';
import { recordChart, recordPage, type DemoRecord } from './record.ts';
import { formatSummary, verdicts } from './summary.ts';
import { formatSample, scaleActions, worstLag, type TimelineSample } from './timeline.ts';

const EXAMPLE = fileURLToPath(new URL('../../../examples/demo.yaml', import.meta.url));
const NAMESPACE = 'bss';
const PLATFORM = 'demo';
const GROUP = 'interest-batch';
/** The first wave: enough to see the path work. */
const FIRST_WAVE = 10_000;
/** A burst that keeps one CPU-limited consumer busy for minutes; DEMO_EVENTS overrides it. */
const BURST = Number(process.env['DEMO_EVENTS'] ?? 300_000);
const SEED_CHUNK = 50_000;
/** Where to keep the run: a path without ending, such as docs/results/demo-run. */
const RECORD = process.env['RECORD'] ?? '';
const REST_MS = 600_000;

async function main(): Promise<void> {
  const started = Date.now();
  const { target, reason } = chooseTarget();
  console.log(reason);
  try {
    const ok = await demo(target, started);
    process.exitCode = ok ? 0 : 1;
  } finally {
    await target.close();
  }
}

/** @returns whether everything that the demo promises was seen */
async function demo(target: Target, started: number): Promise<boolean> {
  const progress = new Progress('demo', 4);
  await progress.step('cluster and images', () => bringUp(target));
  sayWhatStaysOnInterrupt();
  await progress.step('helm install bss-operator', () => installOperator(target));
  const platform = new PlatformResource(await target.kubectl(), NAMESPACE, PLATFORM);
  const readySeconds = await progress.step('kubectl apply -f examples/demo.yaml, wait for Ready', () => applyAndWait(target, platform), {
    live: false,
  });
  const run = await progress.step('events, and the autoscaler at work', () => burst(target, platform), { live: false });
  const facts = { ...run, readySeconds, totalSeconds: (Date.now() - started) / 1000, hints: target.hints() };
  console.log(`\n${formatSummary(facts)}`);
  return verdicts(facts).every((verdict) => verdict.ok);
}

/** From here on an interrupted demo leaves a running cluster, with which the next demo continues. */
function sayWhatStaysOnInterrupt(): void {
  process.once('SIGINT', () => {
    console.error('\nInterrupted. The cluster keeps running: make demo continues with it, make down removes it.');
    process.exit(130);
  });
}

/** The example with the workloads' image of this build, so that changed code replaces the pods of an earlier demo. */
function withImage(example: string, tag: string | undefined): string {
  if (tag === undefined) return example;
  const objects = parseAllDocuments(example).map((document) => document.toJS() as { kind: string; spec?: object });
  const changed = objects.map((object) =>
    object.kind === 'BssPlatform'
      ? { ...object, spec: { ...object.spec, images: { workloads: `bss-platform/workloads:${tag}` } } }
      : object,
  );
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items: changed });
}

/** @returns seconds from apply to Ready */
async function applyAndWait(target: Target, platform: PlatformResource): Promise<number> {
  const applied = Date.now();
  await platform.kubectl.run(['apply', '-f', '-'], { input: withImage(await readFile(EXAMPLE, 'utf8'), await target.imageTag()) });
  let shown = '';
  const look = async (): Promise<boolean> => {
    const current = await platform.get();
    const line = missing(current).join('; ');
    if (line !== shown && line !== '') console.log(`    ${seconds(applied).padStart(5)}  waiting for ${line}`);
    shown = line;
    return isReady(current);
  };
  await until('the platform to become Ready', 300_000, look).catch((error: unknown) => notReady(platform, shown, error));
  return (Date.now() - applied) / 1000;
}

/** @throws always: what was missing, what the operator said last, and what to try */
async function notReady(platform: PlatformResource, waitingFor: string, cause: unknown): Promise<never> {
  const log = await platform.kubectl.run(['logs', '-n', 'bss-system', 'deployment/bss-operator', '--tail=200']).catch(String);
  throw new Failure(`The platform did not become Ready: ${waitingFor}. ${describeError(cause)}`, {
    log: tellingLines(log),
    tryNext: [
      'make shell',
      `kubectl describe bss ${PLATFORM} -n ${NAMESPACE}`,
      `node_modules/.bin/node operator/src/cli/main.ts doctor ${PLATFORM} -n ${NAMESPACE}`,
    ],
  });
}

/** Sends the two waves, prints lag and replicas until the group is settled, and collects the results. */
async function burst(target: Target, platform: PlatformResource) {
  const gatewayUrl = await target.forward(NAMESPACE, `${PLATFORM}-gateway`, 8080);
  const exporterUrl = await target.forward(NAMESPACE, `${PLATFORM}-kafka-exporter`, 9308);
  const prometheusUrl = await target.forward(NAMESPACE, `${PLATFORM}-prometheus`, 9090);
  const gateway = new Gateway(gatewayUrl, () => platform.credential('debug-token'));
  const watch = new Watch(platform, exporterUrl);
  await watch.begin();
  const before = await until('the ledger to answer', 60_000, () => gateway.ledgerCheck());
  const seeding = send(gateway, watch);
  await watch.untilRest(seeding);
  const accepted = await seeding;
  if (RECORD !== '') await keep(RECORD, await watch.record());
  const after = await until('the ledger to hold every event', 60_000, async () => {
    const check = await gateway.ledgerCheck();
    return check.transactions - before.transactions >= accepted ? check : undefined;
  });
  const kafkaUrl = await target.forward(NAMESPACE, `${PLATFORM}-kafka`, 9092);
  watch.note('checking every balance: an independent calculation over all events of the topic');
  return {
    accepted,
    before,
    after,
    audit: await audit(platform, kafkaUrl).catch((error: unknown) => describeError(error)),
    samples: watch.samples,
    callsPerBatch: await callsPerBatch(prometheusUrl),
    memoryBytes: await target.memoryBytes(),
    addresses: [
      { what: 'gateway', url: `${gatewayUrl}/openapi.json` },
      { what: 'Prometheus', url: `${prometheusUrl}/query` },
    ],
  };
}

/** Writes the run as a page, a chart and the samples behind them. */
async function keep(path: string, record: DemoRecord): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const day = new Date().toISOString().slice(0, 10);
  await writeFile(`${path}.svg`, recordChart(record));
  await writeFile(`${path}.md`, recordPage(record, `${basename(path)}.svg`, day));
  await writeFile(`${path}.json`, `${JSON.stringify(record)}\n`);
}

/** @returns the number of events that Kafka acknowledged */
async function send(gateway: Gateway, watch: Watch): Promise<number> {
  let accepted = await gateway.seed(FIRST_WAVE);
  watch.note(`${accepted.toLocaleString('en-US')} events sent; now a burst of ${BURST.toLocaleString('en-US')}`);
  while (accepted < FIRST_WAVE + BURST) accepted += await gateway.seed(Math.min(SEED_CHUNK, FIRST_WAVE + BURST - accepted));
  watch.note(`Kafka has acknowledged all ${accepted.toLocaleString('en-US')} events`);
  return accepted;
}

/** Samples lag and replicas every two seconds and prints a line for each. */
class Watch {
  readonly samples: TimelineSample[] = [];
  readonly #platform: PlatformResource;
  readonly #exporterUrl: string;
  #started = Date.now();
  #committedAtStart = 0;
  #minReplicas = 1;
  /** Scale actions seen whose event has not been. */
  #reasonsDue = 0;
  readonly #explained = new Set<string>();

  constructor(platform: PlatformResource, exporterUrl: string) {
    this.#platform = platform;
    this.#exporterUrl = exporterUrl;
  }

  /** Waits until nothing of an earlier run is left to apply, and takes what is there then for the start. */
  async begin(): Promise<void> {
    this.#minReplicas = minReplicasOf(await this.#platform.get(), 'interest');
    let told = false;
    await until('the events of an earlier run to be applied', REST_MS, async () => {
      const [offsets, replicas] = await Promise.all([this.#offsets(), this.#platform.replicas('interest')]);
      const atRest = this.#isRest(offsets?.lag ?? 0, replicas);
      if (!atRest && !told) this.note('events of an earlier run are still being processed: waiting until the group is settled');
      told ||= !atRest;
      return atRest;
    });
    this.#committedAtStart = (await this.#offsets())?.committed ?? 0;
    for (const { uid } of await this.#platform.scaleEvents()) this.#explained.add(uid);
    this.#started = Date.now();
  }

  #isRest(lag: number | undefined, { wanted, ready }: Replicas): boolean {
    return lag === 0 && wanted <= this.#minReplicas && ready <= this.#minReplicas;
  }

  note(text: string): void {
    console.log(`         ${text}`);
  }

  /** Resolves when all is sent, the lag is gone and the replicas are back at the least. */
  async untilRest(seeding: Promise<number>): Promise<void> {
    let sent = false;
    const failed = new Promise<never>((_, reject) => {
      seeding.then(() => (sent = true), reject);
    });
    const rest = until(
      'the lag to drain and the consumers to be taken away',
      REST_MS,
      async () => {
        await this.#sample();
        const last = this.samples.at(-1);
        return sent && last !== undefined && this.#isRest(last.lag, last);
      },
      2000,
    );
    await Promise.race([rest, failed]);
  }

  /** The samples, and the delay in each of the operator's samples. */
  async record(): Promise<DemoRecord> {
    const recording = await this.#platform.scaling().catch((error: unknown) => {
      this.note(`the operator's decisions are not available: ${describeError(error)}`);
    });
    const group = recording?.groups.find((one) => one.group === GROUP);
    const delays = (group?.decisions ?? []).flatMap(({ at, usable, delaySeconds }) =>
      usable && delaySeconds !== null && at >= this.#started ? [{ at: (at - this.#started) / 1000, delaySeconds }] : [],
    );
    return { samples: this.samples, delays, maxDelaySeconds: group?.policy.maxDelaySeconds };
  }

  async #sample(): Promise<void> {
    const [offsets, replicas] = await Promise.all([this.#offsets(), this.#platform.replicas('interest')]);
    const previous = this.samples.at(-1);
    this.samples.push({
      at: (Date.now() - this.#started) / 1000,
      lag: offsets?.lag,
      applied: offsets === undefined ? (previous?.applied ?? 0) : offsets.committed - this.#committedAtStart,
      wanted: replicas.wanted,
      ready: replicas.ready,
    });
    console.log(`    ${formatSample(this.samples, worstLag(this.samples))}`);
    if (scaleActions(this.samples.slice(-2)).length > 0) this.#reasonsDue += 1;
    if (this.#reasonsDue > 0) await this.#explain();
  }

  /** The reasons of the autoscaler's latest decisions: the events that it published since the last call. */
  async #explain(): Promise<void> {
    for (const { uid, text } of await this.#platform.scaleEvents()) {
      if (this.#explained.has(uid)) continue;
      this.#explained.add(uid);
      this.#reasonsDue -= 1;
      this.note(`autoscaler: ${text}`);
    }
  }

  async #offsets() {
    const response = await fetch(`${this.#exporterUrl}/metrics`).catch(() => undefined);
    return response?.ok ? groupOffsets(await response.text(), GROUP) : undefined;
  }
}

/** Mean of database calls per batch over the run, pods that are gone included; undefined when Prometheus has no such series yet. */
async function callsPerBatch(prometheusUrl: string): Promise<number | undefined> {
  const query = 'sum(max_over_time(interest_batch_db_calls_sum[15m])) / sum(max_over_time(interest_batch_db_calls_count[15m]))';
  return prometheusValue(prometheusUrl, query);
}

function seconds(since: number): string {
  return `${Math.round((Date.now() - since) / 1000)} s`;
}

// kafkajs computes a delay below zero, which Node takes as 1 ms and warns about.
process.removeAllListeners('warning').on('warning', (warning) => {
  if (warning.name !== 'TimeoutNegativeWarning') console.error(warning);
});

try {
  await main();
} catch (error) {
  console.error(`\n${describeError(error)}`);
  process.exitCode = 1;
}
