/** Drafts of the objects that most components have. */
import type { V1DeploymentSpec, V1PodTemplateSpec, V1ServicePort } from '@kubernetes/client-node';
import type { Draft } from './component.ts';
import { nameOf, selectorOf } from './names.ts';
import { claimName } from './pods.ts';
import type { BssPlatformSpec } from './spec.ts';
import type { PlatformInput } from './types.ts';

/** Zero replicas while the platform hibernates. */
function awake(input: PlatformInput, replicas: number): number {
  return input.spec.hibernate ? 0 : replicas;
}

/**
 * A Deployment. Without `replicas` another field manager scales it: the field is left out, except in hibernation.
 */
export function deployment(
  input: PlatformInput,
  component: string,
  template: V1PodTemplateSpec,
  replicas: number | undefined,
  strategy: V1DeploymentSpec['strategy'] = { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
): Draft<'Deployment'> {
  const count = replicas === undefined && !input.spec.hibernate ? {} : { replicas: awake(input, replicas ?? 0) };
  return {
    kind: 'Deployment',
    name: nameOf(input, component),
    spec: {
      ...count,
      revisionHistoryLimit: 3,
      progressDeadlineSeconds: 300,
      selector: { matchLabels: selectorOf(input, component) },
      strategy,
      template,
    },
  };
}

/** A StatefulSet of one pod behind the headless Service `<component>-headless`. */
export function statefulSet(input: PlatformInput, component: string, template: V1PodTemplateSpec): Draft<'StatefulSet'> {
  return {
    kind: 'StatefulSet',
    name: nameOf(input, component),
    spec: {
      replicas: awake(input, 1),
      revisionHistoryLimit: 3,
      serviceName: nameOf(input, `${component}-headless`),
      selector: { matchLabels: selectorOf(input, component) },
      template,
    },
  };
}

/**
 * A DaemonSet: a pod on every node that the pods tolerate. It cannot be scaled to zero: while the platform hibernates there is none.
 */
export function daemonSet(input: PlatformInput, component: string, template: V1PodTemplateSpec): Draft<'DaemonSet'> | undefined {
  if (input.spec.hibernate) return undefined;
  return {
    kind: 'DaemonSet',
    name: nameOf(input, component),
    spec: {
      revisionHistoryLimit: 3,
      selector: { matchLabels: selectorOf(input, component) },
      // A few at a time: on a cluster of many nodes one at a time takes hours.
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: '10%' } },
      template,
    },
  };
}

/** A Service under the component's name, or under another one that selects the same pods. */
export function service(
  input: PlatformInput,
  component: string,
  ports: Record<string, number>,
  options: { headless?: boolean } = {},
): Draft<'Service'> {
  return {
    kind: 'Service',
    name: nameOf(input, options.headless ? `${component}-headless` : component),
    spec: {
      ...(options.headless ? { clusterIP: 'None', publishNotReadyAddresses: true } : { type: 'ClusterIP' }),
      selector: selectorOf(input, component),
      ports: Object.entries(ports).map(([name, port]): V1ServicePort => ({ name, port, targetPort: port, protocol: 'TCP' })),
    },
  };
}

export function configMap(input: PlatformInput, component: string, data: Record<string, string>): Draft<'ConfigMap'> {
  return { kind: 'ConfigMap', name: nameOf(input, component), data };
}

/**
 * The volume of a store. It is not a volume claim template of the StatefulSet, so that it can grow, and so that it can outlive the StatefulSet:
 * with `deletionPolicy: keep` it has no owner.
 */
export function claim(
  input: PlatformInput,
  component: string,
  storage: { size: string; storageClass?: string | undefined },
): Draft<'PersistentVolumeClaim'> {
  return {
    kind: 'PersistentVolumeClaim',
    name: claimName(input, component),
    owned: input.spec.deletionPolicy === 'delete',
    spec: {
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: storage.size } },
      ...(storage.storageClass === undefined ? {} : { storageClassName: storage.storageClass }),
    },
  };
}

/** Voluntary disruptions take one replica at a time. */
export function disruptionBudget(input: PlatformInput, component: string): Draft<'PodDisruptionBudget'> {
  return {
    kind: 'PodDisruptionBudget',
    name: nameOf(input, component),
    spec: { maxUnavailable: 1, selector: { matchLabels: selectorOf(input, component) } },
  };
}

/** Narrows a store's spec: `parseSpec` sets exactly one of managed and external. */
export type Managed<S extends 'kafka' | 'postgres' | 'redis'> = NonNullable<BssPlatformSpec[S]['managed']>;
