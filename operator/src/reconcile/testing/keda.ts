/** KEDA's kinds without KEDA: the API server stores what the operator writes, and no controller acts on it. */
import type { KubeClient } from '../../runtime/index.ts';

const GROUP = 'keda.sh';
const KINDS = { ScaledObject: 'scaledobjects', TriggerAuthentication: 'triggerauthentications' };

/** Resolves when the kinds are defined; they are served a moment later. */
export async function installKeda(client: KubeClient): Promise<void> {
  for (const [kind, plural] of Object.entries(KINDS)) await client.create(definition(kind, plural));
}

function definition(kind: string, plural: string) {
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${GROUP}` },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      names: { kind, plural, singular: kind.toLowerCase(), listKind: `${kind}List` },
      versions: [{ name: 'v1alpha1', served: true, storage: true, schema }],
    },
  };
}
