/** Checks changes of state against the tables of the contract. */
import { STATE_MACHINES } from '../shared/contracts/crm/states.ts';
import type { StatefulFamily, StateMachine, StateOf } from '../shared/contracts/crm/states.ts';
import { PROBLEMS } from '../shared/contracts/crm/problems.ts';
import { Problem } from '../shared/kernel/problems.ts';

/** The states that may follow; empty for a final state. @throws Error for a state that the family does not have */
export function allowedFrom(family: StatefulFamily, from: string): readonly string[] {
  const { next }: StateMachine = STATE_MACHINES[family];
  const allowed = Object.hasOwn(next, from) ? next[from] : undefined;
  if (!allowed) throw new Error(`a family ${family} has no state ${from}`);
  return allowed;
}

/** @throws Problem `illegal_transition`, unless the resource is in one of these states @param what such as "items are added to a draft" */
export function requireState<F extends StatefulFamily>(family: F, state: string, permitted: readonly StateOf<F>[], what: string): void {
  if ((permitted as readonly string[]).includes(state)) return;
  throw new Problem(PROBLEMS.illegal_transition, `The ${family} is ${state}, and ${what}.`, { allowed: allowedFrom(family, state) });
}

/** @throws Problem `illegal_transition` with the states that may follow */
export function requireTransition<F extends StatefulFamily>(family: F, from: string, to: StateOf<F>): void {
  const allowed = allowedFrom(family, from);
  if (allowed.includes(to)) return;
  const next = allowed.length === 0 ? 'the state is final' : `it may become ${allowed.join(', ')}`;
  throw new Problem(PROBLEMS.illegal_transition, `The ${family} is ${from} and cannot become ${to}: ${next}.`, { allowed });
}
