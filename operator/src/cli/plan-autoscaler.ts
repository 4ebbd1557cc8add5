/** `bss plan`: what applying a ConsumerAutoscaler would change. Its replicas also depend on the load: only changes that are certain are printed. */
import { AUTOSCALER_KIND, parseConsumerAutoscaler, type ConsumerAutoscalerSpec } from '../api/index.ts';
import { scaleClient } from '../autoscale/index.ts';
import { subjectOf } from '../reconcile/autoscalers/status.ts';
import type { PlannedChange } from '../reconcile/plan/planned.ts';
import type { AutoscalerObject } from '../reconcile/scaling/claims.ts';
import type { PlatformObject } from '../reconcile/ownership/ownership.ts';
import { type KubeClient } from '../runtime/index.ts';
import { earlierClaims } from './doctor-autoscaler.ts';
import { dryRun, specChange } from './dry-run.ts';
import type { Paint } from './output.ts';
import { describeChange } from './plan-text.ts';
import type { ResourceFile } from './resource.ts';
import { AUTOSCALERS, listInScope, PLATFORMS } from './status.ts';
import { UsageError } from './usage.ts';

export interface AutoscalerPlan {
  namespace: string;
  name: string;
  /** Undefined when its spec does not change. */
  spec?: PlannedChange;
  /** What follows from the change. */
  effects: string[];
  warnings: string[];
}

/** What the plan is made of. */
export interface AutoscalerChange {
  live: AutoscalerObject | undefined;
  spec: ConsumerAutoscalerSpec;
  /** Replicas that the object asks for; null when it does not exist. */
  replicas: number | null;
  /** Why they could not be read, and so not the rivals. */
  unread?: string;
  /** Who scales the object in place of this resource, as `Kind/name`. */
  rivals: string[];
}

/** @throws UsageError when the API server or the operator would refuse the resource */
export async function planAutoscaler(client: KubeClient, file: ResourceFile): Promise<AutoscalerPlan> {
  const { name, namespace } = file;
  const live = await client.find<AutoscalerObject>({ ...AUTOSCALERS, name, namespace });
  const next = await dryRun<AutoscalerObject>(client, AUTOSCALER_KIND, file, live);
  const parsed = parseConsumerAutoscaler(next.spec);
  if (!parsed.ok)
    throw new UsageError(`${name} is not valid:\n${parsed.problems.map(({ path, message }) => `  ${path}: ${message}`).join('\n')}`);
  const [autoscalers, platforms] = await Promise.all([
    listInScope<AutoscalerObject>(client, AUTOSCALERS, { namespace }),
    listInScope<PlatformObject>(client, PLATFORMS, { namespace }),
  ]);
  const claims = earlierClaims(next, { autoscalers, platforms });
  const seen = await scaledObject(client, namespace, parsed.spec);
  const change = { live, spec: parsed.spec, ...seen, rivals: [...claims, ...seen.rivals] };
  return { namespace, name, ...specChange(AUTOSCALER_KIND, live, next), ...consequences(change, name) };
}

type Seen = Pick<AutoscalerChange, 'replicas' | 'rivals' | 'unread'>;

async function scaledObject(client: KubeClient, namespace: string, { scaleTargetRef, mode }: ConsumerAutoscalerSpec): Promise<Seen> {
  const { apiVersion, kind, name } = scaleTargetRef;
  const scale = scaleClient(client.raw);
  try {
    const [object, rivals] = await Promise.all([
      scale.read(namespace, name, { apiVersion, kind }),
      mode === 'fixed' ? [] : scale.rivals(namespace, name, { apiVersion, kind }),
    ]);
    return { replicas: object?.replicas ?? null, rivals };
  } catch (error) {
    return { replicas: null, rivals: [], unread: error instanceof Error ? error.message : String(error) };
  }
}

/** Pure. */
export function consequences(change: AutoscalerChange, name: string): Pick<AutoscalerPlan, 'effects' | 'warnings'> {
  const { live, spec, replicas, rivals, unread } = change;
  const object = `${spec.scaleTargetRef.kind} ${spec.scaleTargetRef.name}`;
  const absent = replicas === null && unread === undefined;
  const scales = spec.mode === 'builtin' && rivals.length === 0;
  return {
    effects: [
      ...(spec.mode === 'fixed' ? [`measures the lag of ${spec.group}; ${object} keeps its replicas`] : []),
      ...(scales && replicas !== null ? [bounds(spec, object, replicas)] : []),
      ...forgotten(live, spec),
      ...(scales && live !== undefined
        ? [`what this policy would have done in the last hour: bss explain-scaling cas/${name} --policy FILE`]
        : []),
    ],
    warnings: [
      ...(rivals.length > 0 && spec.mode === 'builtin'
        ? [`${rivals.join(', ')} scales ${object}: this resource does not; remove one of them`]
        : []),
      ...(absent ? [`${object} does not exist: the operator waits for it`] : []),
      ...(unread === undefined ? [] : [unread]),
    ],
  };
}

/** What the bounds alone enforce. */
function bounds({ minReplicas, maxReplicas }: ConsumerAutoscalerSpec, object: string, replicas: number): string {
  if (replicas > maxReplicas) return `${object} has ${replicas} replicas: the operator scales it down to ${maxReplicas}`;
  if (replicas < minReplicas) return `${object} has ${replicas} replicas: the operator scales it up to ${minReplicas}`;
  return `${object} has ${replicas} replicas: the lag decides, from ${minReplicas} to ${maxReplicas}`;
}

/** What was learned belongs to a group, its topics and the object. */
function forgotten(live: AutoscalerObject | undefined, spec: ConsumerAutoscalerSpec): string[] {
  const before = parseConsumerAutoscaler(live?.spec);
  if (live === undefined || !before.ok || subjectOf(before.spec) === subjectOf(spec)) return [];
  return [`what was learned of ${subjectOf(before.spec)} is forgotten`];
}

export function hasAutoscalerChanges({ spec }: AutoscalerPlan): boolean {
  return spec !== undefined;
}

export function describeAutoscalerPlan(plan: AutoscalerPlan, paint: Paint): string {
  const title = paint('bold', `${AUTOSCALER_KIND} ${plan.namespace}/${plan.name}`);
  const warnings = plan.warnings.map((warning) => paint('yellow', `Warning: ${warning}`));
  if (plan.spec === undefined) return [`${title}: no changes`, ...warnings].join('\n');
  return [title, ...describeChange(plan.spec, paint), ...plan.effects.map((effect) => `  ${effect}`), ...warnings].join('\n');
}
