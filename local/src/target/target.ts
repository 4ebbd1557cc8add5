/** Where the Makefile's targets work. One interface, three places: the local node, kind, the cluster that KUBECONFIG names. */
import type { Unavailable } from '../build/stack.ts';
import type { Note } from '../progress.ts';
import type { Kubectl } from './kubectl.ts';

export type TargetKind = 'local' | 'kind' | 'current';

export interface Target {
  readonly kind: TargetKind;
  /** Its name in messages, such as `local cluster bss`. */
  readonly title: string;
  /** Starts the cluster where that is ours to do; resolves when its API server answers and its node is Ready. */
  up(): Promise<void>;
  /** Builds the project's images; what is in the cache is not built again. Independent of `up`. */
  buildImages(): Promise<void>;
  /** Makes the built images known to the cluster. May be called together with `up` and `buildImages`; it waits for what it needs of them. */
  loadImages(): Promise<void>;
  /** Whether the images of the monitoring stack are there without compiling: public ones, or programs in the cache. */
  hasStack(): Promise<boolean>;
  /** Builds the images of the monitoring stack, as `buildImages` does those of the platform. */
  buildStack(note?: Note): Promise<void>;
  /** Builds them and makes them known to the cluster, after the images of the platform. */
  loadStack(note?: Note): Promise<void>;
  /** Components that cannot run on this cluster, with the reason. */
  unavailable(): readonly Unavailable[];
  /** Tag of the project's own images, which changes with their content; undefined where the images are not built here. After `buildImages`. */
  imageTag(): Promise<string | undefined>;
  /** Starts the cluster where that is ours to do. */
  kubectl(): Promise<Kubectl>;
  /** Access to the cluster as it is; undefined when it does not run. Starts and changes nothing. */
  find(): Promise<Kubectl | undefined>;
  /** Runs a shell whose kubectl and helm work on the cluster; resolves to its exit code. */
  shell(): Promise<number>;
  /** Runs helm against the cluster; resolves to what it printed. */
  helm(args: readonly string[]): Promise<string>;
  /** Opens a Service's port on loopback and returns its base URL; stays open until the cluster or this process ends, as the title says. */
  forward(namespace: string, service: string, port: number): Promise<string>;
  /** Memory in use by all pods of the cluster, bytes; undefined where this machine cannot see it. */
  memoryBytes(): Promise<number | undefined>;
  /** Ends the forwards of this process; those that outlive it belong to the cluster. */
  close(): Promise<void>;
  /** Removes the cluster (local, kind) or only what `install` and the demo created there (current). */
  down(): Promise<void>;
  /** Commands for the user to continue with. */
  hints(): string[];
}

/** A running cluster that has the project's images; whatever can overlap does. */
export async function bringUp(target: Target): Promise<void> {
  await Promise.all([target.up(), target.buildImages(), target.kind === 'local' ? target.loadImages() : undefined]);
  if (target.kind !== 'local') await target.loadImages();
}

/** `bringUp`, with the images of the monitoring stack: for a platform that is applied whole. */
export async function bringUpWithStack(target: Target): Promise<void> {
  await Promise.all([bringUp(target), target.kind === 'local' ? target.loadStack() : undefined]);
}
