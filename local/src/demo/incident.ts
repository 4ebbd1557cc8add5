/**
 * An incident on a platform, as a person on call sees it: a store stops, requests fail, an alert fires; the trace and the log lines of a request that
 * failed; the repair; the resolution.
 */
import { randomBytes } from 'node:crypto';
import type { Target } from '../target/target.ts';
import { alertLines, fault, type FiringAlert, type Incident } from './incident-text.ts';
import { formatLog, linesOfLoki, linesOfTrace, type LogLine } from './log-lines.ts';
import { isReady, until, type Gateway, type PlatformResource } from './platform.ts';
import { ARRIVAL_MS, readJson, TRACE_STORES } from './trace-stores.ts';
import { spansOf, traceLines, type Span } from './trace.ts';

const ALERT = 'PostgresDown';
const STORE = 'postgres';
/** The alert waits a minute for a store to come back; divided, it waits 3 s. */
const DIVISOR = 20;
const STEP_MS = 180_000;
const REQUEST = '/api/v1/accounts?limit=5';
/** Services whose log lines are searched where the platform has no Loki. */
const SERVICES = ['gateway', 'ledger'];

/** Prints one line. */
type Note = (text: string) => void;

/**
 * Stops Postgres, prints what follows, and starts it again. The platform is as before afterwards, also after an error.
 * @param gateway of the platform, to send requests to
 * @throws when the alert does not fire, or is not resolved after the repair
 */
export async function showIncident(target: Target, platform: PlatformResource, gateway: Gateway, note: Note): Promise<Incident> {
  const incident = new Run(target, platform, gateway, note);
  try {
    await incident.prepare();
    return await incident.run();
  } finally {
    await incident.restore();
  }
}

/** What a request was answered with. */
interface Answer {
  readonly status: number;
  readonly code: string;
  readonly traceId: string;
}

class Run {
  readonly #target: Target;
  readonly #platform: PlatformResource;
  readonly #gateway: Gateway;
  readonly #note: Note;
  #prometheus = '';

  constructor(target: Target, platform: PlatformResource, gateway: Gateway, note: Note) {
    this.#target = target;
    this.#platform = platform;
    this.#gateway = gateway;
    this.#note = note;
  }

  /** Shorter durations of the alerts, and an operator that leaves the store alone: it would repair the fault within a second. */
  async prepare(): Promise<void> {
    await this.#patch({ prometheus: { alerts: { durationDivisor: DIVISOR } } });
    this.#prometheus = await this.#forward('prometheus', 9090);
    await until('Prometheus to have the shorter durations', STEP_MS, async () => (await this.#alertDuration()) <= 60 / DIVISOR);
    await this.#patch({ paused: true });
    await until('the operator to pause', STEP_MS, async () => {
      const conditions = (await this.#platform.get())?.status?.conditions;
      return conditions?.some(({ type, status }) => type === 'Paused' && status === 'True');
    });
  }

  async run(): Promise<Incident> {
    const stopped = Date.now();
    await this.#scale(0);
    this.#say(stopped, fault(DIVISOR));
    const failed = await this.#untilFailed();
    this.#say(stopped, `GET ${REQUEST} is answered with ${failed.status} ${failed.code}; trace ${failed.traceId}`);
    const alert = await until(`${ALERT} to fire`, STEP_MS, () => this.#firing());
    const firedSeconds = (Date.now() - stopped) / 1000;
    this.#say(stopped, `${ALERT} fires`);
    this.#list(alertLines(alert));
    const trace = await this.#showTrace(failed.traceId);
    const logs = await this.#showLogs(failed.traceId, stopped);
    const repaired = Date.now();
    await this.#patch({ paused: null });
    this.#say(stopped, 'repair: the operator is resumed, and starts Postgres again');
    await until('requests to succeed', STEP_MS, async () => (await this.#request()).status === 200);
    this.#say(stopped, `GET ${REQUEST} is answered with 200`);
    await until(`${ALERT} to be resolved`, STEP_MS, async () => (await this.#alert()) === undefined);
    const resolvedSeconds = (Date.now() - repaired) / 1000;
    this.#say(stopped, `${ALERT} is resolved`);
    return { alert: ALERT, firedSeconds, resolvedSeconds, trace, logs };
  }

  /** As it was before `prepare`. */
  async restore(): Promise<void> {
    await this.#patch({ paused: null, prometheus: { alerts: { durationDivisor: null } } });
    await until('the platform to be Ready again', STEP_MS, async () => isReady(await this.#platform.get()));
  }

  /** A line with the seconds since the fault. */
  #say(since: number, text: string): void {
    this.#note(`${((Date.now() - since) / 1000).toFixed(0).padStart(3)} s  ${text}`);
  }

  #list(lines: readonly string[]): void {
    for (const line of lines) this.#note(`         ${line}`);
  }

  async #patch(spec: object): Promise<void> {
    const { kubectl, name, namespace } = this.#platform;
    await kubectl.run(['patch', 'bss', name, '-n', namespace, '--type=merge', '-p', JSON.stringify({ spec })]);
  }

  async #scale(replicas: number): Promise<void> {
    const { kubectl, name, namespace } = this.#platform;
    await kubectl.run(['scale', `statefulset/${name}-${STORE}`, '-n', namespace, `--replicas=${replicas}`]);
  }

  #forward(component: string, port: number): Promise<string> {
    const { name, namespace } = this.#platform;
    return this.#target.forward(namespace, `${name}-${component}`, port);
  }

  /** Requests until one fails. Each has a trace of its own, which is recorded whatever the sampling is. */
  async #untilFailed(): Promise<Answer> {
    return until('a request to fail', STEP_MS, async () => {
      const answer = await this.#request();
      return answer.status >= 500 && answer;
    });
  }

  async #request(): Promise<Answer> {
    const traceId = randomBytes(16).toString('hex');
    const response = await fetch(this.#gateway.url + REQUEST, {
      headers: {
        authorization: `Bearer ${await this.#platform.credential('api-key')}`,
        traceparent: `00-${traceId}-${randomBytes(8).toString('hex')}-01`,
      },
    });
    const { code = '' } = (await response.json()) as { code?: string };
    return { status: response.status, code, traceId };
  }

  /** Seconds for which the condition must hold, in the rules that Prometheus has loaded; Infinity while they have no such alert. */
  async #alertDuration(): Promise<number> {
    const { data } = await readJson<{ data: { groups: { rules: { name: string; duration?: number }[] }[] } }>(
      `${this.#prometheus}/api/v1/rules`,
    );
    return data.groups.flatMap(({ rules }) => rules).find(({ name }) => name === ALERT)?.duration ?? Infinity;
  }

  /** The alert, pending or firing. */
  async #alert(): Promise<FiringAlert | undefined> {
    const { data } = await readJson<{ data: { alerts: FiringAlert[] } }>(`${this.#prometheus}/api/v1/alerts`);
    return data.alerts.find(({ labels }) => labels['alertname'] === ALERT);
  }

