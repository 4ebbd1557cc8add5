import assert from 'node:assert/strict';
import test from 'node:test';
import { backOff, isFatal, withLimit } from './failures.ts';

function named(name: string, fields: object = {}): Error {
  return Object.assign(new Error(name), { name }, fields);
}

const rows: { error: unknown; fatal: boolean; reason: string }[] = [
  { error: named('KafkaJSConnectionError'), fatal: false, reason: 'a broker that is away comes back' },
  { error: named('KafkaJSNumberOfRetriesExceeded'), fatal: false, reason: 'the next client tries again' },
  {
    error: named('KafkaJSProtocolError', { type: 'UNKNOWN_TOPIC_OR_PARTITION' }),
    fatal: false,
    reason: 'the topic may be about to be made',
  },
  { error: named('KafkaJSSASLAuthenticationError'), fatal: true, reason: 'the credentials must change' },
  { error: named('KafkaJSProtocolError', { type: 'GROUP_AUTHORIZATION_FAILED' }), fatal: true, reason: 'the rights must change' },
  { error: new Error('gave up', { cause: named('KafkaJSNotImplemented') }), fatal: true, reason: 'the cause counts' },
  { error: 'text', fatal: false, reason: 'whatever it is, trying again is the safe side' },
];
for (const { error, fatal, reason } of rows) {
  await test(`fatal ${fatal}: ${reason}`, () => assert.equal(isFatal(error), fatal, reason));
}

await test('the pause doubles up to five seconds', () => {
  for (const [failures, longest] of [
    [1, 250],
    [2, 500],
    [6, 5_000],
    [50, 5_000],
  ] as const) {
    const delay = backOff(failures);
    assert.ok(delay <= longest && delay >= longest * 0.8 - 1, `${failures}: ${delay}`);
  }
});

await test('a limit rejects what takes too long, and passes on what does not', async () => {
  assert.equal(await withLimit(Promise.resolve(1), 1000), 1);
  await assert.rejects(withLimit(new Promise(() => undefined), 5), /not finished after 5 ms/);
});
