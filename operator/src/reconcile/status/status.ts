/** Status of a platform: pure, from the status before and what a pass found out. */
import { isDeepStrictEqual } from 'node:util';
import { statusSchema, type BssPlatformStatus } from '../../api/index.ts';
import { conditionOf, nextConditions } from './conditions.ts';
import { asleep, nextGroups, onlyFiguresDiffer, type GroupEntry } from '../scaling/groups.ts';
import type { ActedOutcome, ComponentState, Outcome, StatusEntry } from './outcome.ts';

/** Figures alone are written no more often than this. */
export const FIGURES_INTERVAL_MS = 10_000;

/** What of a status can be understood: a definition of another version, or none, may have let anything in. */
export function readStatus(raw: unknown): BssPlatformStatus | undefined {
  if (typeof raw !== 'object' || raw === null) return undefined;
  const fields = Object.entries(statusSchema.shape).flatMap(([key, schema]) => {
    const value: unknown = key in raw ? raw[key as keyof typeof raw] : undefined;
    return value !== undefined && schema.safeParse(value).success ? [[key, value]] : [];
  });
  return Object.fromEntries(fields);
}

/** The status after a pass. @param now epoch milliseconds */
export function nextStatus(previous: BssPlatformStatus | undefined, outcome: Outcome, now: number): BssPlatformStatus {
  const conditions = nextConditions(previous, outcome, instant(now));
  if (outcome.type === 'invalid') return { ...previous, observedGeneration: outcome.generation, conditions };
  if (outcome.type === 'deleting') return { ...previous, conditions };
  return defined({
    observedGeneration: outcome.type === 'paused' ? previous?.observedGeneration : outcome.generation,
    version: version(previous, outcome, conditionOf({ conditions }, 'Ready')?.status === 'True'),
    conditions,
    components: outcome.components.filter((part) => isShown(part)).map((part) => componentEntry(part)),
    consumerGroups: groups(previous, outcome),
    endpoints: outcome.endpoints,
    secretName: outcome.secretName,
    warnings: outcome.warnings,
    inventory: outcome.inventory ?? previous?.inventory,
  });
}

/** The status with this plan, or without any. */
export function withPlan({ plan: _old, ...status }: BssPlatformStatus, plan: BssPlatformStatus['plan']): BssPlatformStatus {
  return plan === undefined ? status : { ...status, plan };
}

/** RFC 3339 with whole seconds, as Kubernetes writes times. */
function instant(now: number): string {
  return new Date(now).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** The version moves when everything of it is healthy; a paused platform runs what it ran. */
function version(previous: BssPlatformStatus | undefined, { type, spec }: ActedOutcome, ready: boolean): string | undefined {
  return ready && type === 'acted' ? spec.version : previous?.version;
}

/** While nobody samples them the groups stay as they were; while the platform sleeps only what was learnt does. */
function groups(previous: BssPlatformStatus | undefined, { spec, groups: seen }: ActedOutcome): GroupEntry[] | undefined {
  const before = previous?.consumerGroups;
  if (spec.hibernate) return before?.map((group) => asleep(group));
  return seen === undefined ? before : nextGroups(before, seen);
}

/** What has no pods shows only when something is wrong with it. */
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

/** How much two statuses differ: not at all, in the figures of consumer groups alone, or in more. */
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

/** Merge patch that turns `old` into `next`: lists are replaced, fields that went are set to null. */
export function statusPatch(old: BssPlatformStatus | undefined, next: BssPlatformStatus): { status: Record<string, unknown> } {
  // A merge patch goes into objects: what went from the plan is named too.
  const plan = next.plan === undefined ? {} : { plan: { ...gone(old?.plan, next.plan), ...next.plan } };
  return { status: { ...gone(old, next), ...next, ...plan } };
}

function gone(old: object | undefined, next: object): Record<string, null> {
  return Object.fromEntries(Object.keys(old ?? {}).flatMap((key) => (key in next ? [] : [[key, null]])));
}
