import assert from 'node:assert/strict';
import test from 'node:test';
import { isFatal, isTooLarge, withLimit } from './failures.ts';

function named(name: string, fields: object = {}): Error {
  return Object.assign(new Error(name), { name }, fields);
}

const rows: { error: unknown; fatal: boolean; reason: string }[] = [
  { error: named('KafkaJSConnectionError'), fatal: false, reason: 'a broker can come back' },
  { error: named('KafkaJSNumberOfRetriesExceeded'), fatal: false, reason: 'the next client retries' },
  {
    error: named('KafkaJSProtocolError', { type: 'UNKNOWN_TOPIC_OR_PARTITION' }),
    fatal: false,
    reason: 'the topic may be created soon',
  },
  { error: named('KafkaJSSASLAuthenticationError'), fatal: true, reason: 'the credentials must change' },
  { error: named('KafkaJSProtocolError', { type: 'GROUP_AUTHORIZATION_FAILED' }), fatal: true, reason: 'the access rights must change' },
  { error: new Error('gave up', { cause: named('KafkaJSNotImplemented') }), fatal: true, reason: 'the cause counts' },
  { error: 'text', fatal: false, reason: 'an unknown error is retried' },
];
for (const { error, fatal, reason } of rows) {
  await test(`fatal ${fatal}: ${reason}`, () => assert.equal(isFatal(error), fatal, reason));
}

await test('a record above the limit of the topic is recognized, also as the cause of another error', () => {
  const refused = named('KafkaJSProtocolError', { type: 'MESSAGE_TOO_LARGE' });
  assert.equal(isTooLarge(refused), true);
  assert.equal(isTooLarge(new Error('gave up', { cause: refused })), true);
  assert.equal(isTooLarge(named('KafkaJSProtocolError', { type: 'UNKNOWN' })), false);
});

await test('withLimit rejects work that takes too long and returns the result of other work', async () => {
  assert.equal(await withLimit(Promise.resolve(1), 1000), 1);
  await assert.rejects(withLimit(new Promise(() => undefined), 5), /not finished after 5 ms/);
});
