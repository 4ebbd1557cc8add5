import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TEMPLATE_ANNOTATION } from '../../platform/index.ts';
import type { KubernetesObject } from '../../runtime/index.ts';
import { combine, judge, type Health } from './health.ts';
import { podTrouble, type PodObject } from './pods.ts';

const NOW = Date.parse('2026-01-01T12:00:00Z');
const ago = (seconds: number) => new Date(NOW - seconds * 1000).toISOString();

type Status = NonNullable<PodObject['status']>;
type Container = NonNullable<Status['containerStatuses']>[number];

function pod(status: Status, metadata: Partial<PodObject['metadata']> = {}): PodObject {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a-kafka-0', ...metadata }, status };
}

function running(container: Partial<Container>, readySince = 10): PodObject {
  return pod({
    phase: 'Running',
    conditions: [{ type: 'Ready', status: 'False', lastTransitionTime: ago(readySince) }],
    containerStatuses: [{ name: 'kafka', image: 'apache/kafka:4.3.1', ready: false, state: { running: {} }, ...container }],
  });
}

const waiting = (reason: string, message = '') => running({ state: { waiting: { reason, message } } });
const crashed = (restartCount: number, terminated: { exitCode: number; reason?: string; message?: string }, state: Container['state']) =>
  running({ restartCount, lastState: { terminated }, ...(state ? { state } : {}) });

const podRows: { name: string; pod: PodObject; message: string | undefined; failing?: boolean; reason: string }[] = [
  { name: 'ready', pod: pod({ conditions: [{ type: 'Ready', status: 'True' }] }), message: undefined, reason: 'nothing to say' },
  { name: 'done', pod: pod({ phase: 'Succeeded' }), message: undefined, reason: 'the pod of a finished Job is not ready, and well' },
  {
    name: 'being stopped',
    pod: pod({ conditions: [{ type: 'Ready', status: 'True' }] }, { deletionTimestamp: ago(1) }),
    message: 'is terminating',
    reason: 'a pod that goes does not count as ready',
  },
  {
    name: 'unschedulable at first',
    pod: pod({ conditions: [{ type: 'PodScheduled', status: 'False', message: 'no node fits.', lastTransitionTime: ago(5) }] }),
    message: 'cannot be scheduled: no node fits',
    failing: false,
    reason: 'a volume that is being made keeps a pod unschedulable for a moment',
  },
  {
    name: 'unschedulable for long',
    pod: pod({ conditions: [{ type: 'PodScheduled', status: 'False', message: 'no node fits.', lastTransitionTime: ago(90) }] }),
    message: 'cannot be scheduled: no node fits',
    failing: true,
    reason: 'after a minute a person has to act',
  },
  {
    name: 'image not found',
    pod: waiting('ErrImagePull', 'rpc error: docker.io/apache/kafka:4.3.1: not found'),
    message: 'image apache/kafka:4.3.1 cannot be pulled (not found)',
    failing: true,
    reason: 'the cause stands in the message',
  },
  {
    name: 'image back-off',
    pod: waiting('ImagePullBackOff', 'Back-off pulling image "apache/kafka:4.3.1": ErrImagePull: not found'),
    message: 'image apache/kafka:4.3.1 cannot be pulled (not found)',
    failing: true,
    reason: 'the same words as ErrImagePull, with which it alternates',
  },
  {
    name: 'missing secret',
    pod: waiting('CreateContainerConfigError', 'secret "a-credentials" not found'),
    message: 'container kafka cannot start: secret "a-credentials" not found',
    failing: true,
    reason: 'the kubelet says what is missing',
  },
  {
    name: 'first crash',
    pod: crashed(1, { exitCode: 1 }, { waiting: { reason: 'CrashLoopBackOff' } }),
    message: 'container kafka crashes with exit code 1',
    failing: false,
    reason: 'what it needs may still be starting',
  },
  {
    name: 'crash loop while waiting',
    pod: crashed(5, { exitCode: 78, message: 'starting\nKAFKA_BROKERS: required\n' }, { waiting: { reason: 'CrashLoopBackOff' } }),
    message: 'container kafka crashes with exit code 78: KAFKA_BROKERS: required',
    failing: true,
    reason: 'the last line is what a program prints before it gives up',
  },
  {
    name: 'crash loop while running',
    pod: crashed(5, { exitCode: 78, message: 'starting\nKAFKA_BROKERS: required\n' }, { running: {} }),
    message: 'container kafka crashes with exit code 78: KAFKA_BROKERS: required',
    failing: true,
    reason: 'the same words in every phase of the loop',
  },
  {
    name: 'out of memory',
    pod: crashed(4, { exitCode: 137, reason: 'OOMKilled' }, { running: {} }),
    message: 'container kafka exceeded its memory limit (OOMKilled): raise the limit',
    failing: true,
    reason: 'says what to do',
  },
  {
    name: 'starting',
    pod: running({ started: false }),
    message: 'container kafka is starting',
    failing: false,
    reason: 'its startup probe',
  },
  {
    name: 'probe fails',
    pod: running({ started: true }),
    message: 'container kafka is running, but its readiness probe fails',
    failing: false,
    reason: 'for a short time that is no fault',
  },
  {
    name: 'probe fails for long',
    pod: running({ started: true }, 400),
    message: 'container kafka is running, but its readiness probe fails',
    failing: true,
    reason: 'after five minutes it is',
  },
];

