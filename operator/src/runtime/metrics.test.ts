import assert from 'node:assert/strict';
import test from 'node:test';
import { Metrics } from './metrics.ts';

await test('a process reports event-loop delay, heap with its limit, garbage collection and CPU', async () => {
  const { body } = await new Metrics({ processMetrics: true }).render();
  const names = [
    'nodejs_eventloop_lag_p99_seconds',
    'nodejs_heap_size_used_bytes',
    'nodejs_heap_size_limit_bytes',
    'process_cpu_seconds_total',
  ];
  for (const name of names) assert.match(body, new RegExp(`^${name}(\\{.*\\})? [\\d.e-]+$`, 'm'));
  assert.match(body, /^# TYPE nodejs_gc_duration_seconds histogram$/m);
});

await test('the latency targets are bounds of the buckets', async () => {
  const metrics = new Metrics();
  metrics.histogram('x_seconds', 'x').observe(1);
  const { body } = await metrics.render();
  for (const target of [0.2, 0.5, 1, 2, 5]) assert.match(body, new RegExp(`^x_seconds_bucket\\{le="${target}"\\} `, 'm'));
});
