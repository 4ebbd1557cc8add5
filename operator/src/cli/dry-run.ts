/** Resources as the API server would store them. */
import { API_VERSION } from '../api/index.ts';
import type { PlannedChange } from '../reconcile/plan/planned.ts';
import { KubeError, type KubeClient, type KubernetesObject } from '../runtime/index.ts';
import type { ResourceFile } from './resource.ts';
import { UsageError } from './usage.ts';

/**
 * The resource after defaults and admission; nothing is stored.
 * @throws UsageError when the API server would refuse it
 */
export async function dryRun<T extends KubernetesObject>(
  client: KubeClient,
  kind: string,
  file: ResourceFile,
  live: T | undefined,
): Promise<T> {
  const { name, namespace, labels, annotations, spec } = file;
  const metadata = { name, namespace, ...(labels ? { labels } : {}), ...(annotations ? { annotations } : {}) };
  try {
    if (live === undefined)
      return (await client.create<KubernetesObject>({ apiVersion: API_VERSION, kind, metadata, spec }, { dryRun: true })) as T;
    const merged = {
      ...live.metadata,
      labels: { ...live.metadata.labels, ...labels },
      annotations: { ...live.metadata.annotations, ...annotations },
    };
    const { status: _status, ...rest }: KubernetesObject = live;
    return (await client.replace<KubernetesObject>({ ...rest, metadata: merged, spec }, { dryRun: true })) as T;
  } catch (error) {
    if (error instanceof KubeError && !error.retriable) throw new UsageError(error.message);
    throw error;
  }
}

/** Change of the resource itself; none when its spec stays. */
export function specChange(kind: string, live: KubernetesObject | undefined, next: KubernetesObject): { spec?: PlannedChange } {
  const change = { kind, name: next.metadata.name, restarts: [] };
  if (live === undefined) return { spec: { ...change, action: 'create' } };
  const same = JSON.stringify(live['spec']) === JSON.stringify(next['spec']);
  return same ? {} : { spec: { ...change, action: 'change', before: live, after: next } };
}