  async #firing(): Promise<FiringAlert | undefined> {
    const alert = await this.#alert();
    return alert?.state === 'firing' ? alert : undefined;
  }

  /** Components that the platform's status names as running. */
  async #has(component: string): Promise<boolean> {
    return (await this.#platform.get())?.status?.components?.some(({ name, ready }) => name === component && ready > 0) ?? false;
  }

  /** @returns the number of spans that were found; undefined where the platform keeps no traces */
  async #showTrace(traceId: string): Promise<number | undefined> {
    for (const { component, port, path, title } of TRACE_STORES) {
      if (!(await this.#has(component))) continue;
      const url = (await this.#forward(component, port)) + path + traceId;
      const spans = await until(`the trace in ${title}`, ARRIVAL_MS, () => completeTrace(url)).catch(() => []);
      this.#note(spans.length === 0 ? `       ${title} has no trace ${traceId}` : `       the request, from ${title} (${url}):`);
      this.#list(traceLines(spans));
      return spans.length;
    }
    this.#note('       the platform keeps no traces: neither Tempo nor Jaeger runs in it');
    return undefined;
  }

  /** @returns the number of log lines that were found */
  async #showLogs(traceId: string, since: number): Promise<number> {
    const loki = await this.#has('loki');
    const find = loki ? await this.#inLoki(traceId, since) : () => this.#inPods(traceId, since);
    const lines = await until('the log lines of the request', ARRIVAL_MS, async () => {
      const found = await find();
      return found.length > 0 && found;
    }).catch(() => []);
    this.#note(`       its log lines, from ${loki ? 'Loki' : 'kubectl logs'}:${lines.length === 0 ? ' none' : ''}`);
    this.#list(formatLog(lines));
    return lines.length;
  }

  async #inLoki(traceId: string, since: number): Promise<() => Promise<LogLine[]>> {
    const url = await this.#forward('loki', 3100);
    const query = `{namespace="${this.#platform.namespace}"} | trace_id="${traceId}"`;
    const parameters = new URLSearchParams({ query, start: `${since - 60_000}000000`, limit: '100' });
    return async () => linesOfLoki(await readJson(`${url}/loki/api/v1/query_range?${parameters.toString()}`));
  }

  async #inPods(traceId: string, since: number): Promise<LogLine[]> {
    const { kubectl, name, namespace } = this.#platform;
    const selector = `app.kubernetes.io/instance=${name},app.kubernetes.io/name in (${SERVICES.join(',')})`;
    const sinceTime = new Date(since - 5000).toISOString();
    const options = ['--tail=-1', `--since-time=${sinceTime}`];
    return linesOfTrace(await kubectl.run(['logs', '-n', namespace, '-l', selector, ...options]), traceId);
  }
}

/** The spans once those of both services have arrived. */
async function completeTrace(url: string): Promise<Span[] | undefined> {
  const spans = spansOf(await readJson(url));
  return new Set(spans.map(({ service }) => service)).size > 1 ? spans : undefined;
}
