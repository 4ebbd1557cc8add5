/** Applies the manifests of a component and reports the result of each. */
import type { Component } from '../../platform/index.ts';
import { APPLIED_ANNOTATION, fingerprint, isNotFound, KubeError, referenceOf } from '../../runtime/index.ts';
import type { ApplyResult, KubernetesObject } from '../../runtime/index.ts';
import { announce } from './announce.ts';
import { ownershipOf, withoutFormerSelf } from '../ownership/ownership.ts';
import type { Pass } from '../pass.ts';
import { settleAll } from '../settle-all.ts';
import { enlargement, unexpandable, withoutShrinking } from './volumes.ts';

export interface Applied {
  /** The component's live objects, by `kind/name`. */
  live: Map<string, KubernetesObject>;
  /** One sentence for each manifest that was refused. */
  refusals: string[];
  /** Number of changed manifests that are held back. */
  heldBack: number;
}

/** Applied after the objects that their pods need: a pod whose ConfigMap is missing waits for a retry of the kubelet. */
const RUNS_PODS = new Set(['Deployment', 'StatefulSet', 'DaemonSet', 'Job']);

export function objectKey({ kind, metadata }: KubernetesObject): string {
  return `${kind}/${metadata.name}`;
}

/**
 * Applies all manifests. @param hold only correct drift; hold back manifests that differ from the last applied ones
 * @throws KubeError when a retry may succeed; final refusals of the API server are in the result
 */
export async function applyComponent(pass: Pass, component: Component, { hold }: { hold: boolean }): Promise<Applied> {
  const applied: Applied = { live: new Map(), refusals: [], heldBack: 0 };
  const results: ApplyResult[] = [];
  const apply = async (manifest: KubernetesObject) => {
    const result = await applyOne(pass, manifest, hold, applied);
    if (result !== undefined) results.push(result);
  };
  try {
    await settleAll(component.manifests.filter(({ kind }) => !RUNS_PODS.has(kind)).map(apply));
    await settleAll(component.manifests.filter(({ kind }) => RUNS_PODS.has(kind)).map(apply));
  } finally {
    announce(pass, component, results);
  }
  applied.refusals.sort();
  return applied;
}

async function applyOne(pass: Pass, desired: KubernetesObject, hold: boolean, applied: Applied): Promise<ApplyResult | undefined> {
  const cached = pass.cache.get(referenceOf(desired));
  if (cached !== undefined) applied.live.set(objectKey(desired), cached);
  if (hold && !isLastApplied(cached, withoutShrinking(desired, cached))) {
    applied.heldBack += 1;
    return undefined;
  }
  let live = cached;
  try {
    live ??= await pass.client.find(referenceOf(desired), { signal: pass.signal });
    const manifest = withoutShrinking(desired, live);
    remark(pass, enlargement(desired, live));
    if (live !== undefined && ownershipOf(pass.platform, live) === 'foreign')
      return refuse(applied, `${name(manifest)} exists and has another owner: rename or delete it`);
    const drift = isLastApplied(live, manifest);
    if (drift && !pass.guard.mayCorrect(objectKey(manifest))) return contest(pass, manifest);
    const result = await applyOver(pass, manifest, live);
    if (drift && result.action === 'changed') pass.guard.corrected(objectKey(manifest));
    applied.live.set(objectKey(manifest), result.object);
    return result;
  } catch (error) {
    if (!(error instanceof KubeError) || isTransient(error)) throw error;
    const keepsSize = unexpandable(desired, live, error);
    return keepsSize === undefined ? refuse(applied, refusalOf(desired, error)) : remark(pass, keepsSize);
  }
}

/** True when a retry may succeed. An admission webhook that does not respond counts as a refusal, so that status reports it. */
function isTransient(error: KubeError): boolean {
  return error.reason === 'Aborted' || (error.retriable && !/failed calling webhook/.test(error.message));
}

/** True when the last applied manifest was the same: applying it again only corrects drift. */
function isLastApplied(live: KubernetesObject | undefined, manifest: KubernetesObject): boolean {
  return live?.metadata.annotations?.[APPLIED_ANNOTATION] === fingerprint(manifest);
}

