/** What `spec.templates` and `spec.security` change in the pods of a component. Pure. */
import type { V1Container, V1PodSpec, V1Volume, V1VolumeMount } from '@kubernetes/client-node';
import type { BssPlatformSpec } from './spec.ts';

export type PodCustomization = BssPlatformSpec['templates'][string];

/** Before the names of a user's volumes: a later version of the platform may have a volume of any other name. */
const VOLUME_PREFIX = 'user-';

/** User and groups, which a cluster can assign. */
const IDENTITY = new Set(['runAsUser', 'runAsGroup', 'fsGroup']);

type Fields = Record<string, unknown>;
/** The client declares classes, of which builders write plain objects. */
type Plain<T> = Pick<T, keyof T>;

/**
 * The pod spec of a component with what the user adds. Without additions it is the same, to the letter.
 * @param pod as the platform's builder makes it
 * @param selector labels of the component's pods, which a spread counts
 */
export function customized(
  pod: Plain<V1PodSpec>,
  { templates, security }: Pick<BssPlatformSpec, 'templates' | 'security'>,
  component: string,
  selector: Record<string, string>,
): V1PodSpec {
  // An agent that reads files of root cannot do so as an assigned user.
  const own = security.assignedUserIds && pod.securityContext?.runAsUser !== 0 ? withoutIdentity(pod) : pod;
  const template = templates[component];
  return template === undefined ? own : withTemplate(own, template, selector);
}

function withoutIdentity(pod: Plain<V1PodSpec>): V1PodSpec {
  const kept = Object.entries(pod.securityContext ?? {}).filter(([field]) => !IDENTITY.has(field));
  return { ...pod, securityContext: Object.fromEntries(kept) };
}

function withTemplate(pod: Plain<V1PodSpec>, template: PodCustomization, selector: Record<string, string>): V1PodSpec {
  const { affinity, topologySpreadConstraints: spread, volumes = [], securityContext } = defined(template);
  const containers = (list: V1Container[]) => list.map((one) => withContainer(one, template));
  const added = volumes.map((volume): V1Volume => ({ ...defined(volume), name: VOLUME_PREFIX + volume.name }) as V1Volume);
  return {
    ...pod,
    ...(affinity ? { affinity: affinity as NonNullable<V1PodSpec['affinity']> } : {}),
    ...(spread ? { topologySpreadConstraints: spread.map((one) => ({ ...one, labelSelector: { matchLabels: selector } })) } : {}),
    securityContext: { ...(pod.securityContext as Fields | undefined), ...(securityContext as Fields | undefined) },
    ...(pod.initContainers ? { initContainers: containers(pod.initContainers) } : {}),
    containers: containers(pod.containers),
    ...(added.length > 0 ? { volumes: [...(pod.volumes ?? []), ...added] } : {}),
  };
}

function withContainer(container: Plain<V1Container>, { volumeMounts = [], containerSecurityContext = {} }: PodCustomization): V1Container {
  const mounts = volumeMounts.map(({ name, ...rest }) => ({ name: VOLUME_PREFIX + name, ...defined(rest) }) as V1VolumeMount);
  // Every capability is dropped whatever the template says: it may only repeat that.
  const { capabilities: _dropped, ...context } = containerSecurityContext;
  return {
    ...container,
    ...(mounts.length > 0 ? { volumeMounts: [...(container.volumeMounts ?? []), ...mounts] } : {}),
    securityContext: { ...(container.securityContext as Fields | undefined), ...(defined(context) as Fields) },
  };
}

/** Without the undefined fields that the schema's type allows. */
function defined<T extends object>(fields: T): T {
  return JSON.parse(JSON.stringify(fields)) as T;
}
