/** What is valid in a spec but unwise: a warning in status, never an error. Each component has checks of its own. */
import { DEFINITIONS } from './components/index.ts';
import type { BssPlatformSpec } from './spec.ts';

export interface Advice {
  /** Path of the field, such as `spec.workloads.interest.autoscaling.maxReplicas`. */
  path: string;
  message: string;
}

/** Warnings about a spec, in the order of the components. */
export function adviseSpec(spec: BssPlatformSpec): Advice[] {
  return DEFINITIONS.flatMap(({ advise }) => advise?.(spec, DEFINITIONS) ?? []).filter((advice) => advice !== undefined);
}
