import assert from 'node:assert/strict';
import { test } from 'node:test';
import { insideCommand } from './process.ts';
import { kafkaProperties, pgbouncerSettings } from './index.ts';

test('Kafka listens on loopback alone', () => {
  const settings = new Map(
    kafkaProperties(19_092, 19_093)
      .trim()
      .split('\n')
      .map((line): [string, string] => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
  assert.equal(settings.get('listeners'), 'PLAINTEXT://127.0.0.1:19092,CONTROLLER://127.0.0.1:19093');
  assert.equal(settings.get('controller.quorum.voters'), '0@127.0.0.1:19093');
});

test('PgBouncer has the pool settings of the platform', () => {
  const settings = pgbouncerSettings(15_432, 16_432);
  for (const line of [
    'pool_mode = transaction',
    'max_client_conn = 100',
    'default_pool_size = 20',
    'min_pool_size = 5',
    'reserve_pool_size = 5',
  ]) {
    assert.ok(settings.includes(`\n${line}\n`), line);
  }
  assert.match(settings, /^\* = host=127\.0\.0\.1 port=15432$/m);
});

test('a program inside a root gets its arguments untouched', () => {
  const command = insideCommand({ root: '/root fs', data: '/data dir', uid: 999 }, ['redis-server', '--save', '']);
  assert.deepEqual(command.slice(-6), ['/root fs', '/data dir', '999', 'redis-server', '--save', '']);
});
