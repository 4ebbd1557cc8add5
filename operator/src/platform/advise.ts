/** What is valid in a spec but unwise: a warning in status, never an error. Each component has checks of its own. */
import { DEFINITIONS } from './components/index.ts';
import type { BssPlatformSpec } from './spec.ts';
import type { Advice } from './types.ts';

/** Warnings about a spec, in the order of the components. */
export function adviseSpec(spec: BssPlatformSpec): Advice[] {
  return DEFINITIONS.flatMap(({ advise }) => advise?.(spec, DEFINITIONS) ?? []).filter((advice) => advice !== undefined);
}
