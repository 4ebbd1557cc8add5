/** From what Prometheus and Alertmanager answer to `status.alerts`. Pure; the same alerts give the same status. */
import { isDeepStrictEqual } from 'node:util';
import { z } from 'zod';
import type { BssPlatformStatus } from '../../api/index.ts';
import { hasPrometheus, type BssPlatformSpec } from '../../platform/index.ts';

export type AlertStatus = NonNullable<BssPlatformStatus['alerts']>;

const labels = z.record(z.string(), z.string());

/** Answer of Prometheus to /api/v1/alerts. */
export const prometheusAlerts = z
  .object({
    data: z.object({
      alerts: z.array(z.object({ labels, annotations: labels, state: z.enum(['pending', 'firing']), activeAt: z.iso.datetime() })),
    }),
  })
  .transform(({ data }) => data.alerts);

/** Answer of Alertmanager to /api/v2/alerts. */
export const alertmanagerAlerts = z.array(z.object({ labels })).transform((list) => list.map((alert) => alert.labels));

export type PrometheusAlert = z.output<typeof prometheusAlerts>[number];
export type Labels = z.output<typeof labels>;

/** What one read returned; undefined: no valid answer. */
export interface Answers {
  alerts: PrometheusAlert[] | undefined;
  /** Labels of the alerts that Alertmanager silences or inhibits; empty for a platform without Alertmanager. */
  muted: Labels[] | undefined;
}

type Fault = 'prometheus' | 'watchdog' | 'alertmanager';

/** What is known of the alerts of one platform after some reads. */
export interface Knowledge {
  /** Reads in a row that found the fault. */
  faults: Record<Fault, number>;
  muted: Labels[];
  /** RFC 3339, of the last read that Prometheus answered. */
  lastRead: string | undefined;
  /** Undefined until the first answer, or until TOLERATED reads have failed. */
  status: AlertStatus | undefined;
}

export const NOTHING_KNOWN: Knowledge = {
  faults: { prometheus: 0, watchdog: 0, alertmanager: 0 },
  muted: [],
  lastRead: undefined,
  status: undefined,
};

/** Reads in a row that must find a fault before status reports it: a restart of Prometheus takes a few seconds. */
export const TOLERATED = 3;
/** Alerts listed in status. */
export const LISTED = 10;
const WATCHDOG = 'Watchdog';

/** Messages of status. */
export const FAULTS: Record<Fault, string> = {
  prometheus: 'Prometheus does not answer the operator: which alerts fire is unknown',
  watchdog: `${WATCHDOG} does not fire: Prometheus evaluates no rules`,
  alertmanager: 'Alertmanager does not answer the operator: nobody is notified, and which alerts are silenced is unknown',
};

/** @param at instant of the read, RFC 3339 */
export function learn(before: Knowledge, { alerts, muted }: Answers, at: string): Knowledge {
  const faults = {
    prometheus: alerts === undefined ? before.faults.prometheus + 1 : 0,
    watchdog: alerts === undefined || watches(alerts) ? 0 : before.faults.watchdog + 1,
    alertmanager: muted === undefined ? before.faults.alertmanager + 1 : 0,
  };
  const lastRead = alerts === undefined ? before.lastRead : at;
  const known = muted ?? (faults.alertmanager < TOLERATED ? before.muted : []);
  const status = alerts === undefined && faults.prometheus < TOLERATED ? before.status : statusOf(alerts, known, faults, lastRead);
  return { faults, muted: known, lastRead, status };
}

function watches(alerts: PrometheusAlert[]): boolean {
  return alerts.some(({ labels: { alertname }, state }) => alertname === WATCHDOG && state === 'firing');
}

const SHOWN = ['critical', 'warning'] as const;

function statusOf(alerts: PrometheusAlert[] | undefined, muted: Labels[], faults: Knowledge['faults'], lastRead?: string): AlertStatus {
  const firing = (alerts ?? []).filter(({ labels: { severity }, state }) => state === 'firing' && SHOWN.some((one) => one === severity));
  const audible = firing.filter((alert) => !muted.some((one) => isSame(alert.labels, one)));
  const [critical = 0, warning = 0] = SHOWN.map((severity) => audible.filter((alert) => alert.labels['severity'] === severity).length);
  const faulty = (['prometheus', 'watchdog', 'alertmanager'] as const).find((fault) => faults[fault] >= TOLERATED);
  const isKnown = alerts !== undefined && faults.watchdog < TOLERATED;
  return {
    summary: summaryOf({ critical, warning }, isKnown),
    critical,
    warning,
    muted: firing.length - audible.length,
    firing: audible
      .map((alert) => entryOf(alert))
      .toSorted(mostUrgentFirst)
      .slice(0, LISTED),
    ...(faulty === undefined ? {} : { message: FAULTS[faulty] }),
    ...(lastRead === undefined ? {} : { lastRead }),
  };
}

/** Prometheus adds its external labels to what it sends to Alertmanager. */
function isSame(own: Labels, sent: Labels): boolean {
  return Object.entries(own).every(([name, value]) => sent[name] === value);
}

function summaryOf(counts: Record<(typeof SHOWN)[number], number>, isKnown: boolean): string {
  const parts = SHOWN.flatMap((severity) => (counts[severity] > 0 ? [`${counts[severity]} ${severity}`] : []));
  return parts.join(', ') || (isKnown ? 'none' : 'unknown');
}

/** Bounds texts: status has room for them, whatever a rule writes. */
const SHORT = 64;
const LONG = 256;

function entryOf({ labels: { alertname = '', severity = '' }, annotations, activeAt }: PrometheusAlert): AlertStatus['firing'][number] {
  return {
    name: alertname.slice(0, SHORT),
    severity,
    since: activeAt.replace(/\.\d+/, ''),
    summary: (annotations['summary'] ?? '').slice(0, LONG),
    runbook: (annotations['runbook_url'] ?? '').slice(0, 2 * LONG),
  };
}

type Entry = AlertStatus['firing'][number];

/** Critical before warning, the oldest first; the text decides last, so that the order does not depend on that of Prometheus. */
function mostUrgentFirst(a: Entry, b: Entry): number {
  const key = ({ severity, since, name, summary }: Entry) => [severity, since, name, summary].join('\n');
  return key(a) < key(b) ? -1 : 1;
}

/** Whether the operator reads the alerts of a platform: those of an external Prometheus are not its own, and in hibernation none runs. */
export function hasAlerts(spec: BssPlatformSpec): boolean {
  return hasPrometheus(spec) && !spec.hibernate;
}

/** The former status while the alerts are the same, whenever they were read. @param seen undefined: not read yet */
export function nextAlerts(before: AlertStatus | undefined, seen: AlertStatus | undefined): AlertStatus | undefined {
  if (seen === undefined || !isNews(before, seen)) return before;
  const lastRead = seen.lastRead ?? before?.lastRead;
  return lastRead === undefined ? seen : { ...seen, lastRead };
}

/** False when the two differ in the time of the read alone. */
export function isNews(before: AlertStatus | undefined, after: AlertStatus | undefined): boolean {
  const { lastRead: _old, ...old } = before ?? {};
  const { lastRead: _new, ...fresh } = after ?? {};
  return !isDeepStrictEqual(old, fresh);
}
