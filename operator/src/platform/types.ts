/** What goes into the builders and what comes out. */
import type { BssPlatformSpec } from '../api/index.ts';
import type { KubernetesObject } from '../objects/index.ts';
import type { CredentialSlots } from './credentials.ts';

export type { KubernetesObject };

/** Stages follow one another: the next begins when every component of the one before is healthy. */
export const STAGES = ['stores', 'setup', 'workloads', 'observability'] as const;
export type Stage = (typeof STAGES)[number];

/** An object whose state tells whether its component is healthy. */
export interface HealthCheck {
  kind: 'Deployment' | 'StatefulSet' | 'Job';
  name: string;
}

/** A part of the platform with everything it consists of. */
export interface Component {
  /** Its name in status and in the label app.kubernetes.io/component. */
  name: string;
  stage: Stage;
  manifests: KubernetesObject[];
  health: HealthCheck[];
}

/** Hash of each value of each Secret that the platform uses: by name of the Secret, then by key. Never the values. */
export type SecretHashes = Record<string, Record<string, string>>;

/** Everything the builders know. They read nothing else. */
export interface PlatformInput {
  name: string;
  namespace: string;
  /** Of the BssPlatform; without it (rendering without a cluster) objects carry no owner references. */
  uid?: string;
  spec: BssPlatformSpec;
  /** Namespace of the operator, which must reach Kafka. */
  operatorNamespace: string;
  secretHashes: SecretHashes;
  /** Which of the generated logins and tokens are good: clients are made with one, servers accept all. */
  slots: CredentialSlots;
}

/** A Secret that pods of this platform use, with the keys they need. */
export interface SecretUse {
  name: string;
  keys: string[];
}
