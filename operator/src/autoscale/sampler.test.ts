import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { failureOf } from './sampler.ts';

/** An error as kafkajs throws it: told by its name, by the broker's code in `type`, and by what caused it. */
function kafkaError(name: string, properties: { type?: string; cause?: Error } = {}): Error {
  return Object.assign(new Error('no'), { name: `KafkaJS${name}` }, properties);
}

const retried = (cause: Error) => kafkaError('NumberOfRetriesExceeded', { cause });

describe('sampler', () => {
  const cases: { name: string; error: unknown; reason: string }[] = [
    { name: 'a refused password', error: kafkaError('SASLAuthenticationError'), reason: 'CredentialsRefused' },
    { name: 'a refused password behind retries', error: retried(kafkaError('SASLAuthenticationError')), reason: 'CredentialsRefused' },
    { name: 'a missing right', error: kafkaError('ProtocolError', { type: 'GROUP_AUTHORIZATION_FAILED' }), reason: 'NotAuthorized' },
    { name: 'an unknown topic', error: kafkaError('ProtocolError', { type: 'UNKNOWN_TOPIC_OR_PARTITION' }), reason: 'UnknownTopic' },
    { name: 'a coordinator that moves', error: kafkaError('ProtocolError', { type: 'NOT_COORDINATOR_FOR_GROUP' }), reason: 'BrokerAway' },
    { name: 'a closed port', error: kafkaError('ConnectionError'), reason: 'BrokerAway' },
    { name: 'a broker that is silent', error: retried(kafkaError('RequestTimeoutError')), reason: 'BrokerAway' },
    { name: 'anything else', error: new TypeError('undefined'), reason: 'BrokerAway' },
  ];
  for (const { name, error, reason } of cases) {
    it(`calls ${name} ${reason}`, () => {
      assert.equal(failureOf(error).reason, reason);
    });
  }
});
