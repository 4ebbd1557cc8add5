/** Reads which Pod Security level a namespace enforces. */
import { POD_SECURITY_LABEL } from '../platform/index.ts';
import { KubeError, type CallOptions, type KubeClient } from '../runtime/index.ts';

/**
 * The level for `PlatformInput`; empty when the namespace has no such label, or when the caller may not read the namespace: the API server then
 * decides about each pod.
 * @throws KubeError when a retry may succeed
 */
export async function podSecurity(client: KubeClient, namespace: string, call: CallOptions = {}): Promise<{ podSecurity?: string }> {
  try {
    const found = await client.find({ apiVersion: 'v1', kind: 'Namespace', name: namespace }, call);
    const level = found?.metadata.labels?.[POD_SECURITY_LABEL];
    return level === undefined ? {} : { podSecurity: level };
  } catch (error) {
    if (error instanceof KubeError && error.status === 403) return {};
    throw error;
  }
}
