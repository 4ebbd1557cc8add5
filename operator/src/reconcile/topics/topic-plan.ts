/** From the topics that are wanted and those that exist to what must be done. Pure. */
import { durationMs, type BssPlatformSpec } from '../../api/index.ts';

export type WantedTopic = BssPlatformSpec['topics'][number];

export interface ExistingTopic {
  name: string;
  partitions: number;
  /** Settings made on the topic itself; the broker's defaults are not among them. */
  overrides: Record<string, string>;
}

export interface TopicPlan {
  create: { name: string; partitions: number; replicationFactor: number; config: Record<string, string> }[];
  /** `partitions` is the new total. */
  extend: { name: string; partitions: number }[];
  /** `config` is complete: whatever else was set on the topic stays. */
  alter: { name: string; config: Record<string, string> }[];
  /** What cannot be done, a sentence each, sorted. */
  differences: string[];
}

/** Kafka's own default applies. */
const BROKER_DEFAULT = -1;

export function planTopics(wanted: WantedTopic[], existing: ExistingTopic[]): TopicPlan {
  const plan: TopicPlan = { create: [], extend: [], alter: [], differences: [] };
  for (const topic of wanted) {
    const there = existing.find((candidate) => candidate.name === topic.name);
    const { name, partitions } = topic;
    const config = configOf(topic);
    if (there === undefined) {
      plan.create.push({ name, partitions, replicationFactor: topic.replicationFactor ?? BROKER_DEFAULT, config });
      continue;
    }
    if (there.partitions < partitions) plan.extend.push({ name, partitions });
    if (there.partitions > partitions) plan.differences.push(shrinking(topic, there));
    const differs = Object.entries(config).some(([key, value]) => there.overrides[key] !== value);
    if (differs) plan.alter.push({ name, config: { ...there.overrides, ...config } });
  }
  return { ...plan, differences: plan.differences.toSorted() };
}

function configOf({ retention, cleanupPolicy }: WantedTopic): Record<string, string> {
  return { 'retention.ms': String(durationMs(retention)), 'cleanup.policy': cleanupPolicy };
}

function shrinking({ name, partitions }: WantedTopic, there: ExistingTopic): string {
  return `topic ${name} has ${there.partitions} partitions, and Kafka cannot take partitions away: write ${there.partitions} instead of ${partitions}`;
}

/** One line for an event; undefined when nothing is to be done. */
export function describePlan({ create, extend, alter }: TopicPlan): string | undefined {
  const parts = [
    ...create.map(({ name, partitions }) => `created ${name} (${partitions} partitions)`),
    ...extend.map(({ name, partitions }) => `extended ${name} to ${partitions} partitions`),
    ...alter.map(({ name }) => `changed the settings of ${name}`),
  ];
  return parts.length === 0 ? undefined : parts.join(', ');
}
