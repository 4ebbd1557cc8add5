import assert from 'node:assert/strict';
import { test } from 'node:test';
import { STATE_MACHINES, statesOf } from '../shared/contracts/crm/states.ts';
import type { StatefulFamily, StateMachine } from '../shared/contracts/crm/states.ts';
import { Problem } from '../shared/kernel/problems.ts';
import { allowedFrom, requireTransition } from './states.ts';

const FAMILIES = Object.keys(STATE_MACHINES) as StatefulFamily[];

for (const family of FAMILIES) {
  test(`every state of a ${family} can be reached, and every successor is a state`, () => {
    const { initial, next }: StateMachine = STATE_MACHINES[family];
    const states = new Set<string>(statesOf(family));
    const reached = new Set<string>(initial);
    for (const state of reached) for (const successor of next[state] ?? []) reached.add(successor);
    assert.deepEqual(reached, states);
  });
}

test('a permitted transition passes, and any other one names the states that may follow', () => {
  requireTransition('order', 'draft', 'acknowledged');
  assert.throws(
    () => requireTransition('order', 'draft', 'completed'),
    (error) => {
      assert.ok(error instanceof Problem);
      assert.deepEqual([error.status, error.code, error.body().allowed], [409, 'illegal_transition', ['acknowledged', 'cancelled']]);
      assert.match(error.message, /draft and cannot become completed: it may become acknowledged, cancelled/);
      return true;
    },
  );
  assert.throws(() => requireTransition('invoice', 'voided', 'sent'), /the state is final/);
  assert.throws(() => allowedFrom('invoice', 'toString'), /has no state toString/);
});
