/** Tells, as events, what applying a component did. */
import { HASH_ANNOTATION, type Component } from '../../platform/index.ts';
import type { ApplyResult } from '../../runtime/index.ts';
import { FIELD_MANAGER } from '../../api/index.ts';
import { entryKey, entryOf } from '../ownership/inventory.ts';
import { appliedHash } from '../ownership/ownership.ts';
import type { Pass } from '../pass.ts';
import { restartReasons } from './restart.ts';

/** One event for what was created, one for each restart, one for each object that was taken back from somebody. */
export function announce(pass: Pass, component: Component, results: ApplyResult[]): void {
  announceCreations(pass, component, results);
  const configChanged = results.some(({ action, object }) => object.kind === 'ConfigMap' && action === 'changed');
  for (const result of results) {
    if (result.action !== 'changed') continue;
    const drift = driftOf(result);
    if (drift !== undefined) pass.publish('Warning', 'DriftCorrected', drift);
    announceRestart(pass, result, configChanged);
  }
}

function announceCreations(pass: Pass, component: Component, results: ApplyResult[]): void {
  const created = results.filter(({ action }) => action === 'created');
  const known = new Set((pass.platform.status?.inventory ?? []).map((entry) => entryKey(entry)));
  const [again, fresh] = [
    created.filter(({ object }) => known.has(entryKey(entryOf(object)))),
    created.filter(({ object }) => !known.has(entryKey(entryOf(object)))),
  ];
  if (fresh.length > 0) pass.publish('Normal', 'Created', `${component.name}: created ${listed(fresh)}`);
  if (again.length > 0) pass.publish('Warning', 'Recreated', `${component.name}: ${listed(again)} had been deleted, made again`);
}

function listed(results: ApplyResult[]): string {
  return results
    .map(({ object }) => `${object.kind} ${object.metadata.name}`)
    .toSorted()
    .join(', ');
}

/** Undefined when the change was one of ours: then something else was wanted before. */
function driftOf({ before, object, conflicts }: ApplyResult): string | undefined {
  const others = conflicts.filter(({ manager }) => manager !== FIELD_MANAGER);
  const name = `${object.kind} ${object.metadata.name}`;
  if (others.length > 0) {
    const managers = [...new Set(others.map(({ manager }) => manager))].toSorted().join(', ');
    return `${name}: took back ${others.map(({ field }) => field).join(', ')} from ${managers}`;
  }
  return appliedHash(before) === appliedHash(object) ? `${name}: put back what had been removed` : undefined;
}

function announceRestart(pass: Pass, { before, object }: ApplyResult, configChanged: boolean): void {
  const reasons = restartReasons(before, object, HASH_ANNOTATION, configChanged);
  const first = reasons[0];
  if (first === undefined) return;
  pass.publish('Normal', first, `the pods of ${object.kind} ${object.metadata.name} are replaced: ${reasons.join(', ')}`);
}
