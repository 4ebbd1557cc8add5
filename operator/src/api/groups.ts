/** Consumer groups of other programs on the same Kafka, scaled by the same mechanism as the platform's own. */
import { z } from 'zod';
import { autoscaling, settleBounds } from './autoscaling.ts';
import { objectName } from './common.ts';
import { piece } from './piece.ts';
import { isObject } from './profiles.ts';
import { rule } from './rules.ts';

const topicName = z
  .string()
  .min(1)
  .max(249)
  .regex(/^[A-Za-z0-9._-]+$/, 'write the name of a topic: letters, digits, . _ and -');

export const groupTopics = z
  .array(topicName)
  .min(1)
  .max(16)
  .meta({ 'x-kubernetes-list-type': 'set' })
  .describe('Topics that the group reads.');

const shape = z.strictObject({
  name: z.string().min(1).max(249).describe('The consumer group.'),
  topics: groupTopics,
  deployment: objectName("The Deployment whose pods are the group's members, in the platform's namespace."),
  autoscaling,
});

/** A consumer group of one of the platform's components. */
export interface OwnGroup {
  name: string;
  /** Path of the component below `spec`, such as `workloads.interest`. */
  at: string;
}

/** Refuses the platform's own groups. */
function foreign<S extends z.ZodType<{ name: string }>>(schema: S, { name, at }: OwnGroup): S {
  return rule(schema, {
    cel: `self.name != '${name}'`,
    message: `${name} is the platform's own group: set ${at}`,
    fieldPath: '.name',
    check: (group) => group.name !== name,
  });
}

const FIXED = (group: string) => `(has(${group}.autoscaling.mode) && ${group}.autoscaling.mode == 'fixed')`;

/** Two groups on one Deployment would change its replicas back and forth. One that is only measured does no harm. */
function oneScaler<S extends z.ZodType<z.output<typeof shape>[]>>(list: S): S {
  return rule(list, {
    cel: `self.all(a, ${FIXED('a')} || self.exists_one(b, b.deployment == a.deployment && !${FIXED('b')}))`,
    message:
      'two groups scale the same Deployment: keep the one that needs more replicas, and set autoscaling.mode: fixed for the other, or run its consumers in a Deployment of their own',
    check: (groups) => {
      const scaled = groups.filter(({ autoscaling: { mode } }) => mode !== 'fixed').map(({ deployment }) => deployment);
      return new Set(scaled).size === scaled.length;
    },
  });
}

export function consumerGroupsPiece(own: readonly OwnGroup[]) {
  const group = rule(
    own.reduce((schema, one) => foreign(schema, one), shape),
    {
      cel: "!has(self.autoscaling.mode) || self.autoscaling.mode != 'keda'",
      message:
        'the operator does not create a ScaledObject for a Deployment that it does not own: create one and remove the group here, or set mode to builtin',
      fieldPath: '.autoscaling.mode',
      check: ({ autoscaling: { mode } }) => mode !== 'keda',
    },
  );
  const list = z
    .array(group)
    .max(16)
    // The API server reports doubles by the list's key.
    .refine((groups) => new Set(groups.map(({ name }) => name)).size === groups.length, 'Duplicate value: name each group once');
  const schema = oneScaler(list)
    .default([])
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] })
    .describe('Consumer groups of other programs that the operator scales too. The operator sets only the replicas of their Deployments.');
  return piece('consumerGroups', schema, { settle: (groups) => (Array.isArray(groups) ? groups.map(settleGroup) : groups) });
}

function settleGroup(group: unknown): unknown {
  if (!isObject(group) || !isObject(group['autoscaling'])) return group;
  return { ...group, autoscaling: settleBounds(group['autoscaling'], group['autoscaling']) };
}
