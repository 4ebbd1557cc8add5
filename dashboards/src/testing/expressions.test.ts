import assert from 'node:assert/strict';
import { test } from 'node:test';
import { filled, selectorsOf } from './expressions.ts';

await test('the selectors of an expression are found, with a name, a recorded name or a pattern of names', () => {
  const expr = 'sum by (job) (rate({platform="a",__name__=~"x(_total)?"}[5m])) / up{job="b"} > service:http:rate{c="d"} + e:f:g';
  assert.deepEqual(selectorsOf(expr), ['{platform="a",__name__=~"x(_total)?"}', 'up{job="b"}', 'service:http:rate{c="d"}', 'e:f:g']);
});

await test('the variables of a dashboard are filled in, and one that is unknown is an error', () => {
  const selection = { namespace: 'bss', platform: 'demo', rateInterval: '2m', auto: '15s' };
  const expr = '{a="$namespace",b="$platform",c=~"$service"} |~ `(?i)$search` [$__auto] [$__rate_interval] [$__range]';
  assert.equal(filled(expr, selection), '{a="bss",b="demo",c=~".+"} |~ `(?i)` [15s] [2m] [30m]');
  assert.equal(filled('[$__auto]', { namespace: 'bss', platform: 'demo', rateInterval: '2m' }), '[2m]');
  assert.throws(() => filled('$namespaces', selection), /\$namespaces/);
});
