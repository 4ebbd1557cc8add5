/** A consumer group as its members would leave it, without members. */
import type { Admin } from 'kafkajs';
import { LIMIT_MS, until } from './cluster.ts';

/** Commits offset 0 for each partition of a topic, once Kafka accepts commits of the group. */
export async function commitStart(admin: Admin, groupId: string, topic: string, count: number): Promise<void> {
  const partitions = Array.from({ length: count }, (_, partition) => ({ partition, offset: '0' }));
  await until('the group to take a commit', LIMIT_MS, async () => {
    await admin.setOffsets({ groupId, topic, partitions }).catch(() => undefined);
    const [read] = await admin.fetchOffsets({ groupId, topics: [topic] }).catch(() => []);
    return read?.partitions.every(({ offset }) => offset === '0') ?? false;
  });
}
