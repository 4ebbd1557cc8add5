/** The platform's interfaces: the status of the resource, the gateway's HTTP API, the exporter's metrics. The demo and the tests share them. */
import { setTimeout as pause } from 'node:timers/promises';
import { recordingSchema, type Recording } from '../../../operator/src/autoscale/recording.ts';
import type { Kubectl } from '../target/kubectl.ts';

/** An overloaded gateway gets this long to recover. */
const OVERLOADED_LIMIT_MS = 60_000;

export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
}

export interface ComponentStatus {
  readonly name: string;
  readonly ready: number;
  readonly desired: number;
  readonly message?: string;
}

export interface ConsumerGroup {
  readonly name: string;
  readonly lag?: number;
  readonly delaySeconds?: number;
  readonly replicas?: number;
  readonly desiredReplicas?: number;
  readonly reason?: string;
  readonly message?: string;
}

/** The part of a BssPlatform that the demo reads. */
export interface PlatformView {
  readonly metadata: { readonly name: string; readonly generation: number };
  readonly spec: {
    readonly workloads?: Readonly<Record<string, { readonly autoscaling?: { readonly minReplicas?: number } }>>;
  };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly version?: string;
    readonly conditions?: readonly Condition[];
    readonly components?: readonly ComponentStatus[];
    readonly consumerGroups?: readonly ConsumerGroup[];
    readonly alerts?: { readonly firing: readonly { readonly name: string }[] };
  };
}

/** An account as the gateway lists it. */
export interface Account {
  readonly id: string;
  readonly currency: string;
}

/** What `GET /api/v1/ledger/check` answers; sums are decimal strings of minor units. */
export interface LedgerCheck {
  readonly ok: boolean;
  readonly accounts: number;
  readonly transactions: number;
  readonly postings: number;
  readonly sumMinor: string;
  readonly balanceMismatches: number;
  readonly unbalancedTransactions: number;
}

export interface Replicas {
  readonly wanted: number;
  readonly ready: number;
}

interface ScaleEvent {
  readonly metadata: { readonly uid: string };
  readonly involvedObject: { readonly name: string };
  readonly reason: string;
  readonly message: string;
  readonly eventTime?: string | null;
  readonly series?: { readonly count: number };
}

/** Reads one platform through kubectl. */
export class PlatformResource {
  readonly kubectl: Kubectl;
  readonly namespace: string;
  readonly name: string;

  constructor(kubectl: Kubectl, namespace: string, name: string) {
    this.kubectl = kubectl;
    this.namespace = namespace;
    this.name = name;
  }

  get(): Promise<PlatformView | undefined> {
    return this.kubectl.find<PlatformView>(['bssplatform', this.name, '-n', this.namespace]);
  }

  /** Wanted and ready replicas of one of its Deployments; zeros where there is none yet. */
  async replicas(component: string): Promise<Replicas> {
    const deployment = await this.kubectl.find<{ spec: { replicas: number }; status?: { readyReplicas?: number } }>([
      'deployment',
      `${this.name}-${component}`,
      '-n',
      this.namespace,
    ]);
    return { wanted: deployment?.spec.replicas ?? 0, ready: deployment?.status?.readyReplicas ?? 0 };
  }

  /** What the autoscaler said of its actions, oldest first. `uid` changes when an event is repeated. */
  async scaleEvents(): Promise<{ uid: string; text: string }[]> {
    const { items } = await this.kubectl.json<{ items: ScaleEvent[] }>(['get', 'events', '-n', this.namespace]);
    return items
      .filter((event) => event.involvedObject.name === this.name && (event.reason === 'ScaledUp' || event.reason === 'ScaledDown'))
      .toSorted((a, b) => (a.eventTime ?? '').localeCompare(b.eventTime ?? ''))
      .map((event) => ({ uid: `${event.metadata.uid}/${event.series?.count ?? 1}`, text: event.message }));
  }

