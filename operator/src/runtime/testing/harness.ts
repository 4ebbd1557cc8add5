/** What the runtime's integration tests share: a real API server, clients, and waiting for conditions. */
import { readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import type { KubeConfig } from '@kubernetes/client-node';
import { pino } from 'pino';
import { isRecord } from '../../objects/canonical.ts';
import { KubeClient } from '../client.ts';
import { loadKubeConfig } from '../kubeconfig.ts';
import { Metrics } from '../metrics.ts';
import type { KubernetesObject } from '../../objects/object.ts';

/** Says nothing; a test that fails is run again with another level. */
export const quiet = pino({ level: process.env['TEST_LOG_LEVEL'] ?? 'silent' });

export interface TestClient {
  client: KubeClient;
  metrics: Metrics;
}

export function clientFor(config: KubeConfig | string, timeoutMs = 30_000): TestClient {
  const metrics = new Metrics();
  return {
    client: new KubeClient({ config: typeof config === 'string' ? loadKubeConfig({ path: config }) : config, metrics, timeoutMs }),
    metrics,
  };
}

/** What is known of the things that a test waits for. */
const states = new Set<() => string>();

/** Adds what `state` says to the error of every wait that ends without success. @returns a function that ends this */
export function tellOnTimeout(state: () => string): () => void {
  states.add(state);
  return () => states.delete(state);
}

/**
 * Resolves to the first value of `probe` that is neither undefined nor false. Asks every 10 ms at first, and less often the longer it takes: the
 * questions must not keep a slow machine busy.
 * @throws Error after `limitMs` milliseconds, naming what was waited for
 */
export async function until<T>(
  what: string,
  limitMs: number,
  probe: () => T | false | undefined | Promise<T | false | undefined>,
): Promise<T> {
  const started = performance.now();
  for (;;) {
    const value = await probe();
    if (value !== undefined && value !== false) return value;
    const waited = performance.now() - started;
    if (waited > limitMs) throw new Error([`waited ${limitMs} ms for ${what}`, ...[...states].map((state) => state())].join('\n'));
    await pause(Math.min(250, Math.max(10, waited / 50)));
  }
}

/** Notes how long it took until all was well after a fault, in the words that `make faults` collects. */
export function noteRecovery(t: { diagnostic(message: string): void }, fault: string, ms: number, note = ''): void {
  t.diagnostic(`${fault}: recovered in ${ms < 1000 ? (ms / 1000).toFixed(2) : (ms / 1000).toFixed(1)} s${note === '' ? '' : `; ${note}`}`);
}

export function configMap(
  namespace: string,
  name: string,
  data: Record<string, string> = {},
  labels: Record<string, string> = {},
): KubernetesObject {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { namespace, name, labels }, data };
}

export async function createNamespace(client: KubeClient, name: string): Promise<void> {
  await client.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
}

/** The value of one series, from the text that Prometheus would read; undefined when there is none. */
export async function seriesValue(metrics: Metrics, series: string): Promise<number | undefined> {
  const { body } = await metrics.render();
  const line = body.split('\n').find((candidate) => candidate.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}

/** What lies below a path of fields; undefined where it ends early. */
export function valueAt(value: unknown, ...path: string[]): unknown {
  let here = value;
  for (const field of path) here = isRecord(here) ? here[field] : undefined;
  return here;
}

/** @param wait `kubectl wait` for the condition Established, which ends with an error while a definition has no conditions yet */
export async function untilEstablished(wait: () => Promise<unknown>): Promise<void> {
  await until('the definitions to be established', 60_000, () =>
    wait().then(
      () => true,
      () => false,
    ),
  );
}

/** One finished request, as the API server's audit log has it. */
export interface AuditEvent {
  verb: string;
  requestURI: string;
  user: { username: string; extra?: Record<string, string[]> };
  userAgent?: string;
  objectRef?: { apiGroup?: string; resource?: string; subresource?: string; namespace?: string; name?: string };
  responseStatus?: { code?: number; message?: string };
  requestReceivedTimestamp: string;
  stageTimestamp: string;
}

/** The audit log's events so far, oldest first. */
export async function readAudit(path: string): Promise<AuditEvent[]> {
  const text = await readFile(path, 'utf8');
  // The last line may still be being written, up to any of its braces.
  const lines = text
    .slice(0, text.lastIndexOf('\n') + 1)
    .split('\n')
    .filter((line) => line !== '');
  return lines.map((line) => {
    const event: AuditEvent = JSON.parse(line);
    return event;
  });
}
