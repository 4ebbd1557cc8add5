/** Is an object healthy, and what is missing? Pure: from the objects as the API server has them to a judgement. */
import type { KubernetesObject } from '../../runtime/index.ts';
import { isOfTemplate, podTrouble, type PodObject } from './pods.ts';

export interface Health {
  healthy: boolean;
  /** It will probably not get better by waiting: a person should look. */
  failing: boolean;
  ready: number;
  desired: number;
  /** What is missing; empty when nothing is. Stable while the cause is the same. */
  message: string;
}

interface Condition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
}

/** What Deployments, StatefulSets and Jobs have in common here. */
interface WorkloadObject extends KubernetesObject {
  spec?: { replicas?: number; suspend?: boolean };
  status?: {
    observedGeneration?: number;
    replicas?: number;
    readyReplicas?: number;
    updatedReplicas?: number;
    succeeded?: number;
    conditions?: Condition[];
  };
}

export interface Surroundings {
  /** Pods of the component. */
  pods: PodObject[];
  /** Volume claims of the component. */
  claims: KubernetesObject[];
  /** Somebody else sets the number of replicas: one that is ready will do while more are on their way. */
  autoscaled: boolean;
  /** Epoch milliseconds. */
  now: number;
}

/** Judges one Deployment, StatefulSet or Job; `live` undefined: it does not exist. */
export function judge(live: KubernetesObject | undefined, around: Surroundings): Health {
  if (live === undefined) return { healthy: false, failing: false, ready: 0, desired: 1, message: 'is not created yet' };
  if (live.kind === 'Job') return judgeJob(live, around);
  return judgeReplicas(live, around);
}

/** Several objects as one: counts add up, messages follow one another. */
export function combine(parts: Health[]): Health {
  return {
    healthy: parts.every((part) => part.healthy),
    failing: parts.some((part) => part.failing),
    ready: parts.reduce((sum, part) => sum + part.ready, 0),
    desired: parts.reduce((sum, part) => sum + part.desired, 0),
    message: parts
      .map((part) => part.message)
      .filter((message) => message !== '')
      .join('; '),
  };
}

function judgeReplicas(live: WorkloadObject, around: Surroundings): Health {
  const desired = live.spec?.replicas ?? 1;
  const { replicas = 0, readyReplicas: ready = 0, updatedReplicas: updated = 0, conditions = [] } = live.status ?? {};
  const seen = (live.status?.observedGeneration ?? 0) >= (live.metadata.generation ?? 0) || isOnlyScaled(live, around);
  const enough = around.autoscaled ? Math.min(1, desired) : desired;
  const rolledOut = updated >= enough && replicas <= updated && (around.autoscaled || replicas <= desired);
  if (seen && rolledOut && ready >= enough) {
    const coming = desired - ready;
    return { healthy: true, failing: false, ready, desired, message: coming > 0 ? `${count(coming, 'more replica')} on the way` : '' };
  }
  const refused = refusal(conditions);
  const troubles = describeTroubles(around);
  const message = refused ?? troubles.message ?? claimTrouble(around.claims) ?? progress({ seen, desired, replicas, ready, updated });
  return { healthy: false, failing: refused !== undefined || troubles.failing || overdue(conditions), ready, desired, message };
}

/**
 * The newest generation, which the status is not about yet, differs in the number of replicas alone: a change of the template would have left
 * pods of another one.
 */
function isOnlyScaled(live: WorkloadObject, { autoscaled, pods }: Surroundings): boolean {
  const staying = pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  return autoscaled && staying.length > 0 && staying.every((pod) => isOfTemplate(pod, live));
}

/** Pods that may not be made: a quota, Pod Security, an admission webhook. */
function refusal(conditions: Condition[]): string | undefined {
  const failure = conditions.find((entry) => entry.type === 'ReplicaFailure' && entry.status === 'True');
  return failure === undefined ? undefined : `pods are refused: ${failure.message ?? failure.reason ?? 'no reason given'}`;
}

function overdue(conditions: Condition[]): boolean {
  return conditions.some((entry) => entry.type === 'Progressing' && entry.reason === 'ProgressDeadlineExceeded');
}

interface Counts {
  seen: boolean;
  desired: number;
  replicas: number;
  ready: number;
  updated: number;
}

function progress({ seen, desired, replicas, ready, updated }: Counts): string {
  if (!seen) return 'a change is waiting to be rolled out';
  if (desired === 0) return `${count(replicas, 'pod')} still to stop`;
  if (replicas === 0) return 'no pod has been created yet';
  if (updated < desired) return `${updated} of ${count(desired, 'pod')} renewed`;
  if (replicas > updated) return `${count(replicas - updated, 'old pod')} still to stop`;
  return `${ready} of ${count(desired, 'replica')} ready`;
}

function claimTrouble(claims: KubernetesObject[]): string | undefined {
  const waiting = claims.find((claim) => (claim['status'] as { phase?: string } | undefined)?.phase !== 'Bound');
  if (waiting === undefined) return undefined;
  const phase = (waiting['status'] as { phase?: string } | undefined)?.phase ?? 'Pending';
  return `volume claim ${waiting.metadata.name} is ${phase}`;
}

/** Most pods have the same trouble: two of them are enough to tell. */
const SHOWN = 2;

function describeTroubles({ pods, now }: Surroundings): { message?: string; failing: boolean } {
  const troubles = pods.map((pod) => podTrouble(pod, now)).filter((trouble) => trouble !== undefined);
  if (troubles.length === 0) return { failing: false };
  const sorted = troubles.toSorted((a, b) => Number(b.failing) - Number(a.failing) || (a.pod < b.pod ? -1 : 1));
  const failing = sorted[0]?.failing ?? false;
  const shown = sorted.filter((trouble) => trouble.failing === failing).slice(0, SHOWN);
  return { message: shown.map(({ pod, message }) => `pod ${pod} ${message}`).join('; '), failing };
}

function judgeJob(live: WorkloadObject, around: Surroundings): Health {
  const { succeeded = 0, conditions = [] } = live.status ?? {};
  const holds = (type: string) => conditions.find((entry) => entry.type === type && entry.status === 'True');
  if (holds('Complete') || succeeded > 0) return { healthy: true, failing: false, ready: 1, desired: 1, message: '' };
  if (live.spec?.suspend) return { healthy: true, failing: false, ready: 0, desired: 0, message: '' };
  const troubles = describeTroubles(around);
  const failed = holds('Failed');
  if (failed) return { healthy: false, failing: true, ready: 0, desired: 1, message: jobFailure(failed, troubles.message) };
  return { healthy: false, failing: troubles.failing, ready: 0, desired: 1, message: troubles.message ?? 'runs' };
}

function jobFailure(failed: Condition, pod: string | undefined): string {
  return `failed (${failed.reason ?? 'Failed'}): ${pod ?? failed.message ?? 'see the log of its pod'}`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