  /** The autoscaler's decisions of the last hour, from the operator that leads. */
  async scaling(): Promise<Recording> {
    const place = 'bss-system';
    const lease = await this.kubectl.json<{ spec: { holderIdentity: string } }>(['get', 'lease', 'bss-operator', '-n', place]);
    const holder = lease.spec.holderIdentity;
    const pod = holder.slice(0, holder.lastIndexOf('_'));
    const path = `/api/v1/namespaces/${place}/pods/${pod}:8081/proxy/scaling/${this.namespace}/${this.name}`;
    return recordingSchema.parse(JSON.parse(await this.kubectl.run(['get', '--raw', path])));
  }

  /**
   * Runs SQL on the ledger database as its administrator, in the pod of the managed Postgres.
   * @returns what psql prints, without headers
   * @throws KubectlError with the message of psql
   */
  async sql(text: string): Promise<string> {
    // The password goes by standard input: arguments of processes can be read by others.
    const psql = '/usr/lib/postgresql/17/bin/psql -h 127.0.0.1 -U postgres -d ledger -qAtX -v ON_ERROR_STOP=1';
    const shell = `IFS= read -r PGPASSWORD; export PGPASSWORD; exec ${psql}`;
    return this.kubectl.run(['exec', '-i', '-n', this.namespace, `${this.name}-postgres-0`, '-c', 'postgres', '--', 'sh', '-c', shell], {
      input: `${await this.credential('postgres-password')}\n${text}`,
    });
  }

  /** One value of the platform's generated credentials. Throws when the Secret or the key is missing. */
  async credential(key: string): Promise<string> {
    const secret = await this.kubectl.json<{ data: Record<string, string> }>([
      'get',
      'secret',
      `${this.name}-credentials`,
      '-n',
      this.namespace,
    ]);
    const value = secret.data[key];
    if (value === undefined)
      throw new Error(`Secret ${this.name}-credentials has no key ${key}; it has ${Object.keys(secret.data).join(', ')}`);
    return Buffer.from(value, 'base64').toString();
  }
}

/** True when the status is about the current spec and Ready is True. */
export function isReady(platform: PlatformView | undefined): boolean {
  if (platform?.status === undefined) return false;
  if (platform.status.observedGeneration !== platform.metadata.generation) return false;
  return platform.status.conditions?.some((condition) => condition.type === 'Ready' && condition.status === 'True') ?? false;
}

/** The fewest replicas that a workload is scaled to, as its autoscaling says; 1 where it says nothing or allows none. */
export function minReplicasOf(platform: PlatformView | undefined, workload: string): number {
  const least = platform?.spec.workloads?.[workload]?.autoscaling?.minReplicas ?? 1;
  return Math.max(1, least);
}

/** What is still missing, a line each; empty when the platform is ready. */
export function missing(platform: PlatformView | undefined): string[] {
  if (platform === undefined) return ['the resource is not there yet'];
  if (platform.status?.conditions === undefined) return ['the operator has not looked at it yet'];
  if (isReady(platform)) return [];
  const behind = (platform.status.components ?? []).filter((component) => component.ready < Math.max(component.desired, 1));
  const underWay = behind.filter((component) => component.message?.startsWith('waits for ') !== true);
  const waiting = underWay.map(({ name, ready, desired, message }) => `${name} ${ready}/${desired}${message ? `: ${message}` : ''}`);
  const queued = behind.length - underWay.length;
  if (queued > 0) waiting.push(`then ${queued} more`);
  if (waiting.length > 0) return waiting;
  const ready = platform.status.conditions.find((condition) => condition.type === 'Ready');
  return [ready === undefined ? 'no Ready condition yet' : `${ready.reason}: ${ready.message}`];
}

type Init = Omit<RequestInit, 'headers'> & { headers?: Record<string, string> };

/** The gateway's HTTP interface, as far as the demo and the end-to-end tests use it. */
export class Gateway {
  readonly url: string;
  readonly #readKey: () => Promise<string>;
  #key: string | undefined;

  /** @param readKey reads the API key; it is read again when a rotation has replaced it */
  constructor(url: string, readKey: () => Promise<string>) {
    this.url = url;
    this.#readKey = readKey;
  }

