import assert from 'node:assert/strict';
import { test } from 'node:test';
import { spansOf, traceLines } from './trace.ts';

const START = 1_795_000_000_000_000_000n;

/** A span id in hexadecimal. */
const id = (letter: string): string => letter.charCodeAt(0).toString(16).repeat(8);
const base64 = (letter: string): string => Buffer.from(id(letter), 'hex').toString('base64');

/** A span as OTLP JSON has it. Times in milliseconds after START. */
function span(spanId: string, parentSpanId: string | undefined, name: string, from: number, to: number, status?: object) {
  const at = (ms: number): string => (START + BigInt(Math.round(ms * 1e6))).toString();
  return { traceId: 't', spanId, parentSpanId, name, startTimeUnixNano: at(from), endTimeUnixNano: at(to), status };
}

function resource(service: string, ...spans: object[]) {
  return { resource: { attributes: [{ key: 'service.name', value: { stringValue: service } }] }, scopeSpans: [{ spans }] };
}

const LEDGER = resource(
  'ledger',
  span(id('c'), id('b'), 'GET /api/v1/accounts', 20, 1990, { code: 'STATUS_CODE_ERROR' }),
  span(id('d'), id('c'), 'list accounts', 21, 1985.5, { code: 2, message: 'Query read timeout\n  at query' }),
);
const GATEWAY = resource(
  'gateway',
  span(id('a'), undefined, 'GET /api/v1/accounts', 0, 2500, { code: 'STATUS_CODE_ERROR', message: 'ledger unavailable' }),
  span(id('b'), id('a'), 'GET ledger', 10, 2000),
);
const LINES = [
  'gateway: GET /api/v1/accounts                       2.50 s  failed: ledger unavailable',
  '  gateway: GET ledger                               1.99 s',
  '    ledger: GET /api/v1/accounts                    1.97 s  failed',
  '      ledger: list accounts                         1.96 s  failed: Query read timeout at query',
];

const SHAPES = {
  'Tempo, version 1': { batches: [LEDGER, GATEWAY] },
  'Tempo, version 2': { trace: { resourceSpans: [LEDGER, GATEWAY] } },
  Jaeger: { result: { resourceSpans: [LEDGER, GATEWAY] } },
};
for (const [store, body] of Object.entries(SHAPES)) {
  test(`a trace of ${store} is shown as a tree with durations and failures`, () => assert.deepEqual(traceLines(spansOf(body)), LINES));
}

test('a span whose parent is not there is at the top', () => {
  const lines = traceLines(spansOf({ batches: [LEDGER] }));
  assert.deepEqual(
    lines.map((line) => /^ */.exec(line)?.[0].length),
    [0, 2],
  );
});

test('a parent of zeros, in hexadecimal or base64, is none', () => {
  const spans = spansOf({
    batches: [resource('a', span('x', '0000000000000000', 'hex', 0, 1), span('y', 'AAAAAAAAAAA=', 'base64', 1, 2))],
  });
  assert.deepEqual(
    spans.map(({ parent }) => parent),
    [undefined, undefined],
  );
});

test('ids are in hexadecimal, whatever the store writes', () => {
  const [parent, child] = spansOf({
    batches: [resource('a', span(base64('x'), '', 'one', 0, 2), span(base64('y'), base64('x'), 'two', 1, 2))],
  });
  assert.deepEqual([parent?.id, child?.id, child?.parent], [id('x'), id('y'), id('x')]);
});

test('short spans are in milliseconds', () => {
  const [first = '', second = ''] = traceLines(
    spansOf({ batches: [resource('a', span(id('x'), '', 'one', 0, 0.25), span(id('y'), '', 'two', 1, 43))] }),
  );
  assert.match(first, / 0\.3 ms$/);
  assert.match(second, / 42 ms$/);
});

test('no trace is an empty list, and what is no OTLP is an error', () => {
  assert.deepEqual(spansOf({}), []);
  assert.throws(() => spansOf({ batches: [{ scopeSpans: [{ spans: [{ name: 1 }] }] }] }), /spanId/);
});
