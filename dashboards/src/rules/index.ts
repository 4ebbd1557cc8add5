/** Every rule of a platform, and the rule files that Prometheus reads. */
import { stringify } from 'yaml';
import { businessGroups } from './business.ts';
import { capacityGroups } from './capacity.ts';
import { timing } from './durations.ts';
import { eventPathGroups } from './event-path.ts';
import { kafkaGroups } from './kafka.ts';
import { monitoringGroups } from './monitoring.ts';
import { operatorGroups } from './operator.ts';
import { postgresqlGroups } from './postgresql.ts';
import { redisGroups } from './redis.ts';
import { scoped, type Scope } from './scope.ts';
import { sloGroups } from './slo.ts';
import { systemGroups } from './system.ts';
import { telemetryGroups } from './telemetry.ts';
import { isAlert, type Alert, type Group, type Recording, type RuleOptions } from './types.ts';

export { INHIBITIONS, type Inhibition } from './inhibition.ts';
export { OPERATOR_PLATFORM, type Scope } from './scope.ts';
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
  'accounts',
  'alertmanager',
  'bss-operator',
  'collector',
  'crm',
  'gateway',
  'interest',
  'jaeger',
  'kafka-exporter',
  'ledger',
  'log-agent',
  'loki',
  'node-exporter',
  'orchestrator',
  'outbox-relay',
  'pgbouncer-exporter',
  'postgres-exporter',
  'prometheus',
  'read-model',
  'redis-exporter',
  'tempo',
] as const;

export const DEFAULTS: RuleFileOptions = { targets: ALL_TARGETS, divisor: 1, runbooks: 'docs/runbooks/' };

const BUILDERS: readonly ((options: RuleOptions) => Group[])[] = [
  systemGroups,
  postgresqlGroups,
  redisGroups,
  kafkaGroups,
  businessGroups,
  eventPathGroups,
  sloGroups,
  operatorGroups,
  monitoringGroups,
  telemetryGroups,
  capacityGroups,
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

/** The rules of one platform in the format of Prometheus, for a Prometheus that holds the series of several. */
export function scopedGroups(options: RuleFileOptions, scope: Scope): WrittenGroup[] {
  return scoped(ruleGroups(options), scope).map((group) => writtenGroup(group, options.runbooks));
}

/** Text of a file with these groups. */
export function fileOf(groups: readonly Group[], runbooks: string): string {
  return stringify({ groups: groups.map((group) => writtenGroup(group, runbooks)) }, { lineWidth: 0 });
}

export interface WrittenGroup {
  name: string;
  rules: object[];
}

function writtenGroup({ name, rules }: Group, runbooks: string): WrittenGroup {
  return { name, rules: rules.map((rule) => written(rule, runbooks)) };
}

/** A rule in the format of Prometheus. */
function written(rule: Alert | Recording, runbooks: string): object {
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
