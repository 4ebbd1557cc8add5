/**
 * `make demo`: starts a cluster and a platform, sends a burst of events, and shows how the platform scales.
 * It can be repeated at any time, also after an interruption: every step is idempotent.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { uncompiledComponents, type Unavailable } from '../build/stack.ts';
import { describeError, Failure, tellingLines } from '../failure.ts';
import { Progress } from '../progress.ts';
import { installOperator } from '../target/install.ts';
import { chooseTarget } from '../target/choose.ts';
import { adaptManifest, describeSwitchedOff } from '../target/manifest.ts';
import { bringUp, bringUpWithStack, type Target } from '../target/target.ts';
import { audit } from './audit.ts';
import { costSection, monitoringCost } from './cost.ts';
import type { Incident } from './incident-text.ts';
import { showIncident } from './incident.ts';
import { showOrder, type OrderRun } from './order.ts';
import {
  Gateway,
  groupOffsets,
  isReady,
  minReplicasOf,
  missing,
  PlatformResource,
  prometheusValue,
  until,
  type LedgerCheck,
  type Replicas,
} from './platform.ts';
import { recordChart, recordPage, type DemoRecord } from './record.ts';
import { stackAddresses } from './stack.ts';
import { formatMissing, formatSummary, verdicts, type DemoFacts } from './summary.ts';
import { showTransfer, type TransferRun } from './transfer.ts';
import { TerminalRecording, terminalSvg } from './terminal.ts';
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
const SAMPLE_MS = 2000;
/** Of the recorded terminal: a run of two minutes in about half of one. */
const TERMINAL = { command: 'make demo', columns: 150, rows: 34, speed: 5, longestPause: 15 } as const;

async function main(): Promise<void> {
  const started = Date.now();
  const recording = RECORD === '' ? undefined : new TerminalRecording();
  const { target, reason } = chooseTarget();
  console.log(reason);
  try {
    const ok = await demo(target, started);
    process.exitCode = ok ? 0 : 1;
    if (recording !== undefined) await writeFile(`${RECORD}-terminal.svg`, terminalSvg(recording.lines(), TERMINAL));
  } finally {
    await target.close();
  }
}

/**
 * The autoscaler's part comes first: where the monitoring stack has yet to be compiled, the platform gets it afterwards.
 * @returns whether everything that the demo promises was seen
 */
async function demo(target: Target, started: number): Promise<boolean> {
  const warm = await target.hasStack();
  const progress = new Progress('demo', warm ? 8 : 10);
  await progress.step('cluster and images', () => (warm ? bringUpWithStack(target) : bringUp(target)));
  sayWhatStaysOnInterrupt();
  await progress.step('helm install bss-operator', () => installOperator(target));
  const platform = new PlatformResource(await target.kubectl(), NAMESPACE, PLATFORM);
  const readySeconds = await progress.step(
    'kubectl apply -f examples/demo.yaml, wait for Ready',
    () => applyAndWait(target, platform, warm ? [] : uncompiledComponents()),
    { live: false },
  );
  const events = await progress.step('events, and the autoscaler at work', () => burst(target, platform), { live: false });
  // It takes about a minute; what follows does not wait for it.
  const settling = settle(target, platform, events);
  settling.catch(() => undefined);
  const settled = () => progress.step('replicas taken back, every balance compared', () => settling, { live: false });
  const factsOf = (run: SettledRun): DemoFacts => ({
    ...run,
    readySeconds,
    totalSeconds: (Date.now() - started) / 1000,
    hints: target.hints(),
  });
  if (!warm) {
    console.log(`\n${formatSummary(factsOf(await settled()))}\n`);
    await addStack(target, platform, progress);
  }
  const transfer = await progress.step('a transfer, and its trace', () => aTransfer(target, platform), { live: false });
  const order = await progress.step('an order, its invoice and its payment', () => anOrder(target, platform), { live: false });
  const run = warm ? await settled() : await settling;
  const incident = await progress.step('an incident', () => anIncident(target, platform), { live: false });
  const addresses = [...run.addresses, ...(await stackAddresses(target, platform))];
  const facts = { ...factsOf(run), transfer, order, incident, addresses };
  console.log(`\n${formatSummary(facts)}`);
  return verdicts(facts).every((verdict) => verdict.ok);
}

