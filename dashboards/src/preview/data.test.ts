/** The requests of the previews and their answers, against a server that answers as the APIs of Prometheus, Loki and Tempo are documented. */
import assert from 'node:assert/strict';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { dataOf, type PreviewTarget } from './data.ts';

const RANGE = { start: 1_700_000_000, end: 1_700_001_800, step: 15 };
const SELECTION = { namespace: 'bss', platform: 'demo', rateInterval: '2m', range: '30m' };

interface Asked {
  readonly path: string;
  readonly parameters: Record<string, string>;
}

/** @param answers by path; another path is answered with 400 and a reason */
async function server(context: TestContext, answers: Readonly<Record<string, object>>): Promise<{ base: string; asked: Asked[] }> {
  const asked: Asked[] = [];
  const http = createServer(({ url = '' }: IncomingMessage, response) => {
    const { pathname, searchParams } = new URL(url, 'http://localhost');
    asked.push({ path: pathname, parameters: Object.fromEntries(searchParams) });
    const answer = answers[pathname];
    response.statusCode = answer === undefined ? 400 : 200;
    response.end(answer === undefined ? 'parse error at char 3' : JSON.stringify(answer));
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  context.after(() => http.close());
  return { base: `http://127.0.0.1:${(http.address() as AddressInfo).port}`, asked };
}

const target = (type: 'prometheus' | 'loki' | 'tempo', rest: Partial<PreviewTarget>): PreviewTarget => ({
  refId: 'A',
  datasource: { type },
  ...rest,
});

test('a graph asks Prometheus over the range, with the variables filled in, and for its exemplars', async (context) => {
  const { base, asked } = await server(context, {
    '/api/v1/query_range': {
      data: {
        result: [
          {
            metric: { service: 'ledger' },
            values: [
              [RANGE.start, '0.5'],
              [RANGE.end, 'NaN'],
            ],
          },
        ],
      },
    },
    '/api/v1/query_exemplars': {
      data: [{ seriesLabels: {}, exemplars: [{ labels: { trace_id: 'ab' }, value: '0.7', timestamp: RANGE.start + 1.5 }] }],
    },
  });
  const expr = 'rate(a_bucket{namespace="$namespace",platform="$platform"}[$__rate_interval])';
  const data = await dataOf(
    [target('prometheus', { expr, legendFormat: '{{service}} p95', exemplar: true })],
    'timeseries',
    { prometheus: base },
    SELECTION,
    RANGE,
  );
  const query = 'rate(a_bucket{namespace="bss",platform="demo"}[2m])';
  assert.deepEqual(asked, [
    { path: '/api/v1/query_range', parameters: { query, start: '1700000000', end: '1700001800', step: '15' } },
    { path: '/api/v1/query_exemplars', parameters: { query, start: '1700000000', end: '1700001800' } },
  ]);
  assert.deepEqual(data.series, [
    {
      name: 'ledger p95',
      labels: { service: 'ledger' },
      points: [
        [RANGE.start, 0.5],
        [RANGE.end, Number.NaN],
      ],
    },
  ]);
  assert.deepEqual(data.exemplars, [[RANGE.start + 1.5, 0.7]]);
});

test('a stat of Loki asks for one moment, lines come newest first', async (context) => {
  const { base, asked } = await server(context, {
    '/loki/api/v1/query': { data: { result: [{ metric: {}, value: [RANGE.end, '3'] }] } },
    '/loki/api/v1/query_range': {
      data: {
        result: [
          { stream: { service_name: 'a', level: 'info' }, values: [['1700000001000000000', 'older']] },
          { stream: { service_name: 'b', level: 'error' }, values: [['1700000002000000000', 'newer']] },
        ],
      },
    },
  });
  const stat = target('loki', { expr: 'sum(count_over_time({a="b"}[$__range]))', legendFormat: 'Errors', queryType: 'instant' });
  assert.deepEqual((await dataOf([stat], 'stat', { loki: base }, SELECTION, RANGE)).series, [
    { name: 'Errors', labels: {}, points: [[RANGE.end, 3]] },
  ]);
  assert.deepEqual(asked[0]?.parameters, { query: 'sum(count_over_time({a="b"}[30m]))', time: '1700001800' });
  const { lines } = await dataOf([target('loki', { expr: '{a="b"}' })], 'logs', { loki: base }, SELECTION, RANGE);
  assert.deepEqual(
    lines.map(({ time, text, labels }) => [time, text, labels['level']]),
    [
      [1_700_000_002, 'newer', 'error'],
      [1_700_000_001, 'older', 'info'],
    ],
  );
});

test('a table of traces asks Tempo, a source without an address is not asked', async (context) => {
  const trace = {
    traceID: 'abc',
    rootServiceName: 'gateway',
    rootTraceName: 'GET /a',
    startTimeUnixNano: '1700000001500000000',
    durationMs: 900,
  };
  const { base, asked } = await server(context, { '/api/search': { traces: [trace] } });
  const found = await dataOf([target('tempo', { query: '{ status = error }' })], 'table', { tempo: base }, SELECTION, RANGE);
  assert.deepEqual(found.traces, [{ id: 'abc', service: 'gateway', name: 'GET /a', start: 1_700_000_001.5, seconds: 0.9 }]);
  assert.equal(asked[0]?.parameters['q'], '{ status = error }');
  const none = await dataOf([target('loki', { expr: '{a="b"}' })], 'logs', { tempo: base }, SELECTION, RANGE);
  assert.deepEqual(none.lines, []);
  assert.equal(asked.length, 1);
});

test('a query that is refused is an error with the query and the reason', async (context) => {
  const { base } = await server(context, {});
  await assert.rejects(
    dataOf([target('prometheus', { expr: 'up{' })], 'timeseries', { prometheus: base }, SELECTION, RANGE),
    /up\{: 400 parse error/,
  );
});
