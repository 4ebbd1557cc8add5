import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parser as logql } from '@grafana/lezer-logql';
import { parser as traceql } from '@grafana/lezer-traceql';
import type { Tree } from '@lezer/common';
import { dashboardExpressions } from '../testing/expressions.ts';
import { BOARDS, dashboard } from './index.ts';

const PANELS = BOARDS.flatMap((board) => board.rows.flatMap((row) => row.panels.map((panel) => ({ board, panel }))));

await test('every panel says what it answers, in which unit, and has a query', () => {
  const wanting = PANELS.filter(
    ({ panel }) => panel.title === '' || panel.unit === '' || !panel.description.endsWith('.') || panel.queries.length === 0,
  );
  assert.deepEqual(
    wanting.map(({ board, panel }) => `${board.uid}: ${panel.title}`),
    [],
  );
});

await test('every link leads to a dashboard that exists, and another one', () => {
  const uids = new Set<string>(BOARDS.map(({ uid }) => uid));
  assert.equal(uids.size, BOARDS.length, 'uids are different');
  for (const { board, panel } of PANELS) {
    if (panel.next === undefined) continue;
    assert.ok(uids.has(panel.next) && panel.next !== board.uid, `${board.uid}: ${panel.title} leads to ${panel.next}`);
  }
});

await test('limits are drawn where a panel has them, and in the order of its values', () => {
  for (const board of BOARDS) {
    for (const panel of dashboard(board).panels ?? []) {
      const values = ('fieldConfig' in panel ? (panel.fieldConfig?.defaults.thresholds?.steps ?? []) : [])
        .slice(1)
        .map(({ value }) => value);
      assert.deepEqual(
        values,
        values.toSorted((a, b) => (a ?? 0) - (b ?? 0)),
        `${board.uid}: ${panel.title}`,
      );
    }
  }
});

await test('panels do not overlap', () => {
  for (const board of BOARDS) {
    const taken = new Map<string, string>();
    for (const panel of dashboard(board).panels ?? []) {
      assert.ok(panel.gridPos, `${board.uid}: ${panel.title} has a place`);
      const { x, y, w, h } = panel.gridPos;
      assert.ok(x + w <= 24, `${board.uid}: ${panel.title} fits the width`);
      for (let column = x; column < x + w; column += 1)
        for (let line = y; line < y + h; line += 1) {
          const cell = `${column},${line}`;
          assert.equal(taken.get(cell), undefined, `${board.uid}: ${panel.title} lies on ${taken.get(cell)}`);
          taken.set(cell, panel.title ?? '');
        }
    }
  }
});

await test('every variable of a query is one of its dashboard, or of Grafana', () => {
  for (const board of BOARDS) {
    const { templating, panels = [] } = dashboard(board);
    const known = new Set(['__rate_interval', '__auto', '__range', ...(templating?.list ?? []).map(({ name }) => name)]);
    const used = [...JSON.stringify(panels.flatMap((panel) => ('targets' in panel ? panel.targets : []))).matchAll(/\$\{?(\w+)/g)];
    assert.ok(used.length > 0, board.uid);
    for (const [, name = ''] of used) assert.ok(known.has(name), `${board.uid} has no variable ${name}`);
  }
});

await test('exemplars are drawn where the query reads a histogram', () => {
  const drawn = PANELS.flatMap(({ board, panel }) =>
    panel.queries.filter(({ exemplars }) => exemplars).map(({ expr }) => ({ board, panel, expr })),
  );
  assert.ok(drawn.length > 4);
  for (const { board, panel, expr } of drawn) assert.match(expr, /_bucket\{/, `${board.uid}: ${panel.title}`);
});

function mistakes(tree: Tree): number[] {
  const found: number[] = [];
  tree.iterate({ enter: ({ type, from }) => void (type.isError && found.push(from)) });
  return found;
}

await test("Grafana's grammars parse every query for Loki and Tempo", async () => {
  const expressions = await dashboardExpressions({ namespace: 'bss', platform: 'demo', rateInterval: '1m' });
  const parsers = { loki: logql, tempo: traceql };
  for (const [source, parser] of Object.entries(parsers)) {
    const queries = expressions.filter((expression) => expression.source === source);
    assert.ok(queries.length > 2, `only ${queries.length} queries for ${source}`);
    for (const { place, expr } of queries) assert.deepEqual(mistakes(parser.parse(expr)), [], `${place}: ${expr}`);
  }
});
