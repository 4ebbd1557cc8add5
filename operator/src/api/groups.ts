/** Consumer groups of other programs on the same Kafka, scaled by the same mechanism as the platform's own. */
import { z } from 'zod';
import { autoscaling } from './autoscaling.ts';
import { objectName } from './common.ts';
import { rule } from './rules.ts';
import { INTEREST_GROUP } from './topics.ts';

const topicName = z
  .string()
  .min(1)
  .max(249)
  .regex(/^[A-Za-z0-9._-]+$/, 'write the name of a topic: letters, digits, . _ and -');

const shape = z.strictObject({
  name: z.string().min(1).max(249).describe('The consumer group.'),
  topics: z.array(topicName).min(1).max(16).meta({ 'x-kubernetes-list-type': 'set' }).describe('Topics that it reads.'),
  deployment: objectName("The Deployment whose pods are the group's members, in the platform's namespace."),
  autoscaling,
});

const group = rule(
  rule(shape, {
    cel: `self.name != '${INTEREST_GROUP}'`,
    message: `${INTEREST_GROUP} is the platform's own group: set workloads.interest.autoscaling`,
    fieldPath: '.name',
    check: ({ name }) => name !== INTEREST_GROUP,
  }),
  {
    cel: "!has(self.autoscaling.mode) || self.autoscaling.mode != 'keda'",
    message:
      'the operator writes no ScaledObject for Deployments of others: write your own and remove the group here, or set mode to builtin',
    fieldPath: '.autoscaling.mode',
    check: ({ autoscaling: { mode } }) => mode !== 'keda',
  },
);

export const consumerGroups = z
  .array(group)
  .max(16)
  // The API server tells by the list's key.
  .refine((groups) => new Set(groups.map(({ name }) => name)).size === groups.length, 'Duplicate value: name each group once')
  .default([])
  .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] })
  .describe("Consumer groups of other programs that the operator scales too. Their Deployments stay the user's; only replicas are set.");
