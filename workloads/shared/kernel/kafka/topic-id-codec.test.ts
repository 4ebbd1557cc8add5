import assert from 'node:assert/strict';
import test from 'node:test';
import { METADATA, topicIdRequest, topicIdResponse } from './topic-id-codec.ts';

const bytes = (...fields: string[]): Buffer => Buffer.from(fields.join('').replaceAll(' ', ''), 'hex');

const TOPIC = 'interest.transaction.v1';
const NAME = '18 696e7465726573742e7472616e73616374696f6e2e7631';
const ID = 'b9081c48bd56429cb0bcc1284301c52a';
/** As Kafka 4 answered: header, throttle time, one broker, cluster id, controller. */
const BEFORE_TOPICS =
  '00 00000000 02 00000000 0a 3132372e302e302e31 00005cf3 00 00 17 6273732d706c6174666f726d2d746573742d41414141 00000000';
/** Not internal, two partitions, authorized operations, no tags. */
const AFTER_ID = `00 03 0000 00000000 00000000 00000000 02 00000000 02 00000000 01 00
  0000 00000001 00000000 00000000 02 00000000 02 00000000 01 00 80000000 00 00`.replaceAll(/\s/g, '');

const requests: Record<string, { topic: string; want: Buffer; reason: string }> = {
  'one topic by name': {
    topic: TOPIC,
    want: bytes('00 02', '00'.repeat(16), NAME, '00 00 00 00'),
    reason: 'header tags, one topic with id zero and a name, no creation, no authorized operations',
  },
  'the longest name': {
    topic: 'x'.repeat(249),
    want: bytes('00 02', '00'.repeat(16), 'fa01', '78'.repeat(249), '00 00 00 00'),
    reason: 'a length from 127 on has two bytes',
  },
};
for (const [name, { topic, want, reason }] of Object.entries(requests)) {
  await test(`request: ${name}`, async () => {
    const request = topicIdRequest(topic);
    assert.deepEqual([request.apiKey, request.apiVersion], [METADATA.apiKey, 12]);
    const { buf, buffer } = await request.encode();
    assert.equal(buffer.toString('hex'), want.toString('hex'), reason);
    assert.equal(buf, buffer, 'what kafkajs takes for an encoder');
  });
}

const responses: Record<string, { answer: Buffer; want: string | undefined; reason: string }> = {
  'a topic': {
    answer: bytes(BEFORE_TOPICS, '02 0000', NAME, ID, AFTER_ID),
    want: 'uQgcSL1WQpywvMEoQwHFKg',
    reason: 'as the tools of Kafka print it',
  },
  'a topic without leaders': {
    answer: bytes(BEFORE_TOPICS, '02 0005', NAME, ID, AFTER_ID),
    want: 'uQgcSL1WQpywvMEoQwHFKg',
    reason: 'it exists',
  },
  'an unknown topic': {
    answer: bytes(BEFORE_TOPICS, '02 0003', NAME, '00'.repeat(16), '00 01 80000000 00 00'),
    want: undefined,
    reason: 'error 3',
  },
  'a topic that may not be described': { answer: bytes(BEFORE_TOPICS, '02 001d', NAME, ID, AFTER_ID), want: undefined, reason: 'error 29' },
  'a topic without an id': {
    answer: bytes(BEFORE_TOPICS, '02 0000', NAME, '00'.repeat(16), AFTER_ID),
    want: undefined,
    reason: 'metadata before KRaft',
  },
  'no topic': { answer: bytes(BEFORE_TOPICS, '01 00'), want: undefined, reason: 'an empty array' },
  'no topics': { answer: bytes(BEFORE_TOPICS, '00 00'), want: undefined, reason: 'null in place of an array' },
  'fields of later versions, null strings, two brokers': {
    answer: bytes(
      '01 07 02 abcd',
      '00000000 03 00000000 02 61 00005cf3 00 00 00000001 02 62 00005cf3 03 7231 01 8001 81 01'.replace(
        '81 01',
        `8101 ${'00'.repeat(129)}`,
      ),
      '00 ffffffff 02 0000 00',
      ID,
    ),
    want: 'uQgcSL1WQpywvMEoQwHFKg',
    reason: 'tags are skipped by their length; what follows the id is not read',
  },
};
for (const [name, { answer, want, reason }] of Object.entries(responses)) {
  await test(`response: ${name}`, async () => {
    assert.equal(await topicIdResponse.parse(await topicIdResponse.decode(answer)), want, reason);
  });
}

await test('response: the throttle time is that of the broker', async () => {
  const answer = bytes(BEFORE_TOPICS.replace('00 00000000', '00 000000fa'), '01 00');
  assert.equal((await topicIdResponse.decode(answer)).clientSideThrottleTime, 250);
});

await test('response: every end within the fields is an error', async () => {
  const answer = bytes(BEFORE_TOPICS, '02 0000', NAME, ID);
  for (let length = 0; length < answer.length; length++)
    await assert.rejects(async () => topicIdResponse.decode(answer.subarray(0, length)), /in the middle of a field/, `${length} bytes`);
});
