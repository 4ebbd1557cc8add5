/** What brokers answer is set by the test: real ones report different ids for some milliseconds only. */
import assert from 'node:assert/strict';
import test from 'node:test';
import type { Kafka } from 'kafkajs';
import { TopicIds } from './topic-ids.ts';

type Answer = { id?: string; maxVersion?: number; fails?: string };

/** A client whose brokers give these answers. */
function clientOf(answers: Answer[]): Kafka {
  const cluster = {
    brokerPool: { refreshMetadataIfNecessary: () => Promise.resolve() },
    connect: () => Promise.resolve(),
    disconnect: () => Promise.resolve(),
    getNodeIds: () => answers.map((_answer, index) => String(index)),
    findBroker: ({ nodeId }: { nodeId: string }) => {
      const { id, maxVersion = 12, fails } = answers[Number(nodeId)] ?? {};
      return fails === undefined
        ? Promise.resolve({ versions: { 3: { minVersion: 0, maxVersion } }, connectionPool: { send: () => Promise.resolve(id) } })
        : Promise.reject(new Error(fails));
    },
  };
  return { [Symbol('private:Kafka:createCluster')]: () => cluster } as unknown as Kafka;
}

const rows: Record<string, { answers: Answer[]; want: string | undefined | RegExp; reason: string }> = {
  'one broker': { answers: [{ id: 'a' }], want: 'a', reason: 'the id' },
  'three brokers': { answers: [{ id: 'a' }, { id: 'a' }, { id: 'a' }], want: 'a', reason: 'they agree' },
  'a broker that does not answer': { answers: [{ fails: 'refused' }, { id: 'a' }], want: 'a', reason: 'the others know the id' },
  'a broker that does not know the topic yet': { answers: [{}, { id: 'a' }], want: 'a', reason: 'the others know the id' },
  'brokers that are too old': { answers: [{ id: 'a', maxVersion: 11 }], want: undefined, reason: 'they are not asked' },
  'brokers that disagree': {
    answers: [{ id: 'a' }, { id: 'b' }],
    want: /different ids of topic events: a, b/,
    reason: 'one of them has not learned yet that the topic was recreated',
  },
  'no broker that answers': { answers: [{ fails: 'refused' }], want: /no broker reports/, reason: 'the caller retries' },
};
for (const [name, { answers, want, reason }] of Object.entries(rows)) {
  await test(name, async () => {
    const ids = new TopicIds(clientOf(answers));
    if (want instanceof RegExp) await assert.rejects(ids.read('events'), want, reason);
    else assert.equal(await ids.read('events'), want, reason);
    await ids.close();
  });
}

await test('a client that does not give access to its connections is refused', () => {
  assert.throws(() => new TopicIds({} as Kafka), /this version of the Kafka client/);
});
