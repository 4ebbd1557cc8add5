/** Which notifications belong to a fault. Pure: labels in, answers out. */
import { CONSEQUENCES } from '../../../dashboards/src/rules/inhibition.ts';
import type { Notification } from '../catcher.ts';

/** Labels that an alert must have; it may have more. */
export type Labels = Readonly<Record<string, string>>;

/** An alert that may be notified besides those of a fault, and why. */
export interface Companion {
  readonly alert: Labels;
  readonly reason: string;
  /** It may also be notified long after the repair: its windows look back further than a round takes. */
  readonly lasting?: boolean;
  /** It can fire only where the durations of the alerts are divided. */
  readonly dividedOnly?: boolean;
}

export function matches(labels: Labels, wanted: Labels): boolean {
  return Object.entries(wanted).every(([label, value]) => labels[label] === value);
}

/** The alert with the labels that tell it apart, for messages: `TargetMissing job=interest`. */
export function nameOf({ alertname = '', job, service, reason, window }: Labels): string {
  const details = Object.entries({ job, service, reason, window }).flatMap(([label, value]) => (value ? [`${label}=${value}`] : []));
  return [alertname, ...details].join(' ');
}

/** The first notification of an alert with a status after an instant in epoch milliseconds. */
export function firstAfter(
  all: readonly Notification[],
  status: Notification['status'],
  wanted: Labels,
  since: number,
): Notification | undefined {
  return all
    .filter((one) => one.status === status && one.receivedAt > since && matches(one.labels, wanted))
    .toSorted((a, b) => a.receivedAt - b.receivedAt)[0];
}

/** Those of the companions that may be notified with durations divided by `divisor`. */
export function inForce(companions: readonly Companion[], divisor: number): Companion[] {
  return companions.filter(({ dividedOnly }) => dividedOnly !== true || divisor > 1);
}

/** What the inhibition rules mute while one of the alerts fires. One that fires before its cause does is notified. */
export function muted(alerts: readonly Labels[]): Companion[] {
  return alerts.flatMap(({ alertname = '' }) =>
    (CONSEQUENCES[alertname] ?? []).map((name) => ({
      alert: { alertname: name },
      reason: `follows from ${alertname}, which mutes it once it fires`,
    })),
  );
}

/**
 * Alerts that fired since an instant and belong to no fault, each once.
 * @param expected alerts of the faults
 * @param companions alerts that may be notified besides
 */
export function unrelated(
  all: readonly Notification[],
  since: number,
  expected: readonly Labels[],
  companions: readonly Companion[],
): string[] {
  const known = [...expected, ...companions.map(({ alert }) => alert)];
  return namesOf(all, since, (labels) => !known.some((wanted) => matches(labels, wanted)));
}

/** Companions that were notified since an instant, each once. */
export function notifiedBesides(
  all: readonly Notification[],
  since: number,
  expected: readonly Labels[],
  companions: readonly Companion[],
): string[] {
  return namesOf(
    all,
    since,
    (labels) => !expected.some((wanted) => matches(labels, wanted)) && companions.some(({ alert }) => matches(labels, alert)),
  );
}

function namesOf(all: readonly Notification[], since: number, accepts: (labels: Labels) => boolean): string[] {
  const found = all.filter(({ status, receivedAt, labels }) => status === 'firing' && receivedAt > since && accepts(labels));
  return [...new Set(found.map(({ labels }) => nameOf(labels)))].toSorted();
}
