import assert from 'node:assert/strict';
import test from 'node:test';
import { arrayText } from './store.ts';

await test('an account called null is text in an array literal, not the absence of a value', () => {
  assert.equal(arrayText(['acc-1', 'null', 'NULL', 'nullable']), '{acc-1,"null","NULL",nullable}');
});
