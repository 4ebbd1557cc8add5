/** Health of live objects, and what they lack. Pure. */
import type { KubernetesObject } from '../../runtime/index.ts';
import { isOfTemplate, podTrouble, type PodObject } from './pods.ts';

export interface Health {
  healthy: boolean;
  /** Waiting alone will probably not help: a person has to act. */
  failing: boolean;
  ready: number;
  desired: number;
  /** What is missing; empty when healthy. Stable while the cause is the same. */
  message: string;
}

interface Condition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
}

/** Common fields of Deployments, StatefulSets, DaemonSets and Jobs. */
interface WorkloadObject extends KubernetesObject {
  spec?: { replicas?: number; suspend?: boolean };
  status?: {
    observedGeneration?: number;
    replicas?: number;
    readyReplicas?: number;
    updatedReplicas?: number;
    succeeded?: number;
    /** Of a DaemonSet: nodes that are to have a pod, and how many of them have a ready one and one of the present template. */
    desiredNumberScheduled?: number;
    currentNumberScheduled?: number;
    numberReady?: number;
    updatedNumberScheduled?: number;
    conditions?: Condition[];
  };
}

export interface Surroundings {
  /** Pods of the component. */
  pods: PodObject[];
  /** Volume claims of the component. */
  claims: KubernetesObject[];
  /** An autoscaler sets the replicas: one ready replica suffices while others start. */
  autoscaled: boolean;
  /** Epoch milliseconds. */
  now: number;
}

/** Health of one Deployment, StatefulSet, DaemonSet or Job; `live` is undefined when it does not exist. */
export function judge(live: KubernetesObject | undefined, around: Surroundings): Health {
  if (live === undefined) return { healthy: false, failing: false, ready: 0, desired: 1, message: 'is not created yet' };
  if (live.kind === 'Job') return judgeJob(live, around);
  return live.kind === 'DaemonSet' ? judgeDaemon(live, around) : judgeReplicas(live, around);
}

/** Combines the health of several objects: adds the counts and joins the messages. */
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
    return { healthy: true, failing: false, ready, desired, message: coming > 0 ? `${count(coming, 'more replica')} starting` : '' };
  }
  const refused = refusal(conditions);
  const troubles = describeTroubles(around);
  const message = refused ?? troubles.message ?? claimTrouble(around.claims) ?? progress({ seen, desired, replicas, ready, updated });
  return { healthy: false, failing: refused !== undefined || troubles.failing || overdue(conditions), ready, desired, message };
}

/** Of a DaemonSet, whose replicas are the nodes that its pods tolerate: none of them may be left out. */
function judgeDaemon(live: WorkloadObject, around: Surroundings): Health {
  const { desiredNumberScheduled: desired = 0, numberReady: ready = 0, updatedNumberScheduled: updated = 0 } = live.status ?? {};
  const seen = (live.status?.observedGeneration ?? 0) >= (live.metadata.generation ?? 0);
  if (seen && updated >= desired && ready >= desired) return { healthy: true, failing: false, ready, desired, message: '' };
  const troubles = describeTroubles(around);
  const replicas = live.status?.currentNumberScheduled ?? 0;
  const message = troubles.message ?? progress({ seen, desired, replicas, ready, updated });
  return { healthy: false, failing: troubles.failing, ready, desired: seen ? desired : Math.max(1, desired), message };
}

/**
 * The newest generation, which status does not cover yet, changed only the replicas: after a change of the template there would be pods of another
 * template.
 */
function isOnlyScaled(live: WorkloadObject, { autoscaled, pods }: Surroundings): boolean {
  const staying = pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  return autoscaled && staying.length > 0 && staying.every((pod) => isOfTemplate(pod, live));
}

/** Why pods cannot be created: a quota, Pod Security, an admission webhook. */
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
  if (!seen) return 'the newest generation is not rolled out yet';
  if (desired === 0) return `${count(replicas, 'pod')} still to terminate`;
  if (replicas === 0) return 'no pod has been created yet';
  if (updated < desired) return `${updated} of ${count(desired, 'pod')} updated`;
  if (replicas > updated) return `${count(replicas - updated, 'old pod')} still to terminate`;
  return `${ready} of ${count(desired, 'replica')} ready`;
}

function claimTrouble(claims: KubernetesObject[]): string | undefined {
  const waiting = claims.find((claim) => (claim['status'] as { phase?: string } | undefined)?.phase !== 'Bound');
  if (waiting === undefined) return undefined;
  const phase = (waiting['status'] as { phase?: string } | undefined)?.phase ?? 'Pending';
  return `volume claim ${waiting.metadata.name} is ${phase}`;
}

/** Number of pods to describe: most have the same trouble. */
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
  return { healthy: false, failing: troubles.failing, ready: 0, desired: 1, message: troubles.message ?? 'is running' };
}

function jobFailure(failed: Condition, pod: string | undefined): string {
  return `failed (${failed.reason ?? 'Failed'}): ${pod ?? failed.message ?? 'see the log of its pod'}`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}
