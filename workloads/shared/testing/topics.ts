import { Kafka, logLevel } from 'kafkajs';
import { waitFor } from './wait.ts';

interface NewTopic {
  topic: string;
  partitions: number;
  config?: Record<string, string>;
}

/**
 * Creates topics, once Kafka has finished the deletion of earlier ones of these names, and waits until their partitions can be read. The client's
 * own wait for leaders ends with an error if it asks a broker that has not yet learned of a topic.
 */
export async function createTopics(brokers: string[], topics: NewTopic[]): Promise<void> {
  const admin = new Kafka({ brokers, logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  try {
    for (const { topic, partitions, config = {} } of topics) {
      const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }));
      await waitFor(`topic ${topic} to be created`, async () => {
        await admin.createTopics({ topics: [{ topic, numPartitions: partitions, configEntries }], waitForLeaders: false });
        return (await admin.fetchTopicOffsets(topic)).length === partitions;
      });
    }
  } finally {
    await admin.disconnect();
  }
}