  /** The first accounts in order of id. */
  async accounts(limit: number): Promise<Account[]> {
    return (await this.#request<{ accounts: Account[] }>(`/api/v1/accounts?limit=${limit}`)).accounts;
  }

  /** Publishes `count` random interest transactions; resolves to the number that Kafka acknowledged. */
  async seed(count: number): Promise<number> {
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ count }) };
    return (await this.#request<{ accepted: number }>('/debug/seed', init)).accepted;
  }

  async ledgerCheck(): Promise<LedgerCheck> {
    return this.#request<LedgerCheck>('/api/v1/ledger/check');
  }

  async #request<T>(path: string, init: Init = {}): Promise<T> {
    return readBody<T>(await this.send(path, init));
  }

  /** Sends a request with the key, again while the service is overloaded. The answer may be a problem. */
  async send(path: string, init: Init = {}): Promise<Response> {
    const deadline = Date.now() + OVERLOADED_LIMIT_MS;
    for (let known = this.#key; ; known = undefined) {
      const key = known ?? (await this.#readKey());
      this.#key = key;
      const response = await fetch(this.url + path, { ...init, headers: { ...init.headers, authorization: `Bearer ${key}` } });
      if (response.status === 401 && known !== undefined) continue;
      if (!(await isOverloaded(response)) || Date.now() > deadline) return response;
      await pause(1000 * Number(response.headers.get('retry-after') ?? 1));
    }
  }
}

/** The service rejected the request before it did anything: the same request may be sent again. */
async function isOverloaded(response: Response): Promise<boolean> {
  if (response.status !== 503) return false;
  const problem = (await response.clone().json()) as { code?: string };
  return problem.code === 'overloaded';
}

/** The body of a success as JSON. @throws Error with the answer otherwise */
export async function readBody<T>(response: Response): Promise<T> {
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.url} answered ${response.status}: ${text.slice(0, 400)}`);
  return JSON.parse(text) as T;
}

export interface GroupOffsets {
  /** Messages not yet committed, over all partitions. */
  readonly lag: number;
  /** Sum of committed offsets: grows by one for each record that the group is done with. */
  readonly committed: number;
}

/**
 * Lag and committed offsets of one group, from the Kafka exporter's text.
 * @returns undefined while the exporter knows nothing of the group
 */
export function groupOffsets(metrics: string, group: string): GroupOffsets | undefined {
  const lag = sumSeries(metrics, 'kafka_consumergroup_lag', group);
  const committed = sumSeries(metrics, 'kafka_consumergroup_current_offset', group);
  return lag === undefined || committed === undefined ? undefined : { lag, committed };
}

function sumSeries(metrics: string, name: string, group: string): number | undefined {
  const values = metrics
    .split('\n')
    .filter((line) => line.startsWith(`${name}{`) && line.includes(`consumergroup="${group}"`))
    .map((line) => Number(line.slice(line.lastIndexOf(' ') + 1)))
    .filter((value) => Number.isFinite(value) && value >= 0);
  return values.length === 0 ? undefined : values.reduce((sum, value) => sum + value, 0);
}

/** One series of an instant query. */
export interface VectorSample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The series of an instant query that have a finite value. */
export async function queryVector(url: string, query: string): Promise<VectorSample[]> {
  const response = await fetch(`${url}/api/v1/query?${new URLSearchParams({ query }).toString()}`);
  const body = await readBody<{ data?: { result: { metric: Record<string, string>; value: [number, string] }[] } }>(response);
  const samples = (body.data?.result ?? []).map(({ metric, value }) => ({ labels: metric, value: Number(value[1]) }));
  return samples.filter(({ value }) => Number.isFinite(value));
}

/** The one value of a query; undefined when Prometheus has no such series yet. */
export async function prometheusValue(url: string, query: string): Promise<number | undefined> {
  return (await queryVector(url, query))[0]?.value;
}

/**
 * Calls `attempt` until it returns something other than undefined or false.
 * Errors of kubectl and of the network count as "not yet"; the last one is in the message when time runs out.
 * @param timeoutMs how long to try
 */
export async function until<T>(what: string, timeoutMs: number, attempt: () => Promise<T | undefined | false>, everyMs = 500): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  let last = '';
  for (;;) {
    try {
      const value = await attempt();
      if (value !== undefined && value !== false) return value;
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      last = `; last error: ${error.message}`;
    }
    if (Date.now() > deadline) throw new Error(`waited ${Math.round(timeoutMs / 1000)} s for ${what}${last}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
