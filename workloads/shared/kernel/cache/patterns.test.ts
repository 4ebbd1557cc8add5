import assert from 'node:assert/strict';
import { test } from 'node:test';
import { literalHead, matcher, mayMatch, prefixPattern } from './patterns.ts';

const MATCHES: [string, string, boolean, string][] = [
  ['orders:*', 'orders:list:1', true, 'a star matches any text'],
  ['orders:*', 'order:1', false, 'the text before a star counts'],
  ['*:orders', 'customer:1:orders', true, 'a star in front'],
  ['*:orders', 'customer:1:orders:2', false, 'the whole key has to match'],
  ['order:?', 'order:1', true, 'a question mark is one character'],
  ['order:?', 'order:12', false, 'and no more than one'],
  [String.raw`a\*b`, 'a*b', true, 'a backslash makes a star literal'],
  [String.raw`a\*b`, 'axb', false, 'and only literal'],
  ['a.b', 'axb', false, 'a dot is a dot'],
  ['a+(b)[c]{1}|$^/', 'a+(b)[c]{1}|$^/', true, 'no character of expressions has a meaning'],
  ['a*', 'a\nb', true, 'a line break is a character'],
];

for (const [pattern, key, expected, reason] of MATCHES)
  await test(`${reason}: ${JSON.stringify(pattern)} on ${JSON.stringify(key)}`, () => assert.equal(matcher(pattern)(key), expected));

await test('a prefix becomes a pattern that takes its characters literally', () => {
  assert.equal(prefixPattern('a*?\\:'), String.raw`a\*\?\\:*`);
  assert.ok(matcher(prefixPattern('a*:'))('a*:b'));
  assert.ok(!matcher(prefixPattern('a*:'))('ab:b'));
});

await test('a pattern may match keys of a prefix when one head begins with the other', () => {
  assert.equal(literalHead('customer:*:orders'), 'customer:');
  assert.ok(mayMatch(literalHead('customer:*:orders'), 'customer:'));
  assert.ok(mayMatch(literalHead('*'), 'order:'));
  assert.ok(mayMatch(literalHead('order:12*'), 'order:'));
  assert.ok(!mayMatch(literalHead('orders:*'), 'order:'));
});
