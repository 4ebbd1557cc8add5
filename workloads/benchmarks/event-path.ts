/** The path of a transfer as processes: gateway, orchestrator, ledger, relay and read model, as the platform runs them. */
import { randomUUIDv7 } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { once } from 'node:events';
import { buildPlatform, FIRST_SLOT, parseSpec } from '../../operator/src/platform/index.ts';
import { TOPIC as INTEREST_TOPIC } from '../shared/testing/platform.ts';
import { freePort, type Workload } from '../shared/testing/workload.ts';
import { KEY, type ReadModelPlatform } from '../read-model/testing/platform.ts';
import { HttpClient } from './load.ts';

/** In the order of a transfer. */
export const SERVICES = ['gateway', 'orchestrator', 'ledger', 'outbox-relay', 'read-model'] as const;
export type ServiceName = (typeof SERVICES)[number];

interface Workloads {
  template: { spec: { containers: { env?: { name: string; value?: string }[]; resources?: { limits?: { memory?: string } } }[] } };
}

/** How the operator runs a service in the profile `small`: options of Node, and its memory limit. */
export function runtimeOf(service: ServiceName): { nodeOptions: string; memoryLimit: string } {
  const parsed = parseSpec({ profile: 'small' });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  const identity = { name: 'demo', namespace: 'bss', operatorNamespace: 'bss-system' };
  const components = buildPlatform({ ...identity, spec: parsed.spec, secretHashes: {}, slots: FIRST_SLOT });
  const manifests = components.find(({ name }) => name === service)?.manifests ?? [];
  const deployment = manifests.find(({ kind }) => kind === 'Deployment')?.['spec'] as Workloads | undefined;
  const container = deployment?.template.spec.containers[0];
  const nodeOptions = container?.env?.find(({ name }) => name === 'NODE_OPTIONS')?.value;
  const memoryLimit = container?.resources?.limits?.memory;
  if (nodeOptions === undefined || memoryLimit === undefined) throw new Error(`${service} has no memory limit`);
  return { nodeOptions, memoryLimit };
}
/** As the platform's Prometheus scrapes. */
const SCRAPE_INTERVAL_MS = 5_000;

export interface EventPathOptions {
  /** Every request is traced and every process is scraped, as by default; or no span is recorded and nothing is scraped. */
  telemetry: boolean;
  /** Services that write a CPU profile into a folder when they end. */
  profile?: { services: readonly string[]; folder: string } | undefined;
}

