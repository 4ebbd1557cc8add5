/** Rules as data: what `prometheus/model/rulefmt` reads, with the labels and annotations that every alert of the platform must have. */
import type { Timing } from './durations.ts';

export type Team = 'sre' | 'database' | 'cache' | 'streaming' | 'business';

/** `none` marks the watchdog, which pages nobody. */
export type Severity = 'critical' | 'warning' | 'info' | 'none';

export interface Alert {
  /** Also the name of its runbook. */
  readonly alert: string;
  readonly expr: string;
  /** Absent: it fires at the first evaluation. */
  readonly for?: string;
  readonly severity: Severity;
  readonly team: Team;
  /** One line for a notification's title; a template. */
  readonly summary: string;
  /** What was measured, with the value and the limit; a template. */
  readonly description: string;
  /** Further labels. `family` is shared by alerts on one quantity: the critical one mutes the others (inhibition.ts). */
  readonly labels?: Readonly<Record<string, string>>;
}

export interface Recording {
  /** level:metric:operations, as Prometheus' documentation recommends. */
  readonly record: string;
  readonly expr: string;
  readonly labels?: Readonly<Record<string, string>>;
}

export interface Group {
  readonly name: string;
  readonly rules: readonly (Alert | Recording)[];
}

export interface RuleOptions {
  readonly timing: Timing;
  /** `job` of every target that must exist. */
  readonly targets: readonly string[];
}

export function isAlert(rule: Alert | Recording): rule is Alert {
  return 'alert' in rule;
}
