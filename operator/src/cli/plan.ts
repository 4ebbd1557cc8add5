/** `bss plan`: what applying a file would change. */
import { API_VERSION, KIND } from '../api/index.ts';
import { parseSpec } from '../platform/index.ts';
import type { PlatformObject } from '../reconcile/ownership/ownership.ts';
import { planChanges } from '../reconcile/plan/plan.ts';
import type { PlannedChange } from '../reconcile/plan/planned.ts';
import { KubeError, type KubeClient } from '../runtime/index.ts';
import type { Plan } from './plan-text.ts';
import type { PlatformFile } from './resource.ts';
import { UsageError } from './usage.ts';

/** @throws UsageError when the API server or the operator would refuse the resource; KubeError when the API server does not respond */
export async function plan(client: KubeClient, file: PlatformFile, operatorNamespace: string): Promise<Plan> {
  const { name, namespace } = file;
  const live = await client.find<PlatformObject>({ apiVersion: API_VERSION, kind: KIND, name, namespace });
  const next = await dryRun(client, file, live);
  const parsed = parseSpec(next.spec);
  if (!parsed.ok)
    throw new UsageError(`${name} is not valid:\n${parsed.problems.map(({ path, message }) => `  ${path}: ${message}`).join('\n')}`);
  const planned = await planChanges(client, { live, next, spec: parsed.spec, operatorNamespace });
  return { namespace, name, ...specChange(live, next), ...planned };
}

/** The resource as the API server would store it, after defaults and admission. */
async function dryRun(client: KubeClient, file: PlatformFile, live: PlatformObject | undefined): Promise<PlatformObject> {
  const { name, namespace, labels, annotations, spec } = file;
  const metadata = { name, namespace, ...(labels ? { labels } : {}), ...(annotations ? { annotations } : {}) };
  try {
    if (live === undefined)
      return await client.create<PlatformObject>({ apiVersion: API_VERSION, kind: KIND, metadata, spec }, { dryRun: true });
    const merged = {
      ...live.metadata,
      labels: { ...live.metadata.labels, ...labels },
      annotations: { ...live.metadata.annotations, ...annotations },
    };
    const { status: _status, ...rest } = live;
    return await client.replace<PlatformObject>({ ...rest, metadata: merged, spec }, { dryRun: true });
  } catch (error) {
    if (error instanceof KubeError && !error.retriable) throw new UsageError(error.message);
    throw error;
  }
}

function specChange(live: PlatformObject | undefined, next: PlatformObject): { spec?: PlannedChange } {
  const change = { kind: KIND, name: next.metadata.name, restarts: [] };
  if (live === undefined) return { spec: { ...change, action: 'create' } };
  const same = JSON.stringify(live.spec) === JSON.stringify(next.spec);
  return same ? {} : { spec: { ...change, action: 'change', before: live, after: next } };
}
