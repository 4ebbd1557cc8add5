/** What the previews look like, from answers as the servers give them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DashboardFile } from '../testing/expressions.ts';
import { dashboardFiles } from '../testing/expressions.ts';
import { named, NOTHING, type Data, type Series } from './data.ts';
import { boxOf, PAGE_WIDTH, pageHeight } from './layout.ts';
import { NOTE, page, type Answer } from './page.ts';
import type { PreviewPanel } from './panel.ts';
import { formatted } from './units.ts';

const RANGE = { start: 1_700_000_000, end: 1_700_001_800, step: 15 };
const SELECTION = { namespace: 'bss', platform: 'demo', rateInterval: '1m' };
const BOARDS = await dashboardFiles<PreviewPanel>();

function series(name: string, value: (step: number) => number, labels: Record<string, string> = {}): Series {
  const points = Array.from({ length: 121 }, (_, step) => [RANGE.start + step * RANGE.step, value(step)] as const);
  return { name, labels, points };
}

/** Something for each kind of panel. */
function sample(type: string): Data {
  if (type === 'logs')
    return {
      ...NOTHING,
      lines: [{ time: RANGE.start, text: '{"level":"error","msg":"<no> & \u0007"}', labels: { level: 'error', service_name: 'ledger' } }],
    };
  if (type === 'heatmap')
    return { ...NOTHING, series: ['0.1', '1', '+Inf'].map((le, index) => series(le, () => 10 * (index + 1), { le })) };
  return {
    ...NOTHING,
    series: [series('gateway <p95>', (step) => Math.sin(step / 9) + 1, { service: 'gateway' })],
    exemplars: [[RANGE.start + 60, 1.5]],
  };
}

function board(panel: Partial<PreviewPanel>): DashboardFile<PreviewPanel> {
  const gridPos = { x: 0, y: 0, w: 12, h: 8 };
  return {
    uid: 'one',
    title: 'One',
    description: 'One panel.',
    panels: [{ title: 'Panel', type: 'timeseries', gridPos, ...panel }],
    annotations: { list: [] },
    templating: { list: [] },
  };
}

const drawn = (panel: Partial<PreviewPanel>, answer: Answer) => page(board(panel), [answer], SELECTION, RANGE);

/** Whether an SVG is well-formed as far as tags go, and has no coordinate that is not a number. */
function assertSound(svg: string, place: string): void {
  const open: string[] = [];
  for (const [tag, close, name = '', self] of svg.matchAll(/<(\/?)([a-zA-Z][\w:]*)[^<>]*?(\/?)>/g)) {
    if (close === '/') assert.equal(open.pop(), name, `${place}: ${tag}`);
    else if (self !== '/') open.push(name);
  }
  assert.deepEqual(open, [], place);
  assert.doesNotMatch(svg, /="[^"]*(NaN|undefined|Infinity)/, place);
}

await test('panels stand in the grid of 24 columns, beside and below each other', () => {
  const [left, right, lower] = [
    { x: 0, y: 1, w: 12, h: 8 },
    { x: 12, y: 1, w: 12, h: 8 },
    { x: 0, y: 9, w: 24, h: 4 },
  ].map(boxOf);
  assert.ok(left && right && lower);
  assert.ok(left.x + left.width < right.x && left.y === right.y && left.width === right.width);
  assert.ok(left.y + left.height < lower.y);
  assert.equal(Math.round(lower.x + lower.width), PAGE_WIDTH - left.x);
  assert.ok(pageHeight([{ x: 0, y: 9, w: 24, h: 4 }]) > lower.y + lower.height);
});

await test('a value has three significant digits in its unit', () => {
  const values: [number, string][] = [
    [0.0123, 's'],
    [90, 's'],
    [0, 's'],
    [1536, 'bytes'],
    [2_500_000, 'Bps'],
    [0.9994, 'percentunit'],
    [6667, 'ops'],
    [-1234, 'short'],
    [Number.NaN, 'short'],
    [Number.POSITIVE_INFINITY, 's'],
    [7, 'apples'],
  ];
  assert.deepEqual(
    values.map(([value, unit]) => formatted(value, unit)),
    ['12.3 ms', '1.5 min', '0 s', '1.5 KiB', '2.38 MiB/s', '99.9 %', '6.67 K/s', '-1.23 K', '–', '+∞', '7 apples'],
  );
});

