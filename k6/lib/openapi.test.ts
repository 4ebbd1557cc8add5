import assert from 'node:assert/strict';
import { test } from 'node:test';
import { operationsOf, undocumented, type OpenApi, type Operation } from './openapi.ts';
import { violations, type Schema } from './schema.ts';

const ACCOUNT: Schema = {
  type: 'object',
  properties: { id: { type: 'string', pattern: '^[a-z0-9-]+$' }, days: { type: 'integer', minimum: 1, maximum: 366 } },
  required: ['id'],
  additionalProperties: false,
};

const VALUES: [reason: string, schema: Schema, value: unknown, expected: string[]][] = [
  ['a value that fits', ACCOUNT, { id: 'acc-1', days: 3 }, []],
  ['a field is missing', ACCOUNT, { days: 3 }, ['body.id is missing']],
  ['a field of another type', ACCOUNT, { id: 7 }, ['body.id is number, not string']],
  ['a string that does not match', ACCOUNT, { id: 'A B' }, ['body.id does not match ^[a-z0-9-]+$']],
  ['a fraction for an integer', ACCOUNT, { id: 'a', days: 1.5 }, ['body.days is number, not integer']],
  ['a number below the minimum', ACCOUNT, { id: 'a', days: 0 }, ['body.days is less than 1']],
  ['a number above the maximum', ACCOUNT, { id: 'a', days: 367 }, ['body.days is greater than 366']],
  ['a string that is too short', { minLength: 2 }, 'é', ['body has less than 2 characters']],
  ['a string that is too long', { maxLength: 1 }, 'ab', ['body has more than 1 characters']],
  ['the name of a field', { propertyNames: { enum: ['a'] } }, { a: 1, b: 2 }, ['the name body.b is "b", not one of ["a"]']],
  ['a field that is not in the schema', ACCOUNT, { id: 'a', note: '' }, ['body.note is not in the schema']],
  ['a list for an object', ACCOUNT, [], ['body is array, not object']],
  ['items of a list', { type: 'array', items: { type: 'string' } }, ['a', 1], ['body[1] is number, not string']],
  ['null where it is allowed', { type: ['string', 'null'] }, null, []],
  ['null where it is not allowed', { type: 'string' }, null, ['body is null, not string']],
  ['a value of an enumeration', { enum: ['a', 'b'] }, 'c', ['body is "c", not one of ["a","b"]']],
  ['a constant', { const: true }, false, ['body is false, not true']],
  ['any of two schemas', { anyOf: [{ type: 'string' }, { type: 'null' }] }, 1, ['body fits none of 2 schemas']],
  ['one of two schemas', { oneOf: [{ type: 'number' }, { type: 'integer' }] }, 1, ['body fits 2 of 2 schemas, not one']],
  ['all of two schemas', { allOf: [{ type: 'number' }, { minimum: 2 }] }, 1, ['body is less than 2']],
  ['fields of a record', { additionalProperties: { type: 'string' } }, { a: 1 }, ['body.a is number, not string']],
  ['a keyword that is not known', { multipleOf: 2 }, 4, ['body: the keyword multipleOf of the schema is not supported']],
];

for (const [reason, schema, value, expected] of VALUES)
  test(`schema: ${reason}`, () => {
    assert.deepEqual(violations(schema, value), expected);
  });

const operation: Operation = {
  responses: {
    200: { content: { 'application/json': { schema: ACCOUNT } } },
    204: {},
    404: { content: { 'application/problem+json': { schema: { type: 'object' } } } },
  },
};

const ANSWERS: [reason: string, status: number, type: string, body: unknown, expected: string[]][] = [
  ['as documented', 200, 'application/json; charset=utf-8', { id: 'a' }, []],
  ['another documented status', 404, 'application/problem+json; charset=utf-8', {}, []],
  ['a status that is not documented', 500, 'application/json', {}, ['status 500 is not documented']],
  ['another content type', 404, 'application/json', {}, ['content type application/json of status 404 is not documented']],
  ['a deletion', 204, '', undefined, []],
  ['a deletion with a body', 204, 'application/json', {}, ['status 204 has a content type: application/json']],
  ['no content type', 200, '', { id: 'a' }, ['content type  of status 200 is not documented']],
  ['a body that does not fit', 200, 'application/json', {}, ['body.id is missing']],
];

for (const [reason, status, type, body, expected] of ANSWERS)
  test(`answer: ${reason}`, () => {
    assert.deepEqual(undocumented(operation, status, type, body), expected);
  });

test('operations are named by method and path', () => {
  const document: OpenApi = { paths: { '/a/{id}': { get: operation, parameters: { responses: {} } }, '/b': { post: operation } } };
  assert.deepEqual([...operationsOf(document).keys()], ['GET /a/{id}', 'POST /b']);
});
