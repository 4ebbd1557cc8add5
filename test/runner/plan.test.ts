import assert from 'node:assert/strict';
import { test } from 'node:test';
import { order, serialReason, shuffled } from './plan.ts';

test('a comment line marks a file that runs alone, with the reason', () => {
  const reason = 'it measures the takeover.';
  for (const source of [
    `// Runs alone: ${reason}\nimport x`,
    `/**\n * A test.\n * Runs alone: ${reason}\n */`,
    `/** Runs alone: ${reason} */`,
  ]) {
    assert.equal(serialReason(source), reason);
  }
  assert.equal(serialReason(`const text = 'Runs alone: never';`), undefined);
});

test('files that are new or slow start first, files that measure time come last', () => {
  const plan = (file: string, serial?: string) => ({ file, serial });
  const plans = [plan('fast'), plan('measures', 'time'), plan('slow'), plan('new-a'), plan('new-b')];
  assert.deepEqual(order(plans, { fast: 1, slow: 90, measures: 300 }), {
    together: ['new-a', 'new-b', 'slow', 'fast'],
    alone: ['measures'],
  });
});

test('a seed decides the order: the same one twice, another one for another seed', () => {
  const files = Array.from({ length: 20 }, (_value, index) => `file-${index}`);
  const [one, again, other] = [shuffled(files, '1'), shuffled(files.toReversed(), '1'), shuffled(files, '2')];
  assert.deepEqual(again, one);
  assert.notDeepEqual(other, one);
  assert.deepEqual(one.toSorted(), files.toSorted());
});