/** Compiles the programs of the monitoring stack, and gives the platform its components. */
async function addStack(target: Target, platform: PlatformResource, progress: Progress): Promise<void> {
  await progress.step('monitoring stack: programs', (note) => target.loadStack(note));
  await progress.step('monitoring stack: components', () => applyAndWait(target, platform, []), { live: false });
}

async function gatewayOf(target: Target, platform: PlatformResource): Promise<Gateway> {
  return new Gateway(await target.forward(NAMESPACE, `${PLATFORM}-gateway`, 8080), () => platform.credential('api-key'));
}

/** @returns what became of the transfers, or why they did not go as they should */
async function aTransfer(target: Target, platform: PlatformResource): Promise<TransferRun | string | undefined> {
  const gateway = await gatewayOf(target, platform);
  return showTransfer(target, platform, gateway, (text) => console.log(`    ${text}`)).catch((error: unknown) => describeError(error));
}

/** @returns what became of it, or why it did not go as it should; undefined where the platform has no crm */
async function anOrder(target: Target, platform: PlatformResource): Promise<OrderRun | string | undefined> {
  const gateway = await gatewayOf(target, platform);
  return showOrder(platform, gateway, (text) => console.log(`    ${text}`)).catch((error: unknown) => describeError(error));
}

/** @returns what became of it, or why it did not go as it should */
async function anIncident(target: Target, platform: PlatformResource): Promise<Incident | string> {
  const gateway = await gatewayOf(target, platform);
  return showIncident(target, platform, gateway, (text) => console.log(`    ${text}`)).catch((error: unknown) => describeError(error));
}

/** From here on an interrupted demo leaves a running cluster, with which the next demo continues. */
function sayWhatStaysOnInterrupt(): void {
  process.once('SIGINT', () => {
    console.error('\nInterrupted. The cluster keeps running: make demo continues with it, make down removes it.');
    process.exit(130);
  });
}

/**
 * Applies the example with the workloads' image of this build, so that changed code replaces the pods of an earlier demo, and without the
 * components that cannot run.
 * @param without components whose programs are not compiled yet
 * @returns seconds from apply to Ready
 */