for (const row of podRows) {
  void test(`pod: ${row.name}`, () => {
    const trouble = podTrouble(row.pod, NOW);
    assert.equal(trouble?.message, row.message, row.reason);
    if (row.failing !== undefined) assert.equal(trouble?.failing, row.failing, row.reason);
  });
}

function workload(kind: string, spec: object, status: object, generation = 2): KubernetesObject {
  return { apiVersion: 'apps/v1', kind, metadata: { name: 'a-kafka', generation }, spec, status };
}

const counts = (replicas: number, readyReplicas: number, updatedReplicas: number, observedGeneration = 2) => ({
  replicas,
  readyReplicas,
  updatedReplicas,
  observedGeneration,
});
const around = { pods: [], claims: [], autoscaled: false, now: NOW };

const hashed = (hash: string) => ({ annotations: { [TEMPLATE_ANNOTATION]: hash } });
const scaled = (replicas: number, status: object) => workload('Deployment', { replicas, template: { metadata: hashed('new') } }, status);
const podOf = (hash: string, metadata: object = {}) =>
  pod({ conditions: [{ type: 'Ready', status: 'True' }] }, { ...hashed(hash), ...metadata });

interface HealthRow {
  name: string;
  live: KubernetesObject | undefined;
  around?: Partial<Parameters<typeof judge>[1]>;
  health: Partial<Health>;
  reason: string;
}

/** @param observed generation that the counts are about; the object has 1 */
const daemonSet = (counted: Record<string, number>, observed = 1): KubernetesObject => ({
  apiVersion: 'apps/v1',
  kind: 'DaemonSet',
  metadata: { name: 'a-log-agent', generation: 1 },
  status: { observedGeneration: observed, ...counted },
});

