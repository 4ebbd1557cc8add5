/** Every rule of a platform, and the rule files that Prometheus reads. */
import { stringify } from 'yaml';
import { businessGroups } from './business.ts';
import { timing } from './durations.ts';
import { kafkaGroups } from './kafka.ts';
import { monitoringGroups } from './monitoring.ts';
import { operatorGroups } from './operator.ts';
import { postgresqlGroups } from './postgresql.ts';
import { redisGroups } from './redis.ts';
import { sloGroups } from './slo.ts';
import { systemGroups } from './system.ts';
import { isAlert, type Alert, type Group, type Recording, type RuleOptions } from './types.ts';

export { INHIBITIONS, type Inhibition } from './inhibition.ts';
export { timing, type Timing } from './durations.ts';
export type { Severity, Team } from './types.ts';

export interface RuleFileOptions {
  /** `job` of every target that must exist: an alert fires when one is missing. */
  readonly targets: readonly string[];
  /** All durations are divided by it; 1 in production. */
  readonly divisor: number;
  /** Address that the name of an alert and `.md` are appended to. */
  readonly runbooks: string;
}

/** `job` of every target of a platform with all of its parts. */
export const ALL_TARGETS = [
  'alertmanager',
  'bss-operator',
  'gateway',
  'interest',
  'kafka-exporter',
  'ledger',
  'pgbouncer-exporter',
  'postgres-exporter',
  'prometheus',
  'redis-exporter',
] as const;

export const DEFAULTS: RuleFileOptions = { targets: ALL_TARGETS, divisor: 1, runbooks: 'docs/runbooks/' };

const BUILDERS: readonly ((options: RuleOptions) => Group[])[] = [
  systemGroups,
  postgresqlGroups,
  redisGroups,
  kafkaGroups,
  businessGroups,
  sloGroups,
  operatorGroups,
  monitoringGroups,
];

export function ruleGroups({ targets, divisor }: Pick<RuleFileOptions, 'targets' | 'divisor'> = DEFAULTS): Group[] {
  return BUILDERS.flatMap((build) => build({ timing: timing(divisor), targets }));
}

const KEPT_FILES = 64;
const files = new Map<string, string>();

/** Text of the rule file of a platform. Platforms of the same options share it: to write it takes longer than all other manifests of a platform. */
export function ruleFile(options: RuleFileOptions = DEFAULTS): string {
  const key = JSON.stringify(options);
  const text = files.get(key) ?? fileOf(ruleGroups(options), options.runbooks);
  if (files.size >= KEPT_FILES) files.clear();
  files.set(key, text);
  return text;
}

/** Text of a file with these groups. */
export function fileOf(groups: readonly Group[], runbooks: string): string {
  const content = { groups: groups.map(({ name, rules }) => ({ name, rules: rules.map((rule) => written(rule, runbooks)) })) };
  return stringify(content, { lineWidth: 0 });
}

/** A rule in the format of Prometheus. */
function written(rule: Alert | Recording, runbooks: string): unknown {
  if (!isAlert(rule)) return { record: rule.record, expr: rule.expr, ...(rule.labels ? { labels: rule.labels } : {}) };
  const { alert, expr, severity, team, summary, description, labels = {} } = rule;
  return {
    alert,
    expr,
    ...(rule.for === undefined ? {} : { for: rule.for }),
    labels: { severity, team, ...labels },
    annotations: { summary, description, runbook_url: `${runbooks}${alert}.md` },
  };
}
