/** Publishes the results of applying a component as events. */
import { HASH_ANNOTATION, type Component } from '../../platform/index.ts';
import type { ApplyResult } from '../../runtime/index.ts';
import { FIELD_MANAGER } from '../../api/index.ts';
import { entryKey, entryOf } from '../ownership/inventory.ts';
import { appliedHash } from '../ownership/ownership.ts';
import type { Pass } from '../pass.ts';
import { restartReasons } from './restart.ts';

/** One event for all created objects, one for each rollout, one for each object whose drift was corrected. */
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
  // An object that was there before was recreated by the operator itself.
  const created = results.filter(({ action, before }) => action === 'created' && before === undefined);
  const known = new Set((pass.platform.status?.inventory ?? []).map((entry) => entryKey(entry)));
  const [recreated, fresh] = [
    created.filter(({ object }) => known.has(entryKey(entryOf(object)))),
    created.filter(({ object }) => !known.has(entryKey(entryOf(object)))),
  ];
  if (fresh.length > 0) pass.publish('Normal', 'Created', `${component.name}: created ${listed(fresh)}`);
  if (recreated.length > 0)
    pass.publish('Warning', 'Recreated', `${component.name}: recreated ${listed(recreated)}, deleted by another client`);
}

function listed(results: ApplyResult[]): string {
  return results
    .map(({ object }) => `${object.kind} ${object.metadata.name}`)
    .toSorted()
    .join(', ');
}

/** Undefined when the manifest itself changed: then the change is not drift. */
function driftOf({ before, object, conflicts }: ApplyResult): string | undefined {
  const others = conflicts.filter(({ manager }) => manager !== FIELD_MANAGER);
  const name = `${object.kind} ${object.metadata.name}`;
  if (others.length > 0) {
    const managers = [...new Set(others.map(({ manager }) => manager))].toSorted().join(', ');
    return `${name}: enforced ${others.map(({ field }) => field).join(', ')}, which ${managers} had changed`;
  }
  return appliedHash(before) === appliedHash(object) ? `${name}: restored removed fields` : undefined;
}

function announceRestart(pass: Pass, { before, object }: ApplyResult, configChanged: boolean): void {
  const reasons = restartReasons(before, object, HASH_ANNOTATION, configChanged);
  const first = reasons[0];
  if (first === undefined) return;
  pass.publish('Normal', first, `rolling out ${object.kind} ${object.metadata.name}: ${reasons.join(', ')}`);
}
