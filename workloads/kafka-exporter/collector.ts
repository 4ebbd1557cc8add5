import type { KafkaAdmin, PartitionExtent } from '../shared/kernel/kafka/admin.ts';
import type { Gauge, Metrics } from '../shared/kernel/metrics.ts';

/** One reading of the cluster. */
export interface Reading {
  brokers: number;
  topics: Map<string, PartitionExtent[]>;
  groups: { group: string; members: number; committed: Map<string, Map<number, bigint>> }[];
}

/** Reads offsets, groups and brokers. */
export async function readCluster(admin: KafkaAdmin): Promise<Reading> {
  const [brokers, names, groups] = await Promise.all([admin.brokers(), admin.topics(), admin.groups()]);
  const topics = new Map(await Promise.all(names.map(async (name) => [name, await admin.extents(name)] as const)));
  const members = groups.length > 0 ? await admin.members(groups) : new Map<string, number>();
  const positions = await Promise.all(
    groups.map(async (group) => {
      const answers = await admin.positions(group, names);
      const committed = new Map(answers.filter((answer) => answer.committed.size > 0).map((answer) => [answer.topic, answer.committed]));
      return { group, members: members.get(group) ?? 0, committed };
    }),
  );
  return { brokers, topics, groups: positions };
}

/**
 * Messages of a partition that a group has yet to consume: end - max(committed, first offset still there), never below 0
 * (a commit above the end belongs to a topic that was recreated).
 */
export function lagOf({ low, high }: PartitionExtent, committed: bigint): bigint {
  const from = committed > low ? committed : low;
  return high > from ? high - from : 0n;
}

/** The gauges of the exporter, under the names that dashboards for Kafka expect. */
export class ClusterGauges {
  readonly #brokers: Gauge;
  readonly #partitions: Gauge<'topic'>;
  readonly #first: Gauge<'topic' | 'partition'>;
  readonly #end: Gauge<'topic' | 'partition'>;
  readonly #members: Gauge<'consumergroup'>;
  readonly #committed: Gauge<'consumergroup' | 'topic' | 'partition'>;
  readonly #lag: Gauge<'consumergroup' | 'topic' | 'partition'>;

  constructor(metrics: Metrics) {
    const byPartition = ['topic', 'partition'] as const;
    const byGroup = ['consumergroup', 'topic', 'partition'] as const;
    this.#brokers = metrics.gauge('kafka_brokers', 'Brokers in the cluster');
    this.#partitions = metrics.gauge('kafka_topic_partitions', 'Partitions of a topic', ['topic']);
    this.#first = metrics.gauge('kafka_topic_partition_oldest_offset', 'First offset of a partition', byPartition);
    this.#end = metrics.gauge('kafka_topic_partition_current_offset', 'Offset after the last record of a partition', byPartition);
    this.#members = metrics.gauge('kafka_consumergroup_members', 'Members of a consumer group', ['consumergroup']);
    this.#committed = metrics.gauge('kafka_consumergroup_current_offset', 'Committed offset of a group', byGroup);
    this.#lag = metrics.gauge('kafka_consumergroup_lag', 'Messages that a group has yet to consume', byGroup);
  }

  /** Sets the gauges to a reading; the series of deleted topics and groups disappear. */
  set({ brokers, topics, groups }: Reading): void {
    for (const gauge of [this.#partitions, this.#first, this.#end, this.#members, this.#committed, this.#lag]) gauge.reset();
    this.#brokers.set(brokers);
    for (const [topic, extents] of topics) {
      this.#partitions.set({ topic }, extents.length);
      for (const { partition, low, high } of extents) {
        this.#first.set({ topic, partition: String(partition) }, Number(low));
        this.#end.set({ topic, partition: String(partition) }, Number(high));
      }
    }
    for (const { group, members, committed } of groups) {
      this.#members.set({ consumergroup: group }, members);
      for (const [topic, offsets] of committed) this.#setGroup(group, topic, topics.get(topic) ?? [], offsets);
    }
  }

  /** A partition without a commit counts from its first record, since the group has yet to consume all of it. */
  #setGroup(consumergroup: string, topic: string, extents: PartitionExtent[], offsets: Map<number, bigint>): void {
    for (const extent of extents) {
      const labels = { consumergroup, topic, partition: String(extent.partition) };
      const committed = offsets.get(extent.partition);
      if (committed !== undefined) this.#committed.set(labels, Number(committed));
      this.#lag.set(labels, Number(lagOf(extent, committed ?? extent.low)));
    }
  }
}
