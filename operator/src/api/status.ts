/** The status of a BssPlatform. */
import { z } from 'zod';

const text = (description: string) => z.string().describe(description);
const time = (description: string) => z.string().meta({ format: 'date-time' }).describe(description);
const mapBy = (...keys: string[]) => ({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': keys });

const condition = z.strictObject({
  type: text('Ready, Progressing, Degraded, Paused, ...'),
  status: z.enum(['True', 'False', 'Unknown']).describe('Whether it holds.'),
  reason: text('One word for programs.'),
  message: text('A sentence for people.'),
  observedGeneration: z.int().optional().describe('Generation of the spec that this is about.'),
  lastTransitionTime: time('When status changed last.'),
});

const component = z.strictObject({
  name: text('Name of the component, such as kafka.'),
  kind: text('Kind of object that runs it.'),
  ready: z.int().describe('Replicas that are ready (for a Job: runs that succeeded).'),
  desired: z.int().describe('Replicas that there should be.'),
  message: text('What is missing; empty when nothing is.').optional(),
});

const learned = z.strictObject({
  ratePerReplica: z.number().describe('Events that one replica applies, per second, while there is work waiting.'),
  startupSeconds: z.number().describe('Seconds from a step up until the new replica takes part.'),
  observations: z.int().describe('Number of observations behind it.'),
});

const consumerGroup = z.strictObject({
  name: text('Consumer group.'),
  topics: z.array(z.string()).describe('Topics that it reads.'),
  lag: z.int().optional().describe('Events that wait; absent when it could not be read.'),
  delaySeconds: z.number().optional().describe('How long the oldest of them has been waiting, in seconds.'),
  arrivalRate: z.number().optional().describe('Events that arrive, per second.'),
  ratePerReplica: z.number().optional().describe('Events that one replica applies, per second, as learnt under load.'),
  replicas: z.int().optional().describe('Replicas asked for now.'),
  readyReplicas: z.int().optional().describe('Replicas that are ready.'),
  desiredReplicas: z.int().optional().describe('Replicas wanted.'),
  reason: text('Why this number: one word.').optional(),
  message: text('Why this number: a sentence.').optional(),
  lastScaleTime: time('Last change of the number.').optional(),
  learned: learned.optional().describe('What the autoscaler has learnt about the group; it survives a restart of the operator here.'),
});

const endpoint = z.strictObject({
  name: text('What is reached there.'),
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
      'What would be done. replace: deleted and made anew. keep: no longer used, but kept with its data. refused: it cannot be applied.',
    ),
  object: text('Kind and name.'),
  restarts: z.array(z.string()).meta({ 'x-kubernetes-list-type': 'atomic' }).optional().describe('Why its pods would be replaced.'),
  message: text('Why it cannot be applied.').optional(),
  diff: text('What would be otherwise, as lines of a unified diff. Long ones are cut, and say so.').optional(),
});

const problem = z.strictObject({
  path: text('Field that is wrong.'),
  message: text('What to write instead.'),
});

const plan = z.strictObject({
  request: text('First 12 digits of the SHA-256 of the annotation: which proposal this is about.'),
  observedGeneration: z.int().describe('Generation of the spec that the proposal was laid over.'),
  result: z
    .enum(['NoChanges', 'Changes', 'Refused', 'Invalid'])
    .describe('NoChanges: all would stay as it is. Refused: some objects could not be applied. Invalid: the proposal is no right spec.'),
  summary: text('The plan in a sentence.'),
  problems: z.array(problem).meta({ 'x-kubernetes-list-type': 'atomic' }).optional().describe('What is wrong with the proposal.'),
  changes: z
    .array(plannedChange)
    .meta({ 'x-kubernetes-list-type': 'atomic' })
    .optional()
    .describe('Objects that would change, in the order in which they would.'),
  omitted: z.int().optional().describe('Number of changes that are left out here for their number.'),
  warnings: z
    .array(z.string())
    .meta({ 'x-kubernetes-list-type': 'atomic' })
    .optional()
    .describe('What is legal in the proposal but unwise.'),
});

export const statusSchema = z.strictObject({
  observedGeneration: z.int().optional().describe('Generation of the spec that the operator acted on last.'),
  version: text('Version that runs: spec.version of the last roll-out that became healthy.').optional(),
  conditions: z.array(condition).meta(mapBy('type')).optional().describe('What holds: Ready first of all.'),
  components: z.array(component).meta(mapBy('name')).optional().describe('Parts of the platform.'),
  consumerGroups: z.array(consumerGroup).meta(mapBy('name')).optional().describe('Consumer groups and how they are scaled.'),
  endpoints: z.array(endpoint).meta(mapBy('name')).optional().describe('Where things are.'),
  secretName: text('Secret that holds the generated passwords and tokens.').optional(),
  warnings: z.array(z.string()).meta({ 'x-kubernetes-list-type': 'atomic' }).optional().describe('What is legal in the spec but unwise.'),
  plan: plan
    .optional()
    .describe(
      'What the spec proposed by the annotation bss-platform.io/plan would change. It goes with the annotation; nothing of it is applied.',
    ),
  inventory: z
    .array(ownedObject)
    .meta({ 'x-kubernetes-list-type': 'atomic' })
    .optional()
    .describe('Objects that the operator made for this platform: what leaves this list is deleted.'),
});

export type BssPlatformStatus = z.output<typeof statusSchema>;