const rows: HealthRow[] = [
  {
    name: 'an agent on every node',
    live: daemonSet({ desiredNumberScheduled: 3, currentNumberScheduled: 3, numberReady: 3, updatedNumberScheduled: 3 }),
    health: { healthy: true, ready: 3, desired: 3, message: '' },
    reason: 'the nodes are the replicas',
  },
  {
    name: 'an agent that one node lacks',
    live: daemonSet({ desiredNumberScheduled: 3, currentNumberScheduled: 3, numberReady: 2, updatedNumberScheduled: 3 }),
    health: { healthy: false, failing: false, ready: 2, desired: 3, message: '2 of 3 replicas ready' },
    reason: 'the logs of that node are missing',
  },
  {
    name: 'an agent of which one node has the former template',
    live: daemonSet({ desiredNumberScheduled: 3, currentNumberScheduled: 3, numberReady: 3, updatedNumberScheduled: 2 }),
    health: { healthy: false, message: '2 of 3 pods updated' },
    reason: 'the rollout is not over',
  },
  {
    name: 'an agent that no node tolerates',
    live: daemonSet({ desiredNumberScheduled: 0, currentNumberScheduled: 0, numberReady: 0 }),
    health: { healthy: true, ready: 0, desired: 0, message: '' },
    reason: 'there is nothing to wait for',
  },
  {
    name: 'an agent that was just created',
    live: daemonSet({}, 0),
    health: { healthy: false, ready: 0, desired: 1, message: 'the newest generation is not rolled out yet' },
    reason: 'no count is known yet, and zero of zero would be healthy',
  },
  { name: 'missing', live: undefined, health: { healthy: false, message: 'is not created yet' }, reason: 'nothing is there' },
  {
    name: 'rolled out',
    live: workload('Deployment', { replicas: 2 }, counts(2, 2, 2)),
    health: { healthy: true, ready: 2, desired: 2, message: '' },
    reason: 'all pods are new and ready',
  },
  {
    name: 'change not seen',
    live: workload('Deployment', { replicas: 2 }, counts(2, 2, 2, 1)),
    health: { healthy: false, message: 'the newest generation is not rolled out yet' },
    reason: 'the status is about the generation before',
  },
  {
    name: 'old pods left',
    live: workload('Deployment', { replicas: 2 }, counts(3, 3, 2)),
    health: { healthy: false, message: '1 old pod still to terminate' },
    reason: 'a rollout ends when the old pods are gone',
  },
  {
    name: 'half renewed',
    live: workload('StatefulSet', { replicas: 2 }, counts(2, 2, 1)),
    health: { healthy: false, message: '1 of 2 pods updated' },
    reason: 'the other one still runs the old template',
  },
  {
    name: 'autoscaled, more on the way',
    live: workload('Deployment', { replicas: 4 }, counts(4, 1, 4)),
    around: { autoscaled: true },
    health: { healthy: true, ready: 1, desired: 4, message: '3 more replicas starting' },
    reason: 'a step up must not make the platform unready',
  },
  {
    name: 'not autoscaled, more on the way',
    live: workload('Deployment', { replicas: 4 }, counts(4, 1, 4)),
    health: { healthy: false, message: '1 of 4 replicas ready' },
    reason: 'the number was asked for',
  },
  {
    name: 'scaled up, not seen yet',
    live: scaled(4, counts(1, 1, 1, 1)),
    around: { autoscaled: true, pods: [podOf('new')] },
    health: { healthy: true, ready: 1, desired: 4, message: '3 more replicas starting' },
    reason: 'every pod is of the newest template, so the generation ahead is one of scale: a step up must not make the platform unready',
  },
  {
    name: 'scaled down, not seen yet',
    live: scaled(1, counts(4, 4, 4, 1)),
    around: { autoscaled: true, pods: [podOf('new'), podOf('new'), podOf('new', { deletionTimestamp: ago(1) }), podOf('new')] },
    health: { healthy: true, ready: 4, desired: 1, message: '' },
    reason: 'a step down must not either',
  },
  {
    name: 'scaled down after a rollout',
    live: scaled(1, counts(2, 2, 2, 1)),
    around: { autoscaled: true, pods: [podOf('new'), podOf('new'), podOf('old', { deletionTimestamp: ago(1) })] },
    health: { healthy: true },
    reason: 'a pod of the old template that is going does not count any more',
  },
  {
    name: 'another template, not seen yet',
    live: scaled(2, counts(2, 2, 2, 1)),
    around: { autoscaled: true, pods: [podOf('old'), podOf('old')] },
    health: { healthy: false, message: 'the newest generation is not rolled out yet' },
    reason: 'the pods are of the template before',
  },
  {
    name: 'scaled in the middle of a rollout, not seen yet',
    live: scaled(4, counts(2, 2, 1, 1)),
    around: { autoscaled: true, pods: [podOf('old'), podOf('new')] },
    health: { healthy: false, message: 'the newest generation is not rolled out yet' },
    reason: 'the rollout continues',
  },
  {
    name: 'autoscaled, not seen yet, no pods',
    live: scaled(2, counts(2, 2, 2, 1)),
    around: { autoscaled: true },
    health: { healthy: false, message: 'the newest generation is not rolled out yet' },
    reason: 'the change is unknown',
  },
  {
    name: 'fixed number, not seen yet',
    live: scaled(4, counts(1, 1, 1, 1)),
    around: { pods: [podOf('new')] },
    health: { healthy: false, message: 'the newest generation is not rolled out yet' },
    reason: 'the user asked for another number, and waits for it',
  },
  {
    name: 'stopping',
    live: workload('Deployment', { replicas: 0 }, counts(3, 3, 3)),
    health: { healthy: false, message: '3 pods still to terminate' },
    reason: 'hibernation waits until they are gone',
  },
  {
    name: 'stopped',
    live: workload('Deployment', { replicas: 0 }, counts(0, 0, 0)),
    health: { healthy: true, ready: 0, desired: 0, message: '' },
    reason: 'zero of zero is what was asked for',
  },
  {
    name: 'pods refused',
    live: workload(
      'Deployment',
      { replicas: 1 },
      { ...counts(0, 0, 0), conditions: [{ type: 'ReplicaFailure', status: 'True', message: 'exceeded quota' }] },
    ),
    health: { healthy: false, failing: true, message: 'pods are refused: exceeded quota' },
    reason: 'no pod exists that could tell',
  },
  {
    name: 'overdue',
    live: workload(
      'Deployment',
      { replicas: 1 },
      { ...counts(1, 0, 1), conditions: [{ type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded' }] },
    ),
    health: { healthy: false, failing: true },
    reason: "the Deployment's own deadline",
  },
  {
    name: 'the volume is the cause',
    live: workload('StatefulSet', { replicas: 1 }, counts(0, 0, 0)),
    around: {
      claims: [{ apiVersion: 'v1', kind: 'PersistentVolumeClaim', metadata: { name: 'a-kafka-data' }, status: { phase: 'Pending' } }],
    },
    health: { healthy: false, message: 'volume claim a-kafka-data is Pending' },
    reason: 'there is no pod to blame',
  },
  {
    name: 'worst pod first',
    live: workload('Deployment', { replicas: 3 }, counts(3, 0, 3)),
    around: { pods: [running({ started: false }), crashed(9, { exitCode: 2 }, { running: {} })] },
    health: { healthy: false, failing: true, message: 'pod a-kafka-0 container kafka crashes with exit code 2' },
    reason: 'a pod that is only starting hides nothing',
  },
  {
    name: 'Job runs',
    live: workload('Job', {}, { active: 1 }),
    health: { healthy: false, failing: false, ready: 0, desired: 1, message: 'is running' },
    reason: 'it takes its time',
  },
  {
    name: 'Job done',
    live: workload('Job', {}, { succeeded: 1 }),
    health: { healthy: true, ready: 1, desired: 1 },
    reason: 'once is enough',
  },
  {
    name: 'Job failed',
    live: workload('Job', {}, { conditions: [{ type: 'Failed', status: 'True', reason: 'BackoffLimitExceeded' }] }),
    around: { pods: [crashed(6, { exitCode: 1, message: 'password authentication failed' }, { running: {} })] },
    health: {
      failing: true,
      message: 'failed (BackoffLimitExceeded): pod a-kafka-0 container kafka crashes with exit code 1: password authentication failed',
    },
    reason: 'the pod says why',
  },
  {
    name: 'Job suspended',
    live: workload('Job', { suspend: true }, {}),
    health: { healthy: true, ready: 0, desired: 0 },
    reason: 'hibernation asks for that',
  },
];

for (const row of rows) {
  void test(`health: ${row.name}`, () => {
    const health = judge(row.live, { ...around, ...row.around });
    for (const [key, value] of Object.entries(row.health)) assert.deepEqual(health[key as keyof Health], value, `${key}: ${row.reason}`);
  });
}

void test('combines the health of several objects', () => {
  const well = { healthy: true, failing: false, ready: 1, desired: 1, message: '' };
  const unhealthy = { healthy: false, failing: true, ready: 0, desired: 2, message: 'broken' };
  assert.deepEqual(combine([well, unhealthy]), { healthy: false, failing: true, ready: 1, desired: 3, message: 'broken' });
  assert.deepEqual(combine([]), { healthy: true, failing: false, ready: 0, desired: 0, message: '' });
});
