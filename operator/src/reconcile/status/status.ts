/** Status of a platform: pure, from the previous status and the outcome of a pass. */
import { isDeepStrictEqual } from 'node:util';
import type { z } from 'zod';
import { statusSchema, type BssPlatformStatus } from '../../api/index.ts';
import { hasAlerts, nextAlerts } from '../alerts/alert-status.ts';
import { conditionOf, NO_PROGRESS, nextConditions, type Condition } from './conditions.ts';
import { hibernating, nextGroups, onlyFiguresDiffer, type GroupEntry } from '../scaling/groups.ts';
import type { ActedOutcome, ComponentState, Outcome, StatusEntry } from './outcome.ts';

/** Minimum interval between writes that change only figures. */
export const FIGURES_INTERVAL_MS = 10_000;

/** The valid fields of a status. */
export function readStatus(raw: unknown): BssPlatformStatus | undefined {
  return validFields(statusSchema, raw);
}

/** The fields that fit the schema: a CRD of another version may have admitted others. */
export function validFields<S extends z.ZodObject>(schema: S, raw: unknown): z.output<S> | undefined {
  if (typeof raw !== 'object' || raw === null) return undefined;
  const fields = Object.entries(schema.shape).flatMap(([key, field]) => {
    const value: unknown = key in raw ? raw[key as keyof typeof raw] : undefined;
    return value !== undefined && (field as z.ZodType).safeParse(value).success ? [[key, value]] : [];
  });
  return Object.fromEntries(fields) as z.output<S>;
}

/** The status after a pass. @param now epoch milliseconds */
export function nextStatus(previous: BssPlatformStatus | undefined, outcome: Outcome, now: number): BssPlatformStatus {
  const conditions = nextConditions(previous, outcome, instant(now));
  if (outcome.type === 'invalid')
    return defined({
      ...previous,
      observedGeneration: outcome.generation,
      conditions,
      alerts: nextAlerts(previous?.alerts, outcome.alerts),
    });
  if (outcome.type === 'deleting') return { ...previous, conditions };
  return defined({
    observedGeneration: outcome.type === 'paused' ? previous?.observedGeneration : outcome.generation,
    version: version(previous, outcome, isComplete(conditionOf({ conditions }, 'Ready'))),
    conditions,
    components: outcome.components.filter((part) => isShown(part)).map((part) => componentEntry(part)),
    consumerGroups: groups(previous, outcome),
    endpoints: outcome.endpoints,
    alerts: hasAlerts(outcome.spec) ? nextAlerts(previous?.alerts, outcome.alerts) : undefined,
    secretName: outcome.secretName,
    warnings: outcome.warnings,
    inventory: outcome.inventory ?? previous?.inventory,
  });
}

/** The status with this plan; undefined removes the plan. */
export function withPlan({ plan: _old, ...status }: BssPlatformStatus, plan: BssPlatformStatus['plan']): BssPlatformStatus {
  return plan === undefined ? status : { ...status, plan };
}

/** RFC 3339 with whole seconds, as Kubernetes writes times. */
export function instant(now: number): string {
  return new Date(now).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** Every component is healthy. */
function isComplete(ready: Condition | undefined): boolean {
  return ready?.status === 'True' || ready?.reason === NO_PROGRESS;
}

/** The version changes once every component is healthy; a paused platform keeps its version. */
function version(previous: BssPlatformStatus | undefined, { type, spec }: ActedOutcome, complete: boolean): string | undefined {
  return complete && type === 'acted' ? spec.version : previous?.version;
}

/** Without samples the groups stay unchanged; a hibernating platform keeps only the learned rates. */
function groups(previous: BssPlatformStatus | undefined, { spec, groups: seen }: ActedOutcome): GroupEntry[] | undefined {
  const before = previous?.consumerGroups;
  if (spec.hibernate) return before?.map((group) => hibernating(group));
  return seen === undefined ? before : nextGroups(before, seen);
}

/** Components without pods are shown only while they are unhealthy. */
function isShown({ kind, health }: ComponentState): boolean {
  return kind !== '' || !health.healthy;
}

function componentEntry({ name, kind, health }: ComponentState): StatusEntry<'components'> {
  const { ready, desired, message } = health;
  return { name, kind, ready, desired, ...(message === '' ? {} : { message }) };
}

function defined<T extends object>(fields: { [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T;
}

/** How two statuses differ: not at all, only in the figures of consumer groups, or in more. */
export function difference(old: BssPlatformStatus | undefined, next: BssPlatformStatus): 'none' | 'figures' | 'more' {
  if (isDeepStrictEqual(old, next)) return 'none';
  const { consumerGroups: before = [], ...oldRest } = old ?? {};
  const { consumerGroups: after = [], ...nextRest } = next;
  if (!isDeepStrictEqual(oldRest, nextRest) || before.length !== after.length) return 'more';
  const same = after.every((group, index) => {
    const earlier = before[index];
    return earlier !== undefined && onlyFiguresDiffer(earlier, group);
  });
  return same ? 'figures' : 'more';
}

/** Merge patch that turns `old` into `next`: replaces lists, and sets removed fields to null. */
export function statusPatch(old: BssPlatformStatus | undefined, next: BssPlatformStatus): { status: Record<string, unknown> } {
  // A merge patch merges nested objects: their removed fields must be named too.
  const nested = (['plan', 'alerts'] as const).flatMap((key) => {
    const value = next[key];
    return value === undefined ? [] : [[key, { ...removedFields(old?.[key], value), ...value }]];
  });
  return { status: { ...removedFields(old, next), ...next, ...Object.fromEntries(nested) } };
}

export function removedFields(old: object | undefined, next: object): Record<string, null> {
  return Object.fromEntries(Object.keys(old ?? {}).flatMap((key) => (key in next ? [] : [[key, null]])));
}
