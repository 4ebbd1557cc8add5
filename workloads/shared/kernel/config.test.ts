import assert from 'node:assert/strict';
import test from 'node:test';
import { asError } from './errors.ts';
import { baseEnv, ConfigError, count, databaseEnv, flag, httpEnv, kafkaEnv, loadConfig } from './config.ts';

const shape = { ...baseEnv, ...httpEnv, ...kafkaEnv, ...databaseEnv, DEBUG: flag, RECORDS: count(1, 5000, 5000) };
const good = { KAFKA_BROKERS: 'a:9092,b:9093', DATABASE_URL: 'postgresql://ledger@db:6432/ledger', PGPASSWORD: 'x' };

await test('a complete environment gives typed values and defaults', () => {
  const config = loadConfig(shape, { ...good, DEBUG: 'true', LOG_LEVEL: '' });
  assert.deepEqual(config.KAFKA_BROKERS, ['a:9092', 'b:9093']);
  assert.equal(config.DEBUG, true);
  assert.equal(config.KAFKA_SSL, false);
  assert.equal(config.PORT, 8080);
  assert.equal(config.RECORDS, 5000);
  assert.equal(config.LOG_LEVEL, 'info');
});

const wrong: Record<string, { env: NodeJS.ProcessEnv; message: RegExp; reason: string }> = {
  'missing brokers': {
    env: { KAFKA_BROKERS: undefined },
    message: /KAFKA_BROKERS is missing: write a comma list of host:port/,
    reason: 'the message names the variable and what to write',
  },
  'broker without port': {
    env: { KAFKA_BROKERS: 'kafka' },
    message: /KAFKA_BROKERS is "kafka": write a comma list/,
    reason: 'the value is shown',
  },
  'port out of range': { env: { PORT: '70000' }, message: /PORT is "70000"/, reason: 'bounds are checked' },
  'count too large': {
    env: { RECORDS: '5001' },
    message: /RECORDS is "5001": write a whole number from 1 to 5000/,
    reason: 'bounds are named',
  },
  'not a flag': { env: { DEBUG: 'yes' }, message: /DEBUG is "yes": write "true" or "false"/, reason: 'no guessing at truth' },
  'address of another database': {
    env: { DATABASE_URL: 'mysql://db/x' },
    message: /DATABASE_URL is .*: write postgresql:/,
    reason: 'the scheme is checked',
  },
  'sampling ratio': {
    env: { OTEL_TRACES_SAMPLER_ARG: '2' },
    message: /OTEL_TRACES_SAMPLER_ARG is "2": write a sampling ratio/,
    reason: 'ratio',
  },
  'SASL password': { env: { KAFKA_SASL_MECHANISM: 'md5' }, message: /write plain, scram/, reason: 'the choices are listed' },
};

for (const [name, { env, message, reason }] of Object.entries(wrong)) {
  await test(`wrong value: ${name}`, () => {
    assert.throws(
      () => loadConfig(shape, { ...good, ...env }),
      (error: unknown) => {
        assert.ok(error instanceof ConfigError, reason);
        assert.match(error.message, message, reason);
        return true;
      },
    );
  });
}

await test('every wrong variable is reported at once, secrets are not shown', () => {
  assert.throws(
    () => loadConfig({ ...shape, DEBUG_TOKEN: count(1, 2, 1) }, { DEBUG_TOKEN: 'hunter2' }),
    (error: unknown) => {
      const { message } = asError(error);
      assert.match(message, /KAFKA_BROKERS/);
      assert.match(message, /DATABASE_URL/);
      assert.match(message, /DEBUG_TOKEN is \(hidden\)/);
      assert.doesNotMatch(message, /hunter2/);
      return true;
    },
  );
});
