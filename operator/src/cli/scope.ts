/** Which resources a command is about. Pure. */
import { AUTOSCALER_KIND, AUTOSCALER_PLURAL, KIND } from '../api/index.ts';
import { UsageError } from './usage.ts';

export interface Scope {
  /** Unset: all namespaces. */
  namespace?: string;
  /** Unset: all resources. */
  name?: string;
  /** Kind of the named resource; set with the name. */
  kind?: typeof KIND | typeof AUTOSCALER_KIND;
}

/** As kubectl knows the kind. */
const AUTOSCALER_NAMES = new Set(['cas', AUTOSCALER_KIND.toLowerCase(), AUTOSCALER_PLURAL]);

/** `cas/NAME` is a ConsumerAutoscaler, another name a platform. @throws UsageError for another kind */
export function resourceNamed(text: string): Required<Pick<Scope, 'kind' | 'name'>> {
  const [kind = '', name, ...rest] = text.split('/');
  if (name === undefined) return { kind: KIND, name: text };
  if (AUTOSCALER_NAMES.has(kind.toLowerCase()) && name !== '' && rest.length === 0) return { kind: AUTOSCALER_KIND, name };
  throw new UsageError(`${text}: write the name of a platform, or cas/NAME for a ConsumerAutoscaler`);
}

/** Options of a list or watch. */
export function selection({ namespace, name }: Scope): { namespace?: string; fieldSelector?: string } {
  return { ...(namespace === undefined ? {} : { namespace }), ...(name === undefined ? {} : { fieldSelector: `metadata.name=${name}` }) };
}

/** Whether resources of a kind are in the scope. */
export function includes({ kind }: Scope, other: NonNullable<Scope['kind']>): boolean {
  return kind === undefined || kind === other;
}
