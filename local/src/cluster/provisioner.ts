/**
 * Volumes of the default StorageClass: a folder on the host's disk per claim, offered as a `local` volume. Unlike a hostPath, the kubelet applies
 * a pod's fsGroup to it, as it does to the disk of a real cloud. The size asked for is not enforced.
 */
import { chmod, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { PROVISIONER } from './addons.ts';
import type { ApiClient, KubernetesObject } from './api-client.ts';

export interface Claim extends KubernetesObject {
  readonly spec: {
    readonly storageClassName?: string;
    readonly volumeName?: string;
    readonly accessModes: readonly string[];
    readonly resources: { readonly requests: Readonly<Record<string, string>> };
  };
}

export interface Volume extends KubernetesObject {
  readonly spec: { readonly local?: { readonly path: string } };
  readonly status?: { readonly phase?: string };
}

interface List<T> {
  readonly metadata: { readonly resourceVersion: string };
  readonly items: readonly T[];
}

const PROVISIONED_BY = 'pv.kubernetes.io/provisioned-by';

/** Whether a claim waits for a volume of ours. */
export function wantsVolume(claim: Claim): boolean {
  return claim.spec.storageClassName === 'standard' && (claim.spec.volumeName ?? '') === '';
}

/** Whether a volume of ours has lost its claim. */
export function isReleased(volume: Volume): boolean {
  return volume.status?.phase === 'Released' && volume.metadata.annotations?.[PROVISIONED_BY] === PROVISIONER;
}

/** The volume for a claim; its name follows from the claim's, so that asking twice makes one. */
export function volumeFor(claim: Claim, folder: string, nodeName: string): object {
  const { name, namespace, uid } = claim.metadata;
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: volumeName(claim), annotations: { [PROVISIONED_BY]: PROVISIONER } },
    spec: {
      capacity: { storage: claim.spec.resources.requests['storage'] },
      accessModes: claim.spec.accessModes,
      storageClassName: 'standard',
      persistentVolumeReclaimPolicy: 'Delete',
      claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', name, namespace, uid },
      local: { path: folder },
      nodeAffinity: {
        required: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [nodeName] }] }] },
      },
    },
  };
}

function volumeName(claim: Claim): string {
  return `pvc-${claim.metadata.uid ?? ''}`;
}

export class Provisioner {
  readonly #api: ApiClient;
  readonly #folder: string;
  readonly #nodeName: string;

  /** @param folder where the volumes' folders are made */
  constructor(api: ApiClient, folder: string, nodeName: string) {
    this.#api = api;
    this.#folder = folder;
    this.#nodeName = nodeName;
  }

  /** Serves claims and released volumes for as long as the process lives. */
  start(): void {
    void this.#follow<Claim>('/api/v1/persistentvolumeclaims', wantsVolume, (claim) => this.#provision(claim));
    void this.#follow<Volume>('/api/v1/persistentvolumes', isReleased, (volume) => this.#reclaim(volume));
  }

  async #provision(claim: Claim): Promise<void> {
    const folder = join(this.#folder, volumeName(claim));
    await mkdir(folder, { recursive: true });
    // A pod that names no fsGroup may write too, as with the provisioners of other local clusters.
    await chmod(folder, 0o777);
    await this.#api.create('/api/v1/persistentvolumes', volumeFor(claim, folder, this.#nodeName));
  }

  async #reclaim(volume: Volume): Promise<void> {
    const folder = volume.spec.local?.path;
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
    await this.#api.delete(`/api/v1/persistentvolumes/${volume.metadata.name}`);
  }

  /** Lists, then watches; begins again when the watch ends or fails. */
  async #follow<T>(path: string, concerns: (object: T) => boolean, handle: (object: T) => Promise<void>): Promise<never> {
    for (;;) {
      try {
        const list = await this.#api.get<List<T>>(path);
        for (const object of list.items.filter(concerns)) await handle(object);
        for await (const { type, object } of this.#api.watch<T>(path, list.metadata.resourceVersion)) {
          if (type === 'ERROR') break;
          if (type !== 'DELETED' && concerns(object)) await handle(object);
        }
      } catch (error) {
        console.error(`volumes: ${String(error)}`);
        await delay(500);
      }
    }
  }
}