async function applyOver(pass: Pass, manifest: KubernetesObject, live: KubernetesObject | undefined): Promise<ApplyResult> {
  const former = live && withoutFormerSelf(pass.platform, live);
  if (live && former) {
    // An object has at most one controller: first remove the reference to an earlier platform of the same name.
    const reference = { metadata: { ownerReferences: former, resourceVersion: live.metadata.resourceVersion } };
    await pass.client.patch(referenceOf(live), reference, { signal: pass.signal });
  }
  try {
    if (live && isJobToRetry(live, pass.now)) return await retryJob(pass, manifest, live);
    return await pass.applier.applyIfChanged(manifest, live, { signal: pass.signal });
  } catch (error) {
    if (live === undefined || !(error instanceof KubeError)) throw error;
    const remedy = remedyFor(error, manifest, live);
    if (remedy === 'none') throw error;
    if (remedy === 'leave') return { object: live, before: live, action: 'unchanged', conflicts: [] };
    pass.logger.warn({ object: name(manifest), error: error.message }, 'recreating an object with immutable fields');
    return recreate(pass, manifest, live);
  }
}

/** Kinds that hold data are never recreated. */
const NEVER_RECREATED = new Set(['PersistentVolumeClaim', 'Secret']);

/**
 * What to do when the API server rejects a change of an object: recreate it, leave it, or nothing. A Job that has succeeded is left: its name
 * contains a hash of its inputs, so the difference does not matter to what it did.
 */
export function remedyFor(
  { reason, message }: KubeError,
  manifest: KubernetesObject,
  live: KubernetesObject,
): 'replace' | 'leave' | 'none' {
  const immutable = reason === 'Invalid' && /immutable|Forbidden: updates to/i.test(message);
  if (!immutable || NEVER_RECREATED.has(manifest.kind)) return 'none';
  return manifest.kind === 'Job' && hasSucceeded(live) ? 'leave' : 'replace';
}

async function recreate(pass: Pass, manifest: KubernetesObject, live: KubernetesObject): Promise<ApplyResult> {
  const { uid } = live.metadata;
  const preconditions = uid === undefined ? {} : { preconditions: { uid } };
  await pass.client.delete(referenceOf(live), { propagation: 'Background', signal: pass.signal, ...preconditions });
  const gone = await pass.client.find(referenceOf(live), { signal: pass.signal });
  if (gone !== undefined) throw new Error(`${name(manifest)} is being recreated, and the old object still exists`);
  const result = await pass.applier.applyIfChanged(manifest, undefined, { signal: pass.signal });
  return { ...result, before: live };
}

/** Delay between the failure of a Job and its retry: a Job that fails at once must not cause a hot loop. */
export const JOB_RETRY_MS = 60_000;

interface JobStatus {
  succeeded?: number;
  conditions?: { type: string; status: string; lastTransitionTime?: string }[];
}

/**
 * A Job that failed at least {@link JOB_RETRY_MS} ago: an older version of the operator limited its retries, or someone set a deadline. Pure.
 * @param now epoch milliseconds
 */
export function isJobToRetry(live: KubernetesObject, now: number): boolean {
  if (live.kind !== 'Job') return false;
  const { conditions = [] } = (live['status'] ?? {}) as JobStatus;
  const failed = conditions.find(({ type, status }) => type === 'Failed' && status === 'True');
  return failed !== undefined && now - Date.parse(failed.lastTransitionTime ?? '') >= JOB_RETRY_MS;
}

function retryJob(pass: Pass, manifest: KubernetesObject, live: KubernetesObject): Promise<ApplyResult> {
  pass.publish('Normal', 'JobRetried', `${name(manifest)} had failed: recreating it`);
  return recreate(pass, manifest, live);
}

function hasSucceeded(job: KubernetesObject): boolean {
  return ((job['status'] as JobStatus | undefined)?.succeeded ?? 0) > 0;
}

function contest(pass: Pass, manifest: KubernetesObject): undefined {
  pass.contested.add(name(manifest));
}

function remark(pass: Pass, text: string | undefined): undefined {
  if (text !== undefined) pass.remarks.add(text);
}

function refuse(applied: Applied, message: string): undefined {
  applied.refusals.push(message);
}

function refusalOf(manifest: KubernetesObject, error: KubeError): string {
  if (isNotFound(error) && /namespace/i.test(error.message)) return `${name(manifest)}: its namespace does not exist`;
  return error.message.replaceAll(/\s+/g, ' ').slice(0, 500);
}

/** `Deployment demo-gateway`. */
export function name({ kind, metadata }: KubernetesObject): string {
  return `${kind} ${metadata.name}`;
}
