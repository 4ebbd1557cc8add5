import assert from 'node:assert/strict';
import test from 'node:test';
import { LATENCY_BUCKETS, Metrics, WORK_BUCKETS } from './metrics.ts';
import { contextFrom, inSpan, startTelemetry } from './telemetry.ts';

const OPEN_METRICS = 'application/openmetrics-text;version=1.0.0';
/** Seconds: the latency targets of the platform's APIs, queries and messages. */
const TARGETS = [0.2, 0.5, 1, 2, 5];

const telemetry = { serviceName: 'test', version: '0', resource: {}, ratio: 1 };
const stop = startTelemetry(telemetry, new Metrics({}));

await test('a bucket names the sampled span of its last measurement, in OpenMetrics alone', async () => {
  const metrics = new Metrics({ service: 'test' });
  const seconds = metrics.histogram('work_seconds', 'Work', [0.1, 1], ['kind']);
  const ids = await inSpan('work', {}, async (span) => {
    seconds.observe({ kind: 'x' }, 0.5);
    seconds.observe({ kind: 'x' }, 7);
    return span.spanContext();
  });
  const open = await metrics.expose(OPEN_METRICS);
  assert.match(open.contentType, /^application\/openmetrics-text; version=1\.0\.0/);
  const exemplar = `# {trace_id="${ids.traceId}",span_id="${ids.spanId}"}`;
  const line = (le: string) => open.body.split('\n').find((one) => one.startsWith(`work_seconds_bucket{le="${le}"`)) ?? '';
  assert.ok(line('1.0').includes(`} 1 ${exemplar} 0.5 `), line('1.0'));
  assert.ok(line('+Inf').includes(`} 2 ${exemplar} 7 `), line('+Inf'));
  assert.doesNotMatch(line('0.1'), /#/, 'nothing was measured in this bucket');
  const classic = await metrics.expose('*/*');
  assert.match(classic.contentType, /^text\/plain/);
  assert.match(classic.body, /^work_seconds_bucket\{le="1",service="test",kind="x"\} 1$/m);
  assert.doesNotMatch(classic.body, /trace_id/);
});

await test('a span that is not sampled leaves no exemplar, nor does a measurement outside of spans', async () => {
  const metrics = new Metrics({});
  const seconds = metrics.histogram('work_seconds', 'Work', [1]);
  seconds.observe({}, 0.5);
  const parent = contextFrom({ traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00' });
  await inSpan('work', { parent }, async () => seconds.observe({}, 0.6));
  const { body } = await metrics.expose(OPEN_METRICS);
  assert.match(body, /^work_seconds_count 2$/m);
  assert.doesNotMatch(body, /trace_id/);
});

await test('a counter has the same name in both formats, whichever was asked for first', async () => {
  const metrics = new Metrics({});
  metrics.counter('things_total', 'Things', ['kind'], [{ kind: 'a' }]).inc({ kind: 'a' }, 3);
  for (const accept of [OPEN_METRICS, undefined, OPEN_METRICS, undefined]) {
    const { body } = await metrics.expose(accept);
    assert.match(body, /^things_total\{kind="a"\} 3$/m, String(accept));
    assert.match(body, /^process_cpu_seconds_total \d/m);
    assert.match(body, accept === undefined ? /^# TYPE things_total counter$/m : /^# TYPE things counter$/m);
  }
});

await test('the name of a counter must end in _total', () => {
  assert.throws(() => new Metrics({}).counter('things', 'Things'), /things must end in _total/);
});

await test('every latency target is a bound of the buckets', () => {
  for (const buckets of [LATENCY_BUCKETS, WORK_BUCKETS]) {
    for (const target of TARGETS) assert.ok(buckets.includes(target), `${target} s in ${buckets.join()}`);
  }
});

await stop();
