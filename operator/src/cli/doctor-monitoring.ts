/**
 * `bss doctor`: checks Prometheus and Alertmanager of a platform. The API server passes the requests on, because nothing else outside the cluster
 * reaches them; where it cannot, what the operator read last stands in status.
 */
import { z } from 'zod';
import type { BssPlatformStatus } from '../api/index.ts';
import type { BssPlatformSpec } from '../platform/index.ts';
import { FAULTS, hasAlerts } from '../reconcile/alerts/alert-status.ts';
import type { PlatformObject } from '../reconcile/ownership/ownership.ts';
import { readStatus } from '../reconcile/status/status.ts';
import { KubeError, type KubeClient } from '../runtime/index.ts';
import { bad, good, note, type Finding } from './finding.ts';
import { count } from './output.ts';

/** What the two answered, by path; undefined: the API server does not reach them, or the user may not ask. */
export interface MonitoringAnswers {
  targets: unknown;
  rules: unknown;
  /** Seconds since the newest sample. */
  age: unknown;
  alertmanager: unknown;
}

type Place = { namespace: string; name: string };

const LIMIT_MS = 10_000;
const AGE = 'time() - max(timestamp(up))';
const PATHS = {
  targets: '/api/v1/targets?state=active',
  rules: '/api/v1/rules?type=alert',
  age: `/api/v1/query?${new URLSearchParams({ query: AGE }).toString()}`,
};

export async function monitoring(client: KubeClient, { metadata, status }: PlatformObject, spec: BssPlatformSpec): Promise<Finding[]> {
  const known = readStatus(status);
  if (!hasAlerts(spec) || !isUp(known, 'prometheus')) return [];
  const place = { namespace: metadata.namespace ?? '', name: metadata.name };
  const ask = (component: string, path: string) => proxied(client, place, component, path);
  const [targets, rules, age, alertmanager] = await Promise.all([
    ask('prometheus', PATHS.targets),
    ask('prometheus', PATHS.rules),
    ask('prometheus', PATHS.age),
    isUp(known, 'alertmanager') ? ask('alertmanager', '/api/v2/status') : undefined,
  ]);
  return judge(place, spec, known, { targets, rules, age, alertmanager });
}

/** A component that is not ready has a finding of its own. */
function isUp(status: BssPlatformStatus | undefined, component: string): boolean {
  return status?.components?.some(({ name, ready, desired }) => name === component && desired > 0 && ready >= desired) ?? false;
}

async function proxied(client: KubeClient, { namespace, name }: Place, component: string, path: string): Promise<unknown> {
  const service = `/api/v1/namespaces/${namespace}/services/${name}-${component}:http/proxy${path}`;
  try {
    const { status, body } = await client.raw('GET', service, undefined, { timeoutMs: LIMIT_MS });
    return status === 200 ? body : undefined;
  } catch (error) {
    if (error instanceof KubeError) return undefined;
    throw error;
  }
}

/** The findings about the stack, then the alerts that fire. Pure. */
export function judge(place: Place, spec: BssPlatformSpec, status: BssPlatformStatus | undefined, answers: MonitoringAnswers): Finding[] {
  const { targets, rules, age } = answers;
  const isAnswered = [targets, rules, age].every((answer) => answer !== undefined);
  return [
    ...(isAnswered ? [ingestion(place, age), ...rulesOf(place, rules), ...targetsOf(place, targets)] : [unasked(place, status)]),
    ...(isUp(status, 'alertmanager') ? [delivery(place, spec, status, answers.alertmanager)] : []),
    ...firing(status),
  ];
}

function unasked(place: Place, status: BssPlatformStatus | undefined): Finding {
  const { summary = 'unknown', message } = status?.alerts ?? {};
  if (message !== undefined && message !== FAULTS.alertmanager) return bad(message, inspect(place, 'prometheus'));
  const what = `the API server does not pass requests on to Prometheus: targets and rules are not checked; the operator reads its alerts: ${summary}`;
  return note(
    what,
    `kubectl -n ${place.namespace} port-forward svc/${place.name}-prometheus 9090, then http://localhost:9090/targets and /rules`,
  );
}

function inspect({ namespace, name }: Place, component: string): string {
  const labels = `app.kubernetes.io/instance=${name},app.kubernetes.io/name=${component}`;
  return `check its pod, and that network policies admit the operator: kubectl -n ${namespace} describe pods -l ${labels}; kubectl -n ${namespace} logs -l ${labels}`;
}

