/**
 * Pod Security of the platform's namespace. Components that mount folders of the node are left out where the namespace refuses their pods: a
 * DaemonSet without pods would keep the platform from being Ready, and other components do not need them.
 */
import { presentIn, type ComponentDefinition } from './definition.ts';
import type { BssPlatformSpec } from './spec.ts';

/** Label of a namespace: https://kubernetes.io/docs/concepts/security/pod-security-admission/ */
export const POD_SECURITY_LABEL = 'pod-security.kubernetes.io/enforce';

/** Both refuse every volume of type hostPath. */
const REFUSING = new Set(['baseline', 'restricted']);

/** @param level that the namespace enforces; undefined: none */
export function admitted(definitions: readonly ComponentDefinition[], level: string | undefined): readonly ComponentDefinition[] {
  return REFUSING.has(level ?? '') ? definitions.filter(({ mountsHost }) => !mountsHost) : definitions;
}

/** Field of a component in the spec, by its name: `log-agent` is `logAgent`. */
const fieldOf = (name: string): string => name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());

/** A component of the spec that its namespace refuses. */
export interface RefusedComponent {
  /** Its field, such as `spec.logAgent`. */
  path: string;
  what: string;
  remedy: string;
}

/** The components of the spec that the namespace refuses. */
export function refusedAgents(
  definitions: readonly ComponentDefinition[],
  spec: BssPlatformSpec,
  namespace: string,
  level: string | undefined,
): RefusedComponent[] {
  const kept = admitted(definitions, level);
  const refused = presentIn(definitions, spec).filter((one) => !kept.includes(one));
  return refused.map(({ name }) => ({
    path: `spec.${fieldOf(name)}`,
    what: `namespace ${namespace} enforces Pod Security ${level}, so ${name} does not run: its pods mount folders of the node`,
    remedy: `kubectl label namespace ${namespace} ${POD_SECURITY_LABEL}=privileged --overwrite, or set spec.${fieldOf(name)}.enabled to false`,
  }));
}
