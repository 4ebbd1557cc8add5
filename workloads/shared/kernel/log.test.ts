import assert from 'node:assert/strict';
import { test } from 'node:test';
import { trace } from '@opentelemetry/api';
import { createLogger } from './log.ts';
import { redact, redactRecord, secretsOf } from './redact.ts';
import { Metrics } from './metrics.ts';
import { inSpan, startTelemetry } from './telemetry.ts';

const SECRET = 'a-key-of-thirty-two-characters-00';
const JWT = 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbm5hIn0.c2lnbmF0dXJl';
const PEM = `-----BEGIN PRIVATE KEY-----\nMIIE${SECRET}\n-----END PRIVATE KEY-----`;
const identity = { service: 'test', platform: 'test', namespace: 'test', pod: 'test' };

/** The one line that a call writes, and the record in it. */
function written(write: (log: ReturnType<typeof createLogger>) => void): { line: string; record: Record<string, unknown> } {
  const lines: string[] = [];
  write(createLogger(identity, 'info', { write: (line) => void lines.push(line) }));
  const [line = '', ...others] = lines;
  assert.deepEqual(others, []);
  return { line, record: JSON.parse(line) as Record<string, unknown> };
}

const fields: [string, object][] = [
  ['the header Authorization', { headers: { authorization: `Bearer ${SECRET}` } }],
  ['a header with several values', { headers: { Authorization: [SECRET, SECRET] } }],
  ['the header X-API-Key', { headers: { 'x-api-key': SECRET } }],
  ['a cookie', { headers: { 'set-cookie': `session=${SECRET}` } }],
  [
    'a variable',
    { PGPASSWORD: SECRET, LEDGER_API_KEY: SECRET, API_KEY_OTHER: SECRET, PGPASSWORD_FORMER: SECRET, EXPORTER_PASSWORD: SECRET },
  ],
  ['settings of a Kafka client', { sasl: { mechanism: 'plain', username: 'u', password: SECRET } }],
  ['a password with quotes', { password: `"${SECRET}\\"` }],
  ['a number as password', { settings: { password: 12345678901 } }],
  ['an address of a database', { DATABASE_URL: `postgresql://ledger:${SECRET}@db:5432/ledger` }],
  ['an address in any field', { target: `redis://:${SECRET}@cache:6379/0` }],
  ['a connection string', { dsn: `host=db user=ledger password=${SECRET} dbname=ledger` }],
  ['an address with a token', { url: `/callback?state=1&access_token=${SECRET}&x=1` }],
  ['an address with a key', { url: `/x?api_key=${SECRET}` }],
  ['a JWT', { received: `token ${JWT}` }],
  ['JSON in a text', { body: JSON.stringify({ client: 'x', client_secret: SECRET }) }],
  ['a private key', { file: PEM }],
  ['an error', { error: new Error(`no answer from https://user:${SECRET}@broker:9092`, { cause: new Error(`Basic ${SECRET}`) }) }],
  ['an error of a statement', { error: Object.assign(new Error('refused'), { detail: `Key (e)=(x) password=${SECRET}` }) }],
  ['personal data', { customer: { firstName: SECRET, lastName: SECRET, email: SECRET, phone: SECRET, iban: SECRET, birth_date: SECRET } }],
  ['an address', { address: { line1: SECRET, line2: SECRET, postcode: SECRET, street: SECRET } }],
  ['a row that a constraint refuses', { error: Object.assign(new Error('x'), { detail: `Failing row contains (1, "q", ${SECRET}).` }) }],
  ['a telephone number in a text', { note: 'call +12345678901 back' }],
];
for (const [what, given] of fields) {
  await test(`a record that is given ${what} does not show it, and keeps its other fields`, () => {
    const { line, record } = written((log) => log.info({ ...given, kept: 'a field' }, 'a record'));
    assert.equal(record['kept'], 'a field');
    assert.equal(record['message'], 'a record');
    for (const part of [SECRET, JWT, 'c2lnbmF0dXJl', '12345678901']) assert.ok(!line.includes(part), line);
    assert.match(line, /\[redacted\]/);
  });
}

await test('a message and the fields of a child logger are redacted too', () => {
  const { line } = written((log) => log.child({ apiKey: SECRET }).info(`mail of anna.b@example.com, Bearer ${SECRET}`));
  for (const part of [SECRET, 'anna.b', 'example.com']) assert.ok(!line.includes(part), line);
});

await test('the secrets of the environment are removed wherever they stand, in any form', () => {
  const secrets = secretsOf({ PGPASSWORD: 'pass "word"/1', API_KEYS_FILE: '/etc/keys.json', TOKEN_X: 'short', PATH: '/usr/local/bin' });
  const value = 'pass "word"/1';
  const line = JSON.stringify({
    a: value,
    b: encodeURIComponent(value),
    c: Buffer.from(value).toString('base64'),
    d: '/etc/keys.json short',
  });
  const redacted = JSON.parse(redactRecord(line, secrets)) as Record<string, string>;
  assert.deepEqual(redacted, { a: '[redacted]', b: '[redacted]', c: '[redacted]', d: '/etc/keys.json short' });
});

await test('what is no secret stays', () => {
  const texts = [
    'positions 3@120, 4@121 moved',
    'at file:///srv/node_modules/fastify@5.12.8/lib/reply.js:12:3',
    'GET http://ledger:8080/api/v1/accounts?after=acc-1&limit=5',
    'records sent to interest.transaction.v1.dlq',
    'positions +12, at 2026-01-31T12:00:00+02:00, 1e+21, pipeline1',
    'the key of the gateway is not accepted; a token is missing',
  ];
  for (const text of texts) assert.equal(redact(text), text);
  const line = '{"code":"unauthorized","partition":3,"account_id":"acc-0000001","keys":2}';
  assert.equal(redactRecord(line), line);
});

await test('a hostile text of 64 KiB takes milliseconds', () => {
  const texts = ['a.', 'a@', 'eyJ-', '://', '&token', '"password', 'x', '\\"token', 'password'].map((piece) =>
    piece.repeat(65_536 / piece.length),
  );
  for (const text of texts) {
    const line = JSON.stringify({ text });
    const startedAt = performance.now();
    JSON.parse(redactRecord(line));
    const ms = performance.now() - startedAt;
    assert.ok(ms < 1_000, `${text.slice(0, 12)}: ${ms} ms`);
  }
});

await test('a record inside a span has its ids, one outside has none', async () => {
  trace.disable();
  const stop = startTelemetry({ serviceName: 'test', version: '0', resource: {}, ratio: 0 }, new Metrics({}));
  const { inside, ids } = await inSpan('work', {}, async (span) => ({
    inside: written((log) => log.info('inside')).record,
    ids: span.spanContext(),
  }));
  assert.deepEqual([inside['trace_id'], inside['span_id']], [ids.traceId, ids.spanId]);
  assert.equal('trace_id' in written((log) => log.info('outside')).record, false);
  await stop();
});