await test('a series is named by its legend, or by its labels', () => {
  assert.equal(named('{{service}} {{ quantile }}', { service: 'ledger', quantile: 'p95' }), 'ledger p95');
  assert.equal(named('', { service: 'ledger', pod: 'a' }), 'ledger a');
});

await test('every dashboard is drawn with data, without data and with a failed query, and says that it is a preview', () => {
  for (const one of BOARDS) {
    const { panels, uid } = one;
    const full = page(
      one,
      panels.map(({ type }) => ({ data: sample(type) })),
      SELECTION,
      RANGE,
    );
    const empty = page(
      one,
      panels.map(() => ({ data: NOTHING })),
      SELECTION,
      RANGE,
    );
    const failed = page(
      one,
      panels.map(() => ({ problem: 'parse error & <more>' })),
      SELECTION,
      RANGE,
    );
    const shown = panels.filter(({ type }) => type !== 'row');
    for (const svg of [full, empty, failed]) {
      assertSound(svg, uid);
      assert.ok(svg.includes(NOTE), uid);
    }
    assert.equal(full.split('>No data<').length - 1, 0, uid);
    assert.equal(empty.split('>No data<').length - 1, shown.length, uid);
    assert.equal(failed.split('parse error &amp; &lt;').length - 1, shown.length, uid);
  }
});

await test('a graph has a line for each series, its exemplars and the limits within its axis', () => {
  const fieldConfig = {
    defaults: {
      unit: 's',
      thresholds: {
        steps: [
          { value: null, color: 'green' },
          { value: 1, color: 'red' },
        ],
      },
      custom: { thresholdsStyle: { mode: 'dashed' } },
    },
  };
  const svg = drawn({ fieldConfig }, { data: sample('timeseries') });
  assert.match(svg, /stroke-dasharray/, 'the limit');
  assert.match(svg, /gateway &lt;p95&gt;/);
  const without = drawn({ fieldConfig }, { data: { ...sample('timeseries'), exemplars: [] } });
  assert.ok(svg.split('<path').length > without.split('<path').length, 'the exemplar');
  const quiet = drawn({ fieldConfig }, { data: { ...NOTHING, series: [series('a', () => 0.01)] } });
  assert.doesNotMatch(quiet, /stroke-dasharray/, 'far below the limit');
});

await test('a stat has the colour of its limits', () => {
  const thresholds = {
    steps: [
      { value: null, color: 'red' },
      { value: 1, color: 'green' },
    ],
  };
  const of = (value: number) =>
    drawn({ type: 'stat', fieldConfig: { defaults: { thresholds } } }, { data: { ...NOTHING, series: [series('a', () => value)] } });
  assert.match(of(1), /fill="#1a7f4b"[^>]*>1</);
  assert.match(of(0), /fill="#d0293a"[^>]*>0</);
});

await test('a table lists labels but those that the dashboard hides, and traces', () => {
  const transformations = [{ options: { excludeByName: { pod: true } } }];
  const rows = drawn(
    { type: 'table', transformations },
    { data: { ...NOTHING, series: [series('a', () => 3, { service: 'ledger', pod: 'hidden-1' })] } },
  );
  assert.match(rows, />ledger</);
  assert.doesNotMatch(rows, /hidden-1/);
  const trace = { id: 'abc123', service: 'gateway', name: 'GET /a', start: RANGE.start, seconds: 0.9 };
  const traces = drawn({ type: 'table' }, { data: { ...NOTHING, traces: [trace] } });
  for (const cell of ['abc123', 'gateway', 'GET /a', '900 ms']) assert.ok(traces.includes(`>${cell}<`), cell);
});

await test('a heatmap shows the counts between two bounds, not the cumulative ones', () => {
  const cumulative = (le: string) => series(le, () => 5, { le });
  const svg = drawn(
    { type: 'heatmap', fieldConfig: { defaults: { unit: 's' } } },
    { data: { ...NOTHING, series: ['0.1', '1', '+Inf'].map(cumulative) } },
  );
  const filled = [...svg.matchAll(/<path d="M[^"]*" fill="#7f2704"|<path d="[^"]*" fill="rgb\(127,39,4\)"/g)].length;
  assert.equal(filled, 121, 'one cell for each time, in the lowest range alone');
});

await test('a panel of a kind that cannot be drawn is an error', () => {
  assert.throws(() => drawn({ type: 'piechart' }, { data: sample('timeseries') }), /type piechart/);
});
