import assert from 'node:assert/strict';
import { test } from 'node:test';
import { arrivals, firstScaleUp, podSeconds, recordChart, recordPage, type DemoRecord } from './record.ts';
import type { TimelineSample } from './timeline.ts';

const samples: TimelineSample[] = [
  { at: 0, lag: 0, applied: 0, wanted: 1, ready: 1 },
  { at: 2, lag: 5000, applied: 1000, wanted: 1, ready: 1 },
  { at: 4, lag: undefined, applied: 1000, wanted: 3, ready: 1 },
  { at: 6, lag: 100, applied: 11_900, wanted: 3, ready: 3 },
  { at: 8, lag: 0, applied: 12_000, wanted: 1, ready: 3 },
];
const record: DemoRecord = {
  samples,
  delays: [
    { at: 1, delaySeconds: 0 },
    { at: 6, delaySeconds: 4 },
  ],
  maxDelaySeconds: 30,
};

test('what arrived is what is applied and what waits; a lag that is not known is passed over', () => {
  assert.deepEqual(arrivals(samples), [
    { at: 2, rate: 3000 },
    { at: 6, rate: 1500 },
    { at: 8, rate: 0 },
  ]);
  assert.deepEqual(arrivals([]), []);
});

test('pods count for as long as they are asked for', () => {
  assert.equal(podSeconds(samples), 2 + 2 + 6 + 6);
});

test('the first scale-up counts from the first arrivals', () => {
  assert.equal(firstScaleUp(samples), 2);
  assert.equal(firstScaleUp(samples.slice(0, 2)), undefined);
});

test('the chart has its four panels over one axis', () => {
  const svg = recordChart(record);
  for (const label of ['arrivals, messages/s', 'lag, messages', 'delay, s', 'replicas']) assert.ok(svg.includes(`>${label}<`), label);
  assert.equal(svg.match(/<polyline /g)?.length, 6);
  assert.equal(svg.match(/stroke-dasharray/g)?.length, 2);
  assert.equal(svg.match(/>8 s</g)?.length, 4);
  // The delay of 4 s stands at second 6 of 8, low under the goal of 30 s.
  assert.match(svg, /points="166\.5,\d+\.\d 679\.0,\d+\.\d"/);
});

test('the page reports the measurements, and that the decisions of the operator are not available', () => {
  const page = recordPage(record, 'demo-run.svg', '2026-01-02');
  for (const line of [
    '| events | 12,000 |',
    '| worst lag | 5,000 |',
    '| longest delay | 4 s (maxDelay 30 s) |',
    '| replicas | 1 -> 3 at 4 s, 3 -> 1 at 8 s |',
  ])
    assert.ok(page.includes(line), `${line}\n${page}`);
  assert.match(recordPage({ ...record, delays: [] }, 'a.svg', ''), /longest delay \| not known/);
});
