/** Input and output of the builders. */
import type { KubernetesObject } from '../objects/index.ts';
import type { CredentialSlots } from './logins.ts';
import type { BssPlatformSpec } from './spec.ts';

export type { KubernetesObject };

/** Stages follow one another: the next begins when every component of the one before is healthy. */
export const STAGES = ['stores', 'setup', 'workloads', 'observability'] as const;
export type Stage = (typeof STAGES)[number];

/** An object whose state decides whether its component is healthy. */
export interface HealthCheck {
  kind: 'Deployment' | 'StatefulSet' | 'DaemonSet' | 'Job';
  name: string;
}

/** A component with its manifests. */
export interface Component {
  /** Its name in status and in the label app.kubernetes.io/component. */
  name: string;
  stage: Stage;
  manifests: KubernetesObject[];
  health: HealthCheck[];
}

/** Hash of each value of each Secret that the platform uses: by name of the Secret, then by key. Never the values. */
export type SecretHashes = Record<string, Record<string, string>>;

/** Everything that the builders read. */
export interface PlatformInput {
  name: string;
  namespace: string;
  /** Of the BssPlatform; without it (rendering without a cluster) objects carry no owner references. */
  uid?: string;
  spec: BssPlatformSpec;
  /** Namespace of the operator, which must reach Kafka. */
  operatorNamespace: string;
  /** Pod Security level that the platform's namespace enforces; absent: none. */
  podSecurity?: string;
  secretHashes: SecretHashes;
  /** Which of the generated logins and tokens are valid: new pods use one, servers accept all. */
  slots: CredentialSlots;
}

/** A Secret that pods of this platform use, with the keys they need. */
export interface SecretUse {
  name: string;
  keys: string[];
}

/** An entry of `status.endpoints`. */
export interface Endpoint {
  name: string;
  /** URL or host:port inside the cluster; the public URL of an Ingress; the first host name of a route, whose scheme its Gateway decides. */
  address: string;
}

/** A warning about a spec. */
export interface Advice {
  /** Path of the field, such as `spec.workloads.interest.autoscaling.maxReplicas`. */
  path: string;
  message: string;
}