/** Takes spans and forgets them, so that their storage is no part of the cost. */
export class SpanSink {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async start(): Promise<SpanSink> {
    const server = createServer((request, response) => {
      request.resume().once('end', () => response.writeHead(200, { 'content-type': 'application/json' }).end('{}'));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new SpanSink(server);
  }

  get url(): string {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the receiver of spans does not listen');
    return `http://127.0.0.1:${address.port}`;
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

export class EventPath {
  readonly services: ReadonlyMap<ServiceName, Workload>;
  readonly #platform: ReadModelPlatform;
  readonly #accounts: readonly string[];
  readonly #client: HttpClient;
  readonly #folder: string;
  readonly #sink: SpanSink | undefined;
  readonly #scrapes: NodeJS.Timeout | undefined;

  private constructor(
    platform: ReadModelPlatform,
    parts: { services: Map<ServiceName, Workload>; gateway: string; folder: string; sink: SpanSink | undefined },
  ) {
    this.#platform = platform;
    this.services = parts.services;
    this.#client = new HttpClient(parts.gateway);
    this.#folder = parts.folder;
    this.#sink = parts.sink;
    this.#accounts = platform.accounts.filter(({ currency }) => currency === 'EUR').map(({ id }) => id);
    if (parts.sink) this.#scrapes = setInterval(() => void this.#scrape(), SCRAPE_INTERVAL_MS);
  }

  /** Starts the services, and waits until they are ready. */
  static async start(platform: ReadModelPlatform, { telemetry, profile }: EventPathOptions): Promise<EventPath> {
    const folder = await mkdtemp(join(tmpdir(), 'event-path-'));
    const sink = telemetry ? await SpanSink.start() : undefined;
    const spans: Record<string, string> = sink ? { OTEL_EXPORTER_OTLP_ENDPOINT: sink.url } : { OTEL_TRACES_SAMPLER_ARG: '0' };
    const env = await environments(platform);
    const started = SERVICES.map(async (name): Promise<[ServiceName, Workload]> => {
      const profiled = profile?.services.includes(name)
        ? ` --cpu-prof --cpu-prof-dir=${profile.folder} --cpu-prof-name=${name}.cpuprofile`
        : '';
      const variables = { ...env.variables[name], ...spans, NODE_OPTIONS: `${runtimeOf(name).nodeOptions}${profiled}` };
      const workload = await platform.run(name, variables, join(folder, `${name}.log`));
      return [name, await workload.ready()];
    });
    return new EventPath(platform, { services: new Map(await Promise.all(started)), gateway: env.gateway, folder, sink });
  }

  /** One transfer of one minor unit between two customers. @returns whether it is made */
  async transfer(): Promise<boolean> {
    const [fromAccount, toAccount] = this.#pair();
    const body = JSON.stringify({ fromAccount, toAccount, amountMinor: '1', currency: 'EUR' });
    const { status } = await this.#client.post('/api/v1/transfers', body, { 'x-api-key': KEY, 'idempotency-key': randomUUIDv7() });
    return status === 201;
  }

  #pair(): [string, string] {
    const from = Math.floor(Math.random() * this.#accounts.length);
    const to = (from + 1 + Math.floor(Math.random() * (this.#accounts.length - 1))) % this.#accounts.length;
    return [this.#accounts[from] ?? '', this.#accounts[to] ?? ''];
  }

  /** The metrics of a service as a text. */
  async exposition(name: ServiceName): Promise<string> {
    const { metricsUrl } = this.#service(name);
    return (await fetch(`${metricsUrl}/metrics`)).text();
  }

  /** The value of a metric, summed over the services. */
  async total(metric: string): Promise<number> {
    const values = await Promise.all([...this.services.values()].map((workload) => workload.metric(metric)));
    return values.reduce((sum, value) => sum + value, 0);
  }

  /** Waits until every entry is published and projected. */
  settled(): Promise<void> {
    return this.#platform.settled();
  }

  /** Process id of a service. */
  pid(name: ServiceName): number {
    return this.#service(name).pid;
  }

  #service(name: ServiceName): Workload {
    const workload = this.services.get(name);
    if (!workload) throw new Error(`${name} does not run`);
    return workload;
  }

  async #scrape(): Promise<void> {
    const headers = { accept: 'application/openmetrics-text;version=1.0.0' };
    await Promise.allSettled(
      [...this.services.values()].map(async ({ metricsUrl }) => (await fetch(`${metricsUrl}/metrics`, { headers })).text()),
    );
  }

  /** Ends the services, from the gateway on. */
  async stop(): Promise<void> {
    clearInterval(this.#scrapes);
    this.#client.close();
    await Promise.all([...this.services.values()].map((workload) => workload.stop()));
    this.#sink?.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** The variables of each service, apart from those of telemetry, and the address of the gateway. */
async function environments(platform: ReadModelPlatform) {
  const ports = await Promise.all(['gateway', 'orchestrator', 'ledger', 'read-model'].map(freePort));
  const [gateway = 0, orchestrator = 0, ledger = 0, readModel = 0] = ports;
  const at = (port: number): string => `http://127.0.0.1:${port}`;
  const ledgerClient = { LEDGER_URL: at(ledger), LEDGER_API_KEY: KEY };
  const variables: Record<ServiceName, Record<string, string>> = {
    gateway: {
      ...platform.env('ledger'),
      ...ledgerClient,
      PORT: String(gateway),
      ORCHESTRATOR_URL: at(orchestrator),
      ORCHESTRATOR_API_KEY: KEY,
      READ_MODEL_URL: at(readModel),
      READ_MODEL_API_KEY: KEY,
      INTEREST_TOPIC,
      // The load comes from one client.
      REQUESTS_PER_SECOND: '1000000',
    },
    orchestrator: { ...platform.env('orchestrator'), ...ledgerClient, PORT: String(orchestrator) },
    ledger: { ...platform.env('ledger'), PORT: String(ledger) },
    'outbox-relay': platform.env('ledger', 'relay'),
    'read-model': { ...platform.env(), PORT: String(readModel) },
  };
  return { variables, gateway: at(gateway) };
}
