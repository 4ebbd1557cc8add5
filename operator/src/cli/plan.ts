/** `bss plan`: what applying a file would change. */
import { API_VERSION, KIND } from '../api/index.ts';
import { parseSpec } from '../platform/index.ts';
import type { PlatformObject } from '../reconcile/ownership/ownership.ts';
import { planChanges } from '../reconcile/plan/plan.ts';
import type { KubeClient } from '../runtime/index.ts';
import type { Plan } from './plan-text.ts';
import { dryRun, specChange } from './dry-run.ts';
import type { ResourceFile } from './resource.ts';
import { UsageError } from './usage.ts';

/** @throws UsageError when the API server or the operator would refuse the resource; KubeError when the API server does not respond */
export async function plan(client: KubeClient, file: ResourceFile, operatorNamespace: string): Promise<Plan> {
  const { name, namespace } = file;
  const live = await client.find<PlatformObject>({ apiVersion: API_VERSION, kind: KIND, name, namespace });
  const next = await dryRun(client, KIND, file, live);
  const parsed = parseSpec(next.spec);
  if (!parsed.ok)
    throw new UsageError(`${name} is not valid:\n${parsed.problems.map(({ path, message }) => `  ${path}: ${message}`).join('\n')}`);
  const planned = await planChanges(client, { live, next, spec: parsed.spec, operatorNamespace });
  return { namespace, name, ...specChange(KIND, live, next), ...planned };
}
