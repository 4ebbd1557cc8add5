/** What all components need: an identity, the prerequisites of other components, and the network policies. */
import type { Draft } from '../component.ts';
import type { BuildInput, ComponentDefinition } from '../definition.ts';
import { networkPolicies } from '../network.ts';

export const definition: ComponentDefinition = {
  name: 'base',
  stage: 'stores',
  withoutPods: true,
  manifests: (input: BuildInput): Draft[] => [
    // A ServiceAccount without rights: pods must not run as `default`, to which a user may have granted rights.
    { kind: 'ServiceAccount', name: input.name, automountServiceAccountToken: false },
    ...input.definitions.flatMap(({ prerequisites, present }) =>
      prerequisites && (present?.(input.spec) ?? true) ? prerequisites(input) : [],
    ),
    ...networkPolicies(input),
  ],
};
