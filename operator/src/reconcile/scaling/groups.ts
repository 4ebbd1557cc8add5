/** Consumer groups in status. Figures are rounded and change only when they differ enough, so that a settled platform writes nothing. */
import { isDeepStrictEqual } from 'node:util';
import { isNewerSeason, type ConsumerGroupStatus, type LearnedRate } from '../../autoscale/index.ts';
import type { StatusEntry } from '../status/outcome.ts';

export type GroupEntry = StatusEntry<'consumerGroups'>;

/** A figure keeps its old value while the relative change is below this. */
const TOLERANCE = 0.1;

/** The groups for status. Figures that changed little, or are not known yet after a restart, keep their old values. */
export function nextGroups(previous: GroupEntry[] | undefined, seen: ConsumerGroupStatus[]): GroupEntry[] {
  return seen.map((group) =>
    nextGroup(
      previous?.find((entry) => entry.name === group.name),
      group,
    ),
  );
}

/** A group of a hibernating platform: it is not sampled, and what was learned is kept. */
export function hibernating({ name, topics, learned, season, lastScaleTime }: GroupEntry): GroupEntry {
  return {
    name,
    topics,
    replicas: 0,
    desiredReplicas: 0,
    reason: 'Hibernating',
    ...(lastScaleTime === undefined ? {} : { lastScaleTime }),
    ...(learned === undefined ? {} : { learned }),
    ...(season === undefined ? {} : { season }),
  };
}

function nextGroup(old: GroupEntry | undefined, seen: ConsumerGroupStatus): GroupEntry {
  if (old !== undefined && seen.lastSampleTime === null && seen.problems.length === 0) return old;
  const next = entryOf(old, seen);
  return old !== undefined && onlyFiguresDiffer(old, next) && figuresAreNear(old, next) ? old : next;
}

function entryOf(old: GroupEntry | undefined, seen: ConsumerGroupStatus): GroupEntry {
  const scaled = seen.lastScaleTime === null ? old?.lastScaleTime : new Date(seen.lastScaleTime).toISOString().replace(/\.\d+Z$/, 'Z');
  const learned = steadyLearned(old?.learned, seen.learned);
  const season = seen.season !== null && isNewerSeason(old?.season, seen.season) ? seen.season : old?.season;
  return {
    name: seen.name,
    topics: seen.topics,
    ...present('lag', seen.lag === null ? null : Math.max(0, Math.round(seen.lag))),
    ...present('delaySeconds', seen.delaySeconds === null ? null : Math.round(seen.delaySeconds)),
    ...present('arrivalRate', rounded(seen.arrivalRate)),
    ...present('ratePerReplica', rounded(seen.ratePerReplica)),
    ...present('replicas', seen.replicas),
    ...present('readyReplicas', seen.readyReplicas),
    desiredReplicas: seen.desiredReplicas,
    reason: seen.reason,
    message: seen.message,
    ...(scaled === undefined ? {} : { lastScaleTime: scaled }),
    ...(learned === undefined ? {} : { learned }),
    ...(season === undefined ? {} : { season }),
  };
}

function present<K extends string>(key: K, value: number | null): Partial<Record<K, number>> {
  return value === null || !Number.isFinite(value) ? {} : ({ [key]: value } as Record<K, number>);
}

/** Two significant digits. */
function rounded(value: number | null): number | null {
  return value === null ? null : Number(value.toPrecision(2));
}

const FIGURES = ['lag', 'delaySeconds', 'arrivalRate', 'ratePerReplica'] as const;
const VOLATILE = new Set<string>([...FIGURES, 'message', 'learned', 'season']);

/** True when the two differ only in figures (and the message, which repeats them). */
export function onlyFiguresDiffer(old: GroupEntry, next: GroupEntry): boolean {
  return isDeepStrictEqual(withoutFigures(old), withoutFigures(next));
}

/** A figure that becomes known or unknown is more than a change of figures. */
function withoutFigures(entry: GroupEntry) {
  const known = FIGURES.slice(0, 2).map((figure) => entry[figure] !== undefined);
  const others = Object.entries(entry).filter(([key]) => !VOLATILE.has(key));
  return { known, others: Object.fromEntries(others) };
}

function figuresAreNear(old: GroupEntry, next: GroupEntry): boolean {
  return FIGURES.every((figure) => isNear(old[figure], next[figure])) && old.learned === next.learned && old.season === next.season;
}

/** Zero is near only to zero: status must show when a lag is gone. */
function isNear(old: number | undefined, next: number | undefined): boolean {
  if (old === undefined || next === undefined) return old === next;
  if (old === 0 || next === 0) return old === next;
  return Math.abs(next - old) <= TOLERANCE * Math.abs(old);
}

function wholeOrNull(value: number | undefined): number | null {
  return value === undefined ? null : Math.round(value);
}

/** Returns the old object itself when nothing relevant was learned. Each of the first observations counts, later ones only if they change the result. */
function steadyLearned(old: GroupEntry['learned'], seen: LearnedRate | null): GroupEntry['learned'] {
  if (seen === null || !Number.isFinite(seen.ratePerReplica)) return old;
  const next = {
    ratePerReplica: Number(seen.ratePerReplica.toPrecision(3)),
    startupSeconds: Math.round(seen.startupSeconds),
    observations: Math.round(seen.observations),
    ...present('commitSeconds', wholeOrNull(seen.commitSeconds)),
    ...present('pauseSeconds', rounded(seen.pauseSeconds ?? null)),
    ...present('membersPerReplica', seen.membersPerReplica ?? null),
    ...(seen.version === undefined ? {} : { version: seen.version }),
  };
  if (old === undefined || old.version !== next.version || old.membersPerReplica !== next.membersPerReplica) return next;
  const young = old.observations < 3 && next.observations > old.observations;
  const moved =
    !isNear(old.ratePerReplica, next.ratePerReplica) ||
    Math.abs(old.startupSeconds - next.startupSeconds) > 2 ||
    Math.abs((old.commitSeconds ?? 0) - (next.commitSeconds ?? 0)) > 2 ||
    Math.abs((old.pauseSeconds ?? 0) - (next.pauseSeconds ?? 0)) > 1;
  return young || moved ? next : old;
}
