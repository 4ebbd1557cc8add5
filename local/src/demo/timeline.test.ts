import assert from 'node:assert/strict';
import { test } from 'node:test';
import { appliedRate, formatSample, peakRate, scaleActions, worstLag, type TimelineSample } from './timeline.ts';

const samples: TimelineSample[] = [
  { at: 0, lag: 0, applied: 0, wanted: 1, ready: 1 },
  { at: 2, lag: 5000, applied: 1000, wanted: 1, ready: 1 },
  { at: 4, lag: undefined, applied: 4000, wanted: 3, ready: 1 },
  { at: 6, lag: 100, applied: 10_000, wanted: 3, ready: 3 },
  { at: 8, lag: 0, applied: 10_100, wanted: 1, ready: 3 },
];

test('every change of the wanted replicas is a scale action', () => {
  assert.deepEqual(scaleActions(samples), [
    { at: 4, from: 1, to: 3 },
    { at: 8, from: 3, to: 1 },
  ]);
  assert.deepEqual(scaleActions([]), []);
});

test('rates are records over seconds between samples', () => {
  assert.equal(appliedRate(samples, 2), 50);
  assert.equal(appliedRate(samples.slice(0, 1), 2), 0);
  assert.equal(peakRate(samples, 2), 3000);
});

test('the worst lag passes over samples that could not be read', () => {
  assert.equal(worstLag(samples), 5000);
});

test('a line shows a lag that could not be read as unknown, never as zero', () => {
  const line = formatSample(samples.slice(0, 3), 5000);
  assert.match(line, /lag\s+unknown/);
  assert.match(line, /replicas 1->3 ▮▯▯/);
});

test('the bar is full at the scale and does not run over', () => {
  const over: TimelineSample[] = [{ at: 1, lag: 9999, applied: 0, wanted: 1, ready: 1 }];
  assert.equal(formatSample(over, 5000).match(/█/g)?.length, 32);
});
