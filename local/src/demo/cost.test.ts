import assert from 'node:assert/strict';
import { test } from 'node:test';
import { costSection, joined } from './cost.ts';

const sample = (component: string, value: number) => ({ labels: { component }, value });

void test('memory and processors are joined by component; a part without memory is left out', () => {
  const parts = joined(
    [sample('loki', 100), sample('gateway', 5), sample('prometheus', 200)],
    [sample('prometheus', 0.5), sample('tempo', 1)],
  );
  assert.deepEqual(parts, [
    { component: 'prometheus', memoryBytes: 200, cores: 0.5 },
    { component: 'loki', memoryBytes: 100, cores: 0 },
  ]);
});

void test('the section has a row for each part and their sum, and leaves out what is not known', () => {
  const section = costSection(
    {
      seconds: 61.4,
      parts: [
        { component: 'prometheus', memoryBytes: 209_715_200, cores: 0.25 },
        { component: 'loki', memoryBytes: 104_857_600, cores: 0.125 },
      ],
      series: 12_345.2,
      samplesPerSecond: undefined,
      logBytes: 3_145_728,
      spans: 10,
    },
    1_073_741_824,
  );
  assert.match(section, /61 s of this run.*all pods at the end: 1,024 MiB/);
  assert.match(section, /\| prometheus \| 200 \| 0\.250 \|\n\| loki \| 100 \| 0\.125 \|\n\| together \| 300 \| 0\.375 \|/);
  assert.match(section, /series in Prometheus \| 12,345 \|\n\| log lines that Loki received \| 3,072 KiB \|\n\| spans/);
  assert.doesNotMatch(section, /samples per second/);
});
