/** Topics of the platform: those that its components use, with the user's settings, and the user's own. */
import { z } from 'zod';
import { piece } from './piece.ts';
import { isObject, merge } from './profiles.ts';
import { defaultText, durationMs, rule } from './rules.ts';

/** A topic that a component uses: it exists in every platform, and `spec.topics` can change its settings. */
export interface OwnTopic {
  name: string;
  partitions: number;
  retention?: string;
  maxMessageBytes?: number;
}

/** Of `retention`: events are kept forever. */
export const UNLIMITED = 'unlimited';
const RETENTION = `^(${UNLIMITED}|0*[1-9][0-9]*(ms|s|m|h|d))$`;

/** Milliseconds that a topic keeps events, Infinity without a limit. @param text of the field `retention` */
export function retentionMs(text: string): number {
  return text === UNLIMITED ? Infinity : durationMs(text);
}

const retention = rule(z.string().max(12).describe('How long events are kept (retention.ms), or unlimited.'), {
  cel: `self.matches('${RETENTION}')`,
  message: 'write a whole number above 0 and one unit (ms, s, m, h or d), such as 7d, or unlimited',
  check: (value) => new RegExp(RETENTION).test(value),
}).default('7d');

const FIELDS = {
  name: z
    .string()
    .min(1)
    .max(249)
    .regex(/^[a-zA-Z0-9._-]+$/, 'write a topic name: letters, digits, . _ and -')
    .describe('Name of the topic.'),
  partitions: z
    .int()
    .min(1)
    .max(1000)
    .default(12)
    .describe('Number of partitions: the most consumers of one group that can share the work. Can be raised, never lowered.'),
  replicationFactor: defaultText(
    z.int().min(1).max(7).optional().describe('Copies of each partition. Used when the topic is created.'),
    "1 on the managed Kafka, the cluster's own default on an external one",
  ),
  retention,
  maxMessageBytes: defaultText(
    z.int().min(1024).max(104_857_600).optional().describe('Largest batch of records that the topic accepts (max.message.bytes).'),
    "the cluster's own default, which is 1048588 in Kafka",
  ),
  cleanupPolicy: z.enum(['delete', 'compact']).default('delete').describe('What happens to old events (cleanup.policy).'),
};

/** @param own names of the platform's topics. Their key is an account: compaction would keep only its newest event. */
function topicSchema(own: readonly string[]) {
  return rule(z.strictObject(FIELDS), {
    cel: `self.cleanupPolicy != 'compact' || !(self.name in [${own.map((name) => `'${name}'`).join(', ')}])`,
    message: 'compaction would delete events that were not applied yet: set cleanupPolicy to delete for the topics of the platform',
    fieldPath: '.cleanupPolicy',
    check: ({ name, cleanupPolicy }) => cleanupPolicy !== 'compact' || !own.includes(name),
  });
}

function schema(own: readonly string[]) {
  return z
    .array(topicSchema(own))
    .max(100)
    .refine((value) => new Set(value.map((topic) => topic.name)).size === value.length, 'each topic may occur once: remove the duplicate')
    .default([])
    .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] })
    .describe(
      `Settings of the platform's topics, and more topics to create. The platform's own (${own.join(', ')}) exist in any case. A topic that leaves the list is not deleted.`,
    );
}

export function topicsPiece(own: readonly OwnTopic[]) {
  return piece('topics', schema(own.map(({ name }) => name)), { settle: (_merged, given) => withOwnTopics(own, given) });
}

/** The platform's own topics with the user's settings for them, then the user's other topics. A value that is not a list is returned as it is. */
function withOwnTopics(own: readonly OwnTopic[], given: unknown): unknown {
  if (given !== undefined && given !== null && !Array.isArray(given)) return given;
  const list = (given ?? []) as unknown[];
  const named = (name: string) => list.find((topic) => isObject(topic) && topic['name'] === name);
  const others = list.filter((topic) => !isObject(topic) || !own.some(({ name }) => name === topic['name']));
  return [...own.map((topic) => merge(topic, named(topic.name))), ...others];
}
