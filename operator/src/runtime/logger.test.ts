import assert from 'node:assert/strict';
import test from 'node:test';
import { createLogger } from './logger.ts';

const SECRET = 'hunter2-hunter2-hunter2';

const rows: [string, object, string][] = [
  ['a field', { password: SECRET }, ''],
  ['a field of a field', { sasl: { mechanism: 'plain', password: `with "quotes" ${SECRET}` } }, ''],
  ['headers', { headers: { authorization: `Bearer ${SECRET}`, 'x-api-key': SECRET } }, ''],
  ['an error', { error: new Error(`connect postgresql://admin:${SECRET}@db:5432/x`, { cause: new Error(`Bearer ${SECRET}`) }) }, ''],
  ['a private key', { pem: `-----BEGIN PRIVATE KEY-----\n${SECRET}\n-----END PRIVATE KEY-----` }, ''],
  ['the message', {}, `refused: password=${SECRET}`],
];
for (const [what, fields, message] of rows) {
  await test(`a credential in ${what} is not in the log, and the record stays JSON with its other fields`, () => {
    const lines: string[] = [];
    createLogger({}, { write: (line) => void lines.push(line) }).info(
      { ...fields, secret: 'ns/demo-x', kind: 'Secret', platform: 'demo' },
      message,
    );
    const record = JSON.parse(lines.join('')) as Record<string, unknown>;
    assert.ok(!lines.join('').includes(SECRET), lines.join(''));
    assert.deepEqual([record['platform'], record['kind'], record['level']], ['demo', 'Secret', 'info']);
  });
}