const vector = z.object({ data: z.object({ result: z.array(z.object({ value: z.tuple([z.number(), z.string()]) })) }) });
/** A scrape interval is seconds; samples this old mean that none arrive. */
const OLD_SECONDS = 120;

function ingestion(place: Place, answer: unknown): Finding {
  const { success, data } = vector.safeParse(answer);
  const value = success ? data.data.result[0]?.value[1] : undefined;
  const age = Math.round(Number(value));
  const remedy = `the volume is full or read-only, or no target answers: ${inspect(place, 'prometheus')}`;
  if (value === undefined) return bad('Prometheus answers, and has stored no sample for minutes', remedy);
  return age > OLD_SECONDS
    ? bad(`Prometheus answers, and its newest sample is ${age} s old`, remedy)
    : good(`Prometheus answers and ingests: its newest sample is ${age} s old`);
}

const ruleGroups = z.object({
  data: z.object({
    groups: z.array(
      z.object({
        rules: z.array(z.object({ name: z.string(), state: z.string().optional(), health: z.string(), lastError: z.string().optional() })),
      }),
    ),
  }),
});

function rulesOf(place: Place, answer: unknown): Finding[] {
  const { success, data } = ruleGroups.safeParse(answer);
  const all = success ? data.data.groups.flatMap(({ rules }) => rules) : [];
  const remedy = `the operator writes the rules into ConfigMap ${place.name}-prometheus: ${inspect(place, 'prometheus')}`;
  if (all.length === 0) return [bad('Prometheus has loaded no rule: no alert can fire', remedy)];
  const failing = all.filter(({ health }) => health === 'err').map(({ name, lastError = '' }) => `${name} (${lastError})`);
  const watchdog = all.some(({ name, state }) => name === 'Watchdog' && state === 'firing');
  return [
    failing.length > 0
      ? bad(`Prometheus cannot evaluate ${listed(failing)}`, 'see docs/runbooks/PrometheusRuleFailures.md')
      : good(`Prometheus has loaded ${count(all.length, 'alert')} and evaluates them`),
    watchdog ? good('Watchdog fires') : bad('Watchdog does not fire: Prometheus evaluates no rules', remedy),
  ];
}

const activeTargets = z.object({
  data: z.object({
    activeTargets: z.array(z.object({ labels: z.record(z.string(), z.string()), health: z.string(), lastError: z.string() })),
  }),
});

function targetsOf({ namespace, name }: Place, answer: unknown): Finding[] {
  const { success, data } = activeTargets.safeParse(answer);
  const all = success ? data.data.activeTargets : [];
  const down = all
    .filter(({ health }) => health === 'down')
    .map(({ labels: { job = '', pod = '' }, lastError }) => `${[job, pod].filter(Boolean).join(' ')} (${lastError})`);
  const pods = `kubectl -n ${namespace} get pods -l app.kubernetes.io/instance=${name}`;
  if (all.length === 0) return [bad('Prometheus has found no target', `check its Role and that pods run: ${pods}`)];
  if (down.length === 0) return [good(`${count(all.length, 'target')} up`)];
  return [bad(`${down.length} of ${count(all.length, 'target')} down: ${listed(down)}`, `check the pods and network policies: ${pods}`)];
}

/** The first four, and the number of the others. */
function listed(names: string[]): string {
  return [...names.slice(0, 4), ...(names.length > 4 ? [`${names.length - 4} more`] : [])].join(', ');
}

function delivery(place: Place, spec: BssPlatformSpec, status: BssPlatformStatus | undefined, answer: unknown): Finding {
  const { watchdog: _heartbeat, secretName: _secret, ...receivers } = spec.alertmanager.receivers;
  const names = Object.entries(receivers).flatMap(([name, settings]) => (settings === undefined ? [] : [name]));
  if (answer === undefined && status?.alerts?.message === FAULTS.alertmanager)
    return bad(FAULTS.alertmanager, inspect(place, 'alertmanager'));
  const reached = answer === undefined ? 'Alertmanager is ready' : 'Alertmanager answers';
  if (names.length > 0) return good(`${reached} and notifies ${names.join(', ')}`);
  return note(
    `${reached}, and no receiver is set: nobody is notified of an alert`,
    'set spec.alertmanager.receivers: docs/observability.md',
  );
}

function firing(status: BssPlatformStatus | undefined): Finding[] {
  return (status?.alerts?.firing ?? []).map(({ name, severity, since, summary, runbook }) => {
    const what = `${name} (${severity}) fires since ${since}: ${summary}`;
    return severity === 'critical' ? bad(what, `see ${runbook}`) : note(what, `see ${runbook}`);
  });
}
