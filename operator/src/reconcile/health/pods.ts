/**
 * Why a pod is not ready, in a message that stays the same while the cause does. The kubelet's own reasons alternate (ErrImagePull and
 * ImagePullBackOff, Running and CrashLoopBackOff); a condition must not.
 */
import { TEMPLATE_ANNOTATION } from '../../platform/index.ts';
import type { KubernetesObject } from '../../runtime/index.ts';

/** The fields of a pod that determine its health. */
export interface PodObject extends KubernetesObject {
  spec?: { nodeName?: string };
  status?: {
    phase?: string;
    reason?: string;
    message?: string;
    conditions?: { type: string; status: string; reason?: string; message?: string; lastTransitionTime?: string }[];
    initContainerStatuses?: ContainerStatus[];
    containerStatuses?: ContainerStatus[];
  };
}

interface Terminated {
  exitCode: number;
  reason?: string;
  message?: string;
}

interface ContainerStatus {
  name: string;
  image?: string;
  ready?: boolean;
  started?: boolean;
  restartCount?: number;
  state?: { waiting?: { reason?: string; message?: string }; running?: object; terminated?: Terminated };
  lastState?: { terminated?: Terminated };
}

export interface PodTrouble {
  pod: string;
  message: string;
  /** Waiting alone will probably not help. */
  failing: boolean;
}

/** A pod that is not ready after this is failing. */
const READY_DEADLINE_MS = 5 * 60_000;
/** A pod that is unschedulable for longer is failing; provisioning a volume takes less. */
const SCHEDULING_DEADLINE_MS = 60_000;
/** One or two crashes are normal while dependencies of a program start. */
const TOLERATED_RESTARTS = 2;

/** Why the pod is not ready; undefined when it is. @param now epoch milliseconds */
export function podTrouble(pod: PodObject, now: number): PodTrouble | undefined {
  const name = pod.metadata.name;
  const found =
    isReady(pod) || hasSucceeded(pod) ? undefined : (phaseTrouble(pod, now) ?? containerTrouble(pod) ?? waitingTrouble(pod, now));
  return found === undefined ? undefined : { pod: name, ...found };
}

export function isReady(pod: PodObject): boolean {
  return pod.metadata.deletionTimestamp === undefined && condition(pod, 'Ready')?.status === 'True';
}

/** The pod was created from the current template of its owner. */
export function isOfTemplate({ metadata: { annotations } }: PodObject, owner: KubernetesObject): boolean {
  const { template } = (owner['spec'] ?? {}) as { template?: { metadata?: { annotations?: Record<string, string> } } };
  const wanted = template?.metadata?.annotations?.[TEMPLATE_ANNOTATION];
  return wanted !== undefined && annotations?.[TEMPLATE_ANNOTATION] === wanted;
}

/** All its containers have terminated and will not restart. */
export function hasEnded(pod: PodObject): boolean {
  return hasSucceeded(pod) || pod.status?.phase === 'Failed';
}

/** A pod of a completed Job. */
function hasSucceeded(pod: PodObject): boolean {
  return pod.status?.phase === 'Succeeded';
}

type Found = Omit<PodTrouble, 'pod'>;

function phaseTrouble(pod: PodObject, now: number): Found | undefined {
  if (pod.metadata.deletionTimestamp !== undefined) return { message: 'is terminating', failing: false };
  if (pod.status?.phase === 'Failed') {
    const why = pod.status.reason ?? 'Failed';
    return { message: `failed (${why})${pod.status.message ? `: ${sentence(pod.status.message)}` : ''}`, failing: why === 'Evicted' };
  }
  const scheduled = condition(pod, 'PodScheduled');
  if (scheduled?.status !== 'False') return undefined;
  const failing = since(scheduled.lastTransitionTime, now) > SCHEDULING_DEADLINE_MS;
  return { message: `cannot be scheduled: ${sentence(scheduled.message ?? scheduled.reason ?? 'no reason given')}`, failing };
}

function containerTrouble(pod: PodObject): Found | undefined {
  const statuses = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
  for (const status of statuses) {
    const found = imageTrouble(status) ?? configTrouble(status) ?? crash(status);
    if (found) return found;
  }
  return undefined;
}

