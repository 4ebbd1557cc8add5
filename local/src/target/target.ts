/** Where the Makefile's targets work. One interface, three places: the local node, kind, the cluster that KUBECONFIG names. */
import type { Kubectl } from './kubectl.ts';

export type TargetKind = 'local' | 'kind' | 'current';

export interface Target {
  readonly kind: TargetKind;
  /** What a person calls it, such as `local cluster bss`. */
  readonly title: string;
  /** Starts the cluster where that is ours to do; resolves when its API server answers and its node is Ready. */
  up(): Promise<void>;
  /** Builds the project's images; what is in the cache is not built again. Independent of `up`. */
  buildImages(): Promise<void>;
  /** Makes the built images known to the cluster. May be called together with `up` and `buildImages`; it waits for what it needs of them. */
  loadImages(): Promise<void>;
  /** Names the content of the project's own images where the tag alone does not. */
  imageRevision(): Promise<string | undefined>;
  /** After `up`. */
  kubectl(): Promise<Kubectl>;
  /** Runs helm against the cluster; resolves to what it printed. */
  helm(args: readonly string[]): Promise<string>;
  /** Opens a Service's port on loopback and returns its base URL; stays open until the cluster or this process ends, as the title says. */
  forward(namespace: string, service: string, port: number): Promise<string>;
  /** Memory in use by all pods of the cluster, bytes; undefined where this machine cannot see it. */
  memoryBytes(): Promise<number | undefined>;
  /** Ends the forwards of this process; those that outlive it belong to the cluster. */
  close(): Promise<void>;
  /** Removes the cluster (local, kind) or only what was installed (current). */
  down(): Promise<void>;
  /** The commands that a person would type to look further. */
  hints(): string[];
}

/** A running cluster that has the project's images; whatever can overlap does. */
export async function bringUp(target: Target): Promise<void> {
  await Promise.all([target.up(), target.buildImages(), target.kind === 'local' ? target.loadImages() : undefined]);
  if (target.kind !== 'local') await target.loadImages();
}
