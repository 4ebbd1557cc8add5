import type { Kafka } from 'kafkajs';
import { METADATA_MAX_AGE_MS } from './client.ts';
import { withLimit } from './failures.ts';
import { METADATA, topicIdRequest, topicIdResponse } from './topic-id-codec.ts';

/** Time for one broker: an assignment waits for the answer. */
const LIMIT_MS = 3_000;

interface Broker {
  versions: Record<number, { minVersion: number; maxVersion: number }> | null;
  connectionPool: { send(protocol: unknown): Promise<unknown> };
}

/** What this module uses of the client's cluster, which its types do not show. */
interface Cluster {
  brokerPool: { refreshMetadataIfNecessary(topics: string[]): Promise<void> };
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  getNodeIds(): string[];
  findBroker(node: { nodeId: string }): Promise<Broker>;
}

/**
 * Reads the ids of topics. The client's newest metadata request has none, so this sends one of a newer version through the client's own
 * connections, with their TLS and authentication.
 */
export class TopicIds {
  readonly #cluster: Cluster;

  constructor(kafka: Kafka) {
    this.#cluster = clusterOf(kafka);
  }

  /**
   * The id that all brokers report which answer and know the topic. A single broker may not have learned yet that a topic was recreated.
   * @returns undefined when no broker reports an id: the topic does not exist, or the brokers are older than Kafka 3.1
   * @throws Error while brokers report different ids, or when none answers
   */
  async read(topic: string): Promise<string | undefined> {
    await this.#cluster.connect();
    await this.#cluster.brokerPool.refreshMetadataIfNecessary([topic]);
    const asked = this.#cluster.getNodeIds().map((nodeId) => withLimit(this.#ask(nodeId, topic), LIMIT_MS));
    const answers = await Promise.allSettled(asked);
    const errors = answers.flatMap((answer) => (answer.status === 'rejected' ? [answer.reason as unknown] : []));
    if (errors.length === answers.length) throw new Error(`no broker reports the id of topic ${topic}`, { cause: errors[0] });
    const ids = new Set(answers.flatMap((answer) => (answer.status === 'fulfilled' ? (answer.value ?? []) : [])));
    if (ids.size > 1) throw new Error(`brokers report different ids of topic ${topic}: ${[...ids].join(', ')}`);
    return [...ids][0];
  }

  async close(): Promise<void> {
    await this.#cluster.disconnect();
  }

  async #ask(nodeId: string, topic: string): Promise<string | undefined> {
    const { versions, connectionPool } = await this.#cluster.findBroker({ nodeId });
    const { minVersion = 0, maxVersion = -1 } = versions?.[METADATA.apiKey] ?? {};
    if (minVersion > METADATA.apiVersion || maxVersion < METADATA.apiVersion) return undefined;
    const answer = await connectionPool.send({ request: topicIdRequest(topic), response: topicIdResponse });
    return answer as string | undefined;
  }
}

/** The client makes a cluster for each of its parts, by a method under a symbol. @throws Error when this version of it has none */
function clusterOf(kafka: Kafka): Cluster {
  const symbol = Object.getOwnPropertySymbols(kafka).find(({ description }) => description === 'private:Kafka:createCluster');
  const create: unknown = symbol && Reflect.get(kafka, symbol);
  if (typeof create !== 'function') throw new Error('this version of the Kafka client does not give access to its connections');
  return create({ metadataMaxAge: METADATA_MAX_AGE_MS, allowAutoTopicCreation: false }) as Cluster;
}