function imageTrouble({ image, state }: ContainerStatus): Found | undefined {
  const { reason = '', message = '' } = state?.waiting ?? {};
  if (!['ErrImagePull', 'ImagePullBackOff', 'InvalidImageName', 'ErrImageNeverPull'].includes(reason)) return undefined;
  const cause = /not found|unauthorized|denied|no such host|connection refused|timeout|invalid reference/i.exec(message)?.[0].toLowerCase();
  return { message: `image ${image ?? '?'} cannot be pulled${cause ? ` (${cause})` : ''}`, failing: true };
}

function configTrouble({ name, state }: ContainerStatus): Found | undefined {
  const { reason = '', message = '' } = state?.waiting ?? {};
  if (!['CreateContainerConfigError', 'CreateContainerError', 'RunContainerError'].includes(reason)) return undefined;
  return { message: `container ${name} cannot start: ${sentence(message || reason)}`, failing: true };
}

function crash(status: ContainerStatus): Found | undefined {
  if (status.ready || !status.restartCount) return undefined;
  const last = status.lastState?.terminated ?? status.state?.terminated;
  if (!last || last.exitCode === 0) return undefined;
  const failing = status.restartCount > TOLERATED_RESTARTS;
  if (last.reason === 'OOMKilled')
    return { message: `container ${status.name} exceeded its memory limit (OOMKilled): raise the limit`, failing };
  const words = last.message ? `: ${lastLine(last.message)}` : '';
  return { message: `container ${status.name} crashes with exit code ${last.exitCode}${words}`, failing };
}

function waitingTrouble(pod: PodObject, now: number): Found {
  const failing = since(condition(pod, 'Ready')?.lastTransitionTime ?? pod.metadata.creationTimestamp, now) > READY_DEADLINE_MS;
  const statuses = pod.status?.containerStatuses ?? [];
  const unready = statuses.find((status) => status.state?.running && status.started && !status.ready);
  if (unready) return { message: `container ${unready.name} is running, but its readiness probe fails`, failing };
  const starting = statuses.find((status) => status.state?.running && !status.ready);
  return { message: starting ? `container ${starting.name} is starting` : 'is starting', failing };
}

function condition(pod: PodObject, type: string) {
  return pod.status?.conditions?.find((entry) => entry.type === type);
}

/** Milliseconds since an RFC 3339 instant; 0 when it is unknown. */
function since(instant: string | undefined, now: number): number {
  return instant === undefined ? 0 : now - Date.parse(instant);
}

const MESSAGE_LENGTH = 300;

/** One line, without its full stop, cut to MESSAGE_LENGTH. */
function sentence(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim().replace(/\.$/, '').slice(0, MESSAGE_LENGTH);
}

/** Lines of a stack trace, and what Node prints after one. */
const NOISE = /^(\s+at |Node\.js v|\s*}?$)/;
/** Timestamps, and the process ids that PostgreSQL prints after them. */
const INSTANT = /\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d([.,]\d+)?( ?(Z|UTC|GMT|[+-]\d\d:?\d\d))?\]?( \[\d+\])?\s*/g;

/**
 * The last informative line of a termination message or log, without parts that differ from one crash to the next.
 */
function lastLine(text: string): string {
  const line = text.split('\n').findLast((candidate) => !NOISE.test(candidate)) ?? '';
  return sentence(loggedMessages(line) ?? line.replaceAll(INSTANT, ''));
}

/** Messages in a line of JSON, outermost first; the kubelet may have cut off the start of the line. Undefined when there are none. */
function loggedMessages(line: string): string | undefined {
  const found = [...line.matchAll(/"(?:message|msg)":("(?:[^"\\]|\\.)*")/g)].map(([, text = '""']) => unquoted(text));
  // pino writes the error before its own message.
  return found.length === 0 ? undefined : [...new Set(found.toReversed())].join(': ');
}

/** Third-party programs may log invalid JSON. */
function unquoted(text: string): string {
  try {
    return String(JSON.parse(text));
  } catch {
    return text.slice(1, -1);
  }
}
