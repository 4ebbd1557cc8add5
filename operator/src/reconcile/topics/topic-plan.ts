/** The changes that turn the existing topics into the desired ones. Pure. */
import { retentionMs } from '../../api/index.ts';
import type { BssPlatformSpec } from '../../platform/index.ts';

export type WantedTopic = BssPlatformSpec['topics'][number];

export interface ExistingTopic {
  name: string;
  partitions: number;
  /** Settings of the topic itself, without the broker's defaults. */
  overrides: Record<string, string>;
}

export interface TopicPlan {
  create: { name: string; partitions: number; replicationFactor: number; config: Record<string, string> }[];
  /** `partitions` is the new total. */
  extend: { name: string; partitions: number }[];
  /** `config` is complete: it includes the other overrides of the topic. */
  alter: { name: string; config: Record<string, string> }[];
  /** One sentence for each difference that cannot be reconciled, sorted. */
  differences: string[];
}

/** Kafka's own default applies. */
const BROKER_DEFAULT = -1;

export function planTopics(wanted: WantedTopic[], existing: ExistingTopic[]): TopicPlan {
  const plan: TopicPlan = { create: [], extend: [], alter: [], differences: [] };
  for (const topic of wanted) {
    const live = existing.find((candidate) => candidate.name === topic.name);
    const { name, partitions } = topic;
    const config = configOf(topic);
    if (live === undefined) {
      plan.create.push({ name, partitions, replicationFactor: topic.replicationFactor ?? BROKER_DEFAULT, config });
      continue;
    }
    if (live.partitions < partitions) plan.extend.push({ name, partitions });
    if (live.partitions > partitions) plan.differences.push(shrinking(topic, live));
    const differs = Object.entries(config).some(([key, value]) => live.overrides[key] !== value);
    if (differs) plan.alter.push({ name, config: { ...live.overrides, ...config } });
  }
  return { ...plan, differences: plan.differences.toSorted() };
}

/** Kafka's value for a topic that keeps its events forever. */
const FOREVER = -1;

function configOf({ retention, cleanupPolicy, maxMessageBytes }: WantedTopic): Record<string, string> {
  const kept = retentionMs(retention);
  const config = { 'retention.ms': String(Number.isFinite(kept) ? kept : FOREVER), 'cleanup.policy': cleanupPolicy };
  return maxMessageBytes === undefined ? config : { ...config, 'max.message.bytes': String(maxMessageBytes) };
}

function shrinking({ name, partitions }: WantedTopic, live: ExistingTopic): string {
  return `topic ${name} has ${live.partitions} partitions, and Kafka cannot remove partitions: set partitions to ${live.partitions} instead of ${partitions}`;
}

/** One line for an event; undefined when there is nothing to do. */
export function describePlan({ create, extend, alter }: TopicPlan): string | undefined {
  const parts = [
    ...create.map(({ name, partitions }) => `created ${name} (${partitions} partitions)`),
    ...extend.map(({ name, partitions }) => `extended ${name} to ${partitions} partitions`),
    ...alter.map(({ name }) => `changed the settings of ${name}`),
  ];
  return parts.length === 0 ? undefined : parts.join(', ');
}
