/** What an idle connection to a real broker costs. */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { startServices } from '../../../../local/src/services/index.ts';
import { createLogger } from '../log.ts';
import { createKafka } from './client.ts';

interface RequestQueue {
  checkPendingRequests: (this: RequestQueue) => void;
}

const { prototype } = createRequire(import.meta.url)('kafkajs/src/network/requestQueue/index.js') as { prototype: RequestQueue };

test('a connection without requests does nothing', { timeout: 120_000 }, async () => {
  const services = await startServices({ kafka: true });
  const log = createLogger({ service: 'test', platform: 'test', namespace: 'test', pod: 'test' }, 'silent');
  const admin = createKafka({ KAFKA_BROKERS: services.kafka.brokers, KAFKA_SSL: false }, 'idle', log).admin();
  const { checkPendingRequests: check } = prototype;
  let checks = 0;
  prototype.checkPendingRequests = function counted() {
    checks += 1;
    check.call(this);
  };
  try {
    await admin.connect();
    await admin.listTopics();
    assert.ok(checks > 0, 'each answer is followed by a check');
    checks = 0;
    await delay(500);
    assert.equal(checks, 0, 'checks without a request');
    await Promise.all(Array.from({ length: 20 }, () => admin.listTopics()));
  } finally {
    prototype.checkPendingRequests = check;
    await admin.disconnect();
    await services.stop();
  }
});
