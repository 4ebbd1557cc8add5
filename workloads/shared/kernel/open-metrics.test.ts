import assert from 'node:assert/strict';
import test from 'node:test';
import { openMetricsText, prefersOpenMetrics } from './open-metrics.ts';

const PROMETHEUS_3 =
  'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2';

const rows: [string, string | undefined, boolean][] = [
  ['Prometheus', PROMETHEUS_3, true],
  ['a Prometheus with exemplars switched off', 'text/plain;version=0.0.4;q=0.5,*/*;q=0.1', false],
  ['curl', '*/*', false],
  ['a request without the header', undefined, false],
  ['a scraper that prefers text', 'application/openmetrics-text;q=0.1,text/plain;q=0.9', false],
  ['a scraper that refuses OpenMetrics', 'application/openmetrics-text;q=0', false],
  ['a scraper of another version alone', 'application/openmetrics-text;version=0.0.1', false],
  ['a header of nonsense', ';;,q=,=', false],
];
for (const [who, accept, expected] of rows) {
  await test(`${who} ${expected ? 'gets' : 'does not get'} OpenMetrics`, () => assert.equal(prefersOpenMetrics(accept), expected));
}

await test('families, suffixes, bounds, exemplars and escapes are those of OpenMetrics 1.0', () => {
  const exemplar = { labelSet: { trace_id: 'aa', span_id: 'bb' }, value: 0.7, timestamp: 12.5 };
  const text = openMetricsText([
    { name: 'a_total', help: 'a "count"', type: 'counter', samples: [{ labels: { path: 'x"\\\n' }, value: 2 }] },
    {
      name: 'b_seconds',
      help: 'b',
      type: 'histogram',
      samples: [
        { metricName: 'b_seconds_bucket', labels: { le: 1 }, value: 1, exemplar },
        { metricName: 'b_seconds_bucket', labels: { le: '+Inf' }, value: 1, exemplar: null },
        { metricName: 'b_seconds_sum', labels: {}, value: 0.7 },
      ],
    },
    {
      name: 'c',
      help: 'c',
      type: 'gauge',
      samples: [
        { labels: {}, value: NaN },
        { labels: { n: 1 }, value: -Infinity },
      ],
    },
  ]);
  assert.equal(
    text,
    `# TYPE a counter
# HELP a a \\"count\\"
a_total{path="x\\"\\\\\\n"} 2
# TYPE b_seconds histogram
# HELP b_seconds b
b_seconds_bucket{le="1.0"} 1 # {trace_id="aa",span_id="bb"} 0.7 12.5
b_seconds_bucket{le="+Inf"} 1
b_seconds_sum 0.7
# TYPE c gauge
# HELP c c
c NaN
c{n="1"} -Inf
# EOF
`,
  );
});
