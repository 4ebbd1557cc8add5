/**
 * The definition of a component: everything that the operator knows about it, in one object. What the rest of the operator does with a component
 * is derived from it: network policies of both ends, scraping, endpoints, pools, logins, credentials, topics, images.
 */
import type { Draft } from './component.ts';
import type { Advice, Endpoint, PlatformInput, Stage } from './types.ts';
import type { BssPlatformSpec } from './spec.ts';

/** A program of a third party. */
export interface Image {
  /** Its field below `spec.images`. */
  name: string;
  /**
   * The tested reference by version of the platform, with an exact tag. A version that is not in the table has the image of the newest one before
   * it. An entry of a released version does not change: another image is an entry of the next version, so that a new operator restarts nothing
   * before the platform's version changes. `local/src/build/versions.integration.test.ts` asks each program of the local images for its version.
   */
  refs: Record<string, string>;
  /** The program, as descriptions name it: `the Redis exporter`. */
  what: string;
  /**
   * How an image with the same program is built from Debian packages, where no image registry is reachable. Absent: no package has the program,
   * and the local cluster cannot run the component.
   */
  debian?: DebianSource;
}

export interface DebianSource {
  packages: readonly string[];
  /** The command that prints the version of the program. */
  version: readonly string[];
  /** The program's name in Debian, or below local/programs, by its name or its absolute path in the public image, where they differ. */
  programs?: Record<string, string>;
  /** Stop signal of the public image, if it is not SIGTERM. */
  stopSignal?: string;
  /** Programs that local/programs builds from their Go modules, where Debian has not the version of the image. */
  built?: readonly string[];
  /**
   * A part of the monitoring stack: its image is packed and imported after those of the platform, so that the platform does not wait for programs that
   * take minutes to compile.
   */
  stack?: true;
}

/** Ports by name, as the containers declare them. A name that begins with `metrics` is a port that Prometheus scrapes. */
export type Ports = Record<string, number>;

/**
 * A connection that the pods of a component open: to another component by its name (its ports without metrics, or all of them if it has no
 * others), to named ports of a component, to the metrics ports of every component, to ports of the operator, or to ports outside the platform: of any
 * address, or of the networks that `of` names in CIDR notation.
 */
export type Connection =
  string | { component: string; ports: number[] } | { metrics: 'all' } | { operator: number[] } | { outside: number[]; of?: string[] };

/** Clients that are not components: any address, the pods of the platform's namespace, the operator, or KEDA. */
export interface Admission {
  from: 'anywhere' | 'namespace' | 'operator' | 'keda';
  ports: number[];
}

/** A generated secret value in the platform's credentials Secret. */
export interface Credential {
  /** Key in the Secret. */
  key: string;
  /**
   * `password`: one value, which a rotation replaces at once. `token`: a value for each slot under `<key>-<slot>`, all of which the servers accept
   * while a rotation is in progress; `<key>` is the one that callers send.
   */
  type: 'password' | 'token';
  /** A key with the password in the form that the program reads. */
  derived?: { key: string; text: (password: string) => string };
}

/** How a component uses a database. It gets a role with two logins, and connections from PgBouncer. */
export interface DatabaseUse {
  /** The database; several components may share one. */
  name: string;
  role: string;
  pool: {
    /** Connections of one replica at most: more would only wait in PgBouncer for a server connection. */
    most: number;
    /** The size that the spec sets; undefined: a share of what PgBouncer accepts. */
    size: (spec: BssPlatformSpec) => number | undefined;
    /** Replicas at most. */
    replicas: (spec: BssPlatformSpec) => number;
  };
  /** Connections of one replica that go straight to the server, past PgBouncer; absent: none. */
  direct?: number;
}

/** A consumer group whose members are the replicas of the component's Deployment. */
export interface ConsumerGroup {
  name: string;
  topics: string[];
  /** Path below `spec` of the field that sets its number of members. */
  at: string;
  autoscaling: (spec: BssPlatformSpec) => BssPlatformSpec['workloads']['interest']['autoscaling'];
}

export interface OwnTopic {
  name: string;
  partitions: number;
  retention?: string;
  maxMessageBytes?: number;
}

/** The input of the builders, with what is derived from all definitions. */
export interface BuildInput extends PlatformInput {
  definitions: readonly ComponentDefinition[];
  /** Connections that one replica may open, by role. */
  pools: Record<string, number>;
}

export interface ComponentDefinition {
  /** Its name in status, in labels, and in the names of its objects: `<platform>-<name>`. */
  name: string;
  stage: Stage;
  /** Whether the platform has the component; absent: always. */
  present?: (spec: BssPlatformSpec) => boolean;
  /** It consists of other objects alone: there is nothing for `spec.templates` to change. */
  withoutPods?: true;
  /** Its pods mount folders of the node, which Pod Security admits in namespaces that enforce `privileged` alone. */
  mountsHost?: true;
  images?: readonly Image[];
  /** Every port that its containers open. */
  ports?: (spec: BssPlatformSpec) => Ports;
  /** Its metrics come from other programs: Prometheus keeps their labels. */
  honorLabels?: true;
  /** Containers with metrics, which are the `job` of their targets; absent: one of the component's name, where it has such a port. */
  jobs?: (spec: BssPlatformSpec) => string[];
  connections?: (spec: BssPlatformSpec) => Connection[];
  admits?: (spec: BssPlatformSpec) => Admission[];
  /** Ports of the service outside the platform that is used in place of the component when it is not present. */
  external?: (spec: BssPlatformSpec) => number[];
  database?: DatabaseUse;
  /** Credentials that are generated for it. */
  credentials?: readonly Credential[];
  /** Keys of the credentials Secret that its pods read, besides the passwords of its own role. A key stands for those of all slots. */
  reads?: readonly string[];
  topics?: readonly OwnTopic[];
  consumerGroup?: ConsumerGroup;
  /** Addresses for `status.endpoints`. */
  endpoints?: (platform: Pick<PlatformInput, 'name' | 'namespace' | 'spec'>) => Endpoint[];
  /** What is valid in the spec but unwise. */
  advise?: (spec: BssPlatformSpec, definitions: readonly ComponentDefinition[]) => (Advice | undefined)[];
  /** Objects that must exist before its own stage begins; they are applied with the base. */
  prerequisites?: (input: BuildInput) => Draft[];
  /** Its objects, in the order in which they are applied. */
  manifests: (input: BuildInput) => (Draft | undefined)[];
}

/** The components that the platform of this spec has. */
export function presentIn(definitions: readonly ComponentDefinition[], spec: BssPlatformSpec): ComponentDefinition[] {
  return definitions.filter(({ present }) => present?.(spec) ?? true);
}

export const isMetricsPort = (name: string): boolean => name.startsWith('metrics');
