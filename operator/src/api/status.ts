/** The status of a BssPlatform, and that of a ConsumerAutoscaler. */
import { z } from 'zod';

const text = (description: string) => z.string().describe(description);
const time = (description: string) => z.string().meta({ format: 'date-time' }).describe(description);
/** A list without keys is atomic, which is the default of Kubernetes. */
const mapBy = (...keys: string[]) => ({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': keys });

const conditionOf = (types: string) =>
  z.strictObject({
    type: text(types),
    status: z.enum(['True', 'False', 'Unknown']).describe('Status of the condition.'),
    reason: text('Reason in one word, for programs.'),
    message: text('Message for people.'),
    observedGeneration: z.int().optional().describe('Generation of the spec that the condition is about.'),
    lastTransitionTime: time('Time of the last change of status.'),
  });
const condition = conditionOf('Ready, Progressing, Degraded, Paused, ...');

const component = z.strictObject({
  name: text('Name of the component, such as kafka.'),
  kind: text('Kind of object that runs it.'),
  ready: z.int().describe('Replicas that are ready (for a Job: runs that succeeded).'),
  desired: z.int().describe('Desired replicas.'),
  message: text('Why the component is not ready; empty when it is.').optional(),
});

const learned = z.strictObject({
  ratePerReplica: z.number().describe('Rate of one replica under lag, in events per second.'),
  startupSeconds: z.number().describe('Seconds from a step up until the new replica joins the group.'),
  observations: z.int().describe('Number of observations.'),
  commitSeconds: z.int().optional().describe('Seconds between two commits of a member; at least the sampling interval.'),
  pauseSeconds: z.number().optional().describe('Seconds of arrivals that accumulate during a rebalance.'),
  membersPerReplica: z.int().optional().describe('Group members in each replica; absent for one.'),
  version: z.string().optional().describe('Revision of the pod template that the rate belongs to.'),
});

const consumerGroup = z.strictObject({
  name: text('Consumer group.'),
  topics: z.array(z.string()).describe('Topics that the group reads.'),
  lag: z.int().optional().describe('Events between the committed and the end offsets; absent when the lag is unknown.'),
  delaySeconds: z
    .number()
    .optional()
    .describe('Seconds since the broker appended the oldest event that is not committed. Time in the producer does not count.'),
  arrivalRate: z.number().optional().describe('Arrivals in events per second.'),
  ratePerReplica: z.number().optional().describe('Learned rate of one replica in events per second.'),
  replicas: z.int().optional().describe('Current spec.replicas of the Deployment.'),
  readyReplicas: z.int().optional().describe('Replicas that are ready.'),
  desiredReplicas: z.int().optional().describe('Replicas that the autoscaler decided on.'),
  reason: text('Reason of the decision in one word.').optional(),
  message: text('Reason of the decision in a sentence.').optional(),
  lastScaleTime: time('Time of the last change of replicas.').optional(),
  learned: learned.optional().describe('What the autoscaler has learned about the group. It survives a restart of the operator.'),
  season: z.string().max(4096).optional().describe('Arrivals that repeat by the hour, day or week, encoded; written once an hour.'),
});

const endpoint = z.strictObject({
  name: text('Name of the endpoint.'),
  address: text('Address inside the cluster.'),
});

const ownedObject = z.strictObject({
  apiVersion: text('API group and version.'),
  kind: text('Kind.'),
  name: text('Name.'),
});

const plannedChange = z.strictObject({
  action: z
    .enum(['create', 'change', 'replace', 'delete', 'keep', 'refused'])
    .describe(
      'Planned action. replace: delete and recreate. keep: no longer used, kept with its data. refused: the API server rejects the change.',
    ),
  object: text('Kind and name.'),
  restarts: z.array(z.string()).optional().describe('Reasons to replace its pods.'),
  message: text('Reason of the refusal.').optional(),
  diff: text('The change as lines of a unified diff. A long diff is truncated and marked.').optional(),
});

const problem = z.strictObject({
  path: text('Field with the error.'),
  message: text('What to write instead.'),
});

const plan = z.strictObject({
  request: text('First 12 digits of the SHA-256 of the annotation, which identify the proposal.'),
  observedGeneration: z.int().describe('Generation of the spec that the proposal was merged into.'),
  result: z
    .enum(['NoChanges', 'Changes', 'Refused', 'Invalid'])
    .describe(
      'NoChanges: the proposal changes nothing. Refused: the API server rejects some objects. Invalid: the proposal is not a valid spec.',
    ),
  summary: text('The plan in a sentence.'),
  problems: z.array(problem).optional().describe('Errors of the proposal.'),
  changes: z.array(plannedChange).optional().describe('Objects that would change, in the order of the changes.'),
  omitted: z.int().optional().describe('Number of changes beyond those listed.'),
  warnings: z.array(z.string()).optional().describe('Valid settings of the proposal that are unwise.'),
});

// The definition has a limit of bytes: the names of these fields describe them.
const alert = z.strictObject({
  name: z.string(),
  severity: z.string(),
  since: z.string().meta({ format: 'date-time' }),
  summary: z.string(),
  runbook: z.string(),
});

const alerts = z.strictObject({
  summary: z.string(),
  critical: z.int(),
  warning: z.int(),
  muted: z.int().describe('Silenced or inhibited.'),
  firing: z.array(alert).describe('At most 10.'),
  lastRead: time('Last read before this changed.').optional(),
  message: text('What is unknown, and why.').optional(),
});

export const statusSchema = z.strictObject({
  observedGeneration: z.int().optional().describe('Generation of the spec that the operator reconciled last.'),
  version: text('Running version: spec.version of the last rollout that became healthy.').optional(),
  conditions: z.array(condition).meta(mapBy('type')).optional().describe('Conditions; Ready summarizes them.'),
  components: z.array(component).meta(mapBy('name')).optional().describe('Components of the platform.'),
  consumerGroups: z.array(consumerGroup).meta(mapBy('name')).optional().describe('Consumer groups and how they are scaled.'),
  endpoints: z.array(endpoint).meta(mapBy('name')).optional().describe('Addresses of the platform.'),
  alerts: alerts.optional().describe('Firing alerts of severity critical and warning.'),
  secretName: text('Secret that holds the generated passwords and tokens.').optional(),
  warnings: z.array(z.string()).optional().describe('Valid settings of the spec that are unwise.'),
  plan: plan
    .optional()
    .describe(
      'What the spec proposed by the annotation bss-platform.io/plan would change. It is removed with the annotation; the operator applies nothing of it.',
    ),
  inventory: z
    .array(ownedObject)
    .optional()
    .describe('Objects that the operator created for this platform. It deletes those that are no longer desired.'),
});

export type BssPlatformStatus = z.output<typeof statusSchema>;

/** The figures of the one group, without its name and topics, which are in the spec. */
const { name: _name, topics: _topics, ...figures } = consumerGroup.shape;

export const consumerAutoscalerStatusSchema = z.strictObject({
  observedGeneration: z.int().optional().describe('Generation of the spec that the operator reconciled last.'),
  conditions: z
    .array(conditionOf('Ready, Reconciling, Stalled, ScalingLimited.'))
    .meta(mapBy('type'))
    .optional()
    .describe(
      'Conditions. Ready: the lag is known and the operator scales on it. Reconciling and Stalled are those of kstatus: the operator retries; somebody has to act.',
    ),
  subject: text('What the figures are about: the consumer group, its topics and the object.').optional(),
  ...figures,
});

export type ConsumerAutoscalerStatus = z.output<typeof consumerAutoscalerStatusSchema>;
