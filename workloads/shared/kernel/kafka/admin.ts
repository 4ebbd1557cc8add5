import type { Admin, Kafka } from 'kafkajs';
import type { Logger } from '../log.ts';
import { createKafka } from './client.ts';
import type { KafkaConnection } from './client.ts';
import { TopicIds } from './topic-ids.ts';

/** What a partition has for a consumer that reads committed records only. */
export interface PartitionExtent {
  partition: number;
  /** Offset of the first record. */
  low: bigint;
  /** One past the last record before the first open transaction: later records are not readable yet, and do not count. */
  high: bigint;
}

/** Position and size of one consumer group on one topic; a partition without a commit is left out. */
export interface GroupPosition {
  group: string;
  topic: string;
  committed: Map<number, bigint>;
}

/** Topics and groups of a cluster; connected on first use. */
export class KafkaAdmin {
  readonly #kafka: Kafka;
  readonly #admin: Admin;
  #connecting: Promise<void> | undefined;
  #topicIds: TopicIds | undefined;

  constructor(connection: KafkaConnection, clientId: string, log: Logger) {
    this.#kafka = createKafka(connection, clientId, log);
    this.#admin = this.#kafka.admin();
  }

  async #connected(): Promise<Admin> {
    this.#connecting ??= this.#admin.connect();
    try {
      await this.#connecting;
    } catch (error) {
      this.#connecting = undefined;
      throw error;
    }
    return this.#admin;
  }

  /** Number of brokers in the cluster. */
  async brokers(): Promise<number> {
    return (await (await this.#connected()).describeCluster()).brokers.length;
  }

  /** Topics apart from Kafka's own (names that begin with "__"). */
  async topics(): Promise<string[]> {
    const names = await (await this.#connected()).listTopics();
    return names.filter((name) => !name.startsWith('__')).toSorted();
  }

  /** The offsets of every partition of a topic. */
  async extents(topic: string): Promise<PartitionExtent[]> {
    const offsets = await (await this.#connected()).fetchTopicOffsets(topic);
    return offsets
      .map(({ partition, low, high }) => ({ partition, low: BigInt(low), high: BigInt(high) }))
      .toSorted((a, b) => a.partition - b.partition);
  }

  /**
   * Kafka's id of a topic: a topic that is deleted and recreated gets another one. Undefined when the brokers do not report ids.
   * @throws Error while the brokers that answer report different ids
   */
  async topicId(topic: string): Promise<string | undefined> {
    this.#topicIds ??= new TopicIds(this.#kafka);
    return this.#topicIds.read(topic);
  }

  /** Names of all consumer groups. */
  async groups(): Promise<string[]> {
    const { groups } = await (await this.#connected()).listGroups();
    return groups.map(({ groupId }) => groupId).toSorted();
  }

  /** Number of members of each group. */
  async members(groups: string[]): Promise<Map<string, number>> {
    const { groups: described } = await (await this.#connected()).describeGroups(groups);
    return new Map(described.map(({ groupId, members }) => [groupId, members.length]));
  }

  /** Committed offsets of a group, one entry per topic. */
  async positions(group: string, topics: string[]): Promise<GroupPosition[]> {
    const answers = await (await this.#connected()).fetchOffsets({ groupId: group, topics });
    return answers.map(({ topic, partitions }) => ({
      group,
      topic,
      committed: new Map(partitions.filter(({ offset }) => offset !== '-1').map(({ partition, offset }) => [partition, BigInt(offset)])),
    }));
  }

  /** Deletes a group, which must be without members. */
  async deleteGroup(group: string): Promise<void> {
    await (await this.#connected()).deleteGroups([group]);
  }

  /** Deletes the records of a partition before an offset, which is at most its end. Read {@link extents} first: it loads the metadata of the topic. */
  async deleteRecords(topic: string, partition: number, before: bigint): Promise<void> {
    await (await this.#connected()).deleteTopicRecords({ topic, partitions: [{ partition, offset: before.toString() }] });
  }

  /** Disconnects. */
  async close(): Promise<void> {
    await Promise.all([this.#admin.disconnect(), this.#topicIds?.close()]);
  }
}