async function applyAndWait(target: Target, platform: PlatformResource, without: readonly Unavailable[]): Promise<number> {
  const adaptation = { tag: await target.imageTag(), unavailable: [...target.unavailable(), ...without] };
  const { text, switchedOff } = adaptManifest(await readFile(EXAMPLE, 'utf8'), adaptation);
  for (const line of describeSwitchedOff(switchedOff)) console.log(`    ${line}`);
  const applied = Date.now();
  await platform.kubectl.run(['apply', '-f', '-'], { input: text });
  let shown = '';
  const look = async (): Promise<boolean> => {
    const current = await platform.get();
    const line = formatMissing(missing(current));
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

/** A burst whose events are applied, and what is still watched of it. */
interface Burst {
  readonly accepted: number;
  readonly before: LedgerCheck;
  /** When every event was in the ledger, and nothing else yet. */
  readonly after: LedgerCheck;
  readonly watch: Watch;
  readonly gatewayUrl: string;
  readonly prometheusUrl: string;
}

/** Sends the two waves, and prints lag and replicas until every event is in the ledger. */
async function burst(target: Target, platform: PlatformResource): Promise<Burst> {
  const gatewayUrl = await target.forward(NAMESPACE, `${PLATFORM}-gateway`, 8080);
  const exporterUrl = await target.forward(NAMESPACE, `${PLATFORM}-kafka-exporter`, 9308);
  const prometheusUrl = await target.forward(NAMESPACE, `${PLATFORM}-prometheus`, 9090);
  const gateway = new Gateway(gatewayUrl, () => platform.credential('api-key'));
  const watch = new Watch(platform, exporterUrl);
  await watch.begin();
  const before = await until('the ledger to answer', 60_000, () => gateway.ledgerCheck());
  const accepted = await watch.untilDrained(send(gateway, watch));
  const after = await until('the ledger to hold every event', 60_000, async () => {
    const check = await gateway.ledgerCheck();
    return check.transactions - before.transactions >= accepted ? check : undefined;
  });
  return { accepted, before, after, watch, gatewayUrl, prometheusUrl };
}

/** Waits until the replicas are taken back, compares every balance meanwhile, and collects the results. */
async function settle(target: Target, platform: PlatformResource, { watch, gatewayUrl, prometheusUrl, ...ledger }: Burst) {
  const kafkaUrl = await target.forward(NAMESPACE, `${PLATFORM}-kafka`, 9092);
  const auditing = audit(platform, kafkaUrl).catch((error: unknown) => describeError(error));
  await watch.untilRest();
  const memoryBytes = await target.memoryBytes();
  if (RECORD !== '') {
    const record = await watch.record();
    const cost = await monitoringCost(prometheusUrl, record.samples.at(-1)?.at ?? 0);
    await keep(RECORD, record, costSection(cost, memoryBytes));
  }
  return {
    ...ledger,
    audit: await auditing,
    samples: watch.samples,
    callsPerBatch: await callsPerBatch(prometheusUrl),
    memoryBytes,
    addresses: [
      { what: 'gateway', url: `${gatewayUrl}/openapi.json` },
      { what: 'Prometheus', url: `${prometheusUrl}/query` },
    ],
  };
}

type SettledRun = Awaited<ReturnType<typeof settle>>;

/** Writes the run as a page, a chart and the samples behind them. */
async function keep(path: string, record: DemoRecord, cost: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const day = new Date().toISOString().slice(0, 10);
  await writeFile(`${path}.svg`, recordChart(record));
  await writeFile(`${path}.md`, `${recordPage(record, `${basename(path)}.svg`, day)}\n${cost}`);
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

/** Samples lag and replicas every two seconds. */
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

  /** Prints each sample until all is sent and the lag is gone. @returns what `seeding` does */
  async untilDrained(seeding: Promise<number>): Promise<number> {
    let sent = false;
    const failed = new Promise<never>((_, reject) => {
      seeding.then(() => (sent = true), reject);
    });
    const drained = this.#sampleUntil('the lag to drain', true, ({ lag }) => sent && lag === 0);
    await Promise.race([drained, failed]);
    return seeding;
  }

  /** Resolves when the replicas are back at the least. Prints scale actions only. */
  untilRest(): Promise<unknown> {
    return this.#sampleUntil('the consumers to be taken away', false, (last) => this.#isRest(last.lag, last));
  }

  #sampleUntil(what: string, print: boolean, reached: (last: TimelineSample) => boolean): Promise<unknown> {
    const look = async (): Promise<boolean> => {
      await this.#sample(print);
      const last = this.samples.at(-1);
      return last !== undefined && reached(last);
    };
    return until(what, REST_MS, look, SAMPLE_MS);
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

  async #sample(print: boolean): Promise<void> {
    const [offsets, replicas] = await Promise.all([this.#offsets(), this.#platform.replicas('interest')]);
    const previous = this.samples.at(-1);
    this.samples.push({
      at: (Date.now() - this.#started) / 1000,
      lag: offsets?.lag,
      applied: offsets === undefined ? (previous?.applied ?? 0) : offsets.committed - this.#committedAtStart,
      wanted: replicas.wanted,
      ready: replicas.ready,
    });
    const actions = scaleActions(this.samples.slice(-2));
    if (print) console.log(`    ${formatSample(this.samples, worstLag(this.samples))}`);
    else for (const { at, from, to } of actions) this.note(`replicas ${from} -> ${to} at ${Math.round(at)} s`);
    this.#reasonsDue += actions.length;
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
