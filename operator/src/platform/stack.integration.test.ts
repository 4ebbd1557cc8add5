/** The configurations of the monitoring stack in the real programs: a trace and the log lines of a request go in, and are read back from every store. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { appendFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { until } from '../../../local/src/demo/platform.ts';
import { startStack, type StackServers } from '../../../local/src/services/stack.ts';
import { collectorConfig } from './components/collector.ts';
import { jaegerConfig } from './components/jaeger.ts';
import { LOG_LABELS, lokiConfig } from './components/loki.ts';
import { logAgentConfig } from './components/log-agent.ts';
import { tempoConfig } from './components/tempo.ts';
import { parseSpec } from './index.ts';

const NAMESPACE = 'bss';
const PLATFORM = 'demo';
const LIMIT_MS = 60_000;
const SLOW_MS = 500;

const parsed = parseSpec({ collector: { slow: `${SLOW_MS}ms`, samplePercent: 0 } });
assert.ok(parsed.ok);
const { spec } = parsed;

let stack: StackServers;
before(async () => {
  stack = await startStack({
    loki: (place) => lokiConfig(spec.loki, place),
    tempo: (place) => tempoConfig(spec.tempo, place),
    jaeger: (place) => jaegerConfig(spec.jaeger, PLATFORM, place),
    collector: ({ otlpPort, grpcPort, metricsPort }, { jaegerOtlp, tempoOtlp }) => {
      const stores = { jaeger: jaegerOtlp, ...(tempoOtlp === undefined ? {} : { tempo: tempoOtlp }) };
      return collectorConfig(spec.collector, stores, { otlpPort, grpcPort, metricsPort });
    },
    logAgent: ({ data, metricsPort }, { loki }, logs) => {
      const agent = { platform: PLATFORM, namespace: NAMESPACE, loki, resources: spec.logAgent.resources };
      return logAgentConfig(agent, { logs, positions: data, metricsPort });
    },
  });
});
after(() => stack.stop());

interface Request {
  readonly traceId: string;
  readonly spanId: string;
}

/** Sends the span of a request to the Collector, as a workload does. */
async function sendTrace({ durationMs, failed }: { durationMs: number; failed: boolean }): Promise<Request> {
  const request = { traceId: randomBytes(16).toString('hex'), spanId: randomBytes(8).toString('hex') };
  const end = Date.now();
  const span = {
    ...request,
    name: 'POST /api/v1/transfers',
    kind: 2,
    startTimeUnixNano: `${end - durationMs}000000`,
    endTimeUnixNano: `${end}000000`,
    status: failed ? { code: 2, message: 'ledger unavailable' } : {},
  };
  const attributes = [{ key: 'service.name', value: { stringValue: 'gateway' } }];
  const response = await fetch(`${stack.otlp}/v1/traces`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ resourceSpans: [{ resource: { attributes }, scopeSpans: [{ scope: { name: 'http' }, spans: [span] }] }] }),
  });
  assert.equal(response.status, 200, await response.text());
  return request;
}

/** @returns the body of a JSON API; undefined where it answers that there is nothing */
async function get(url: string): Promise<unknown> {
  const response = await fetch(url);
  if (response.status === 404) return undefined;
  const text = await response.text();
  assert.ok(response.ok, `${url} answered ${response.status}: ${text}`);
  return JSON.parse(text);
}

/** Base URLs of the stores of traces that run here. */
function traceStores(): string[] {
  return [stack.urls.jaeger, stack.urls.tempo].filter((url) => url !== undefined);
}

/** Both have this path. The formats differ, the names in them do not. */
async function trace(store: string, { traceId }: Request): Promise<string | undefined> {
  const answer = await get(`${store}/api/traces/${traceId}`);
  return answer === undefined ? undefined : JSON.stringify(answer);
}

/** Appends lines to the log of a container, in the format of the container runtime. */
async function writeLog(pod: string, container: string, texts: readonly string[]): Promise<void> {
  const folder = join(stack.podLogs, `${NAMESPACE}_${pod}_5f0c1f6e-0000-4000-8000-000000000000`, container);
  await mkdir(folder, { recursive: true });
  await appendFile(join(folder, '0.log'), texts.map((line) => `${new Date().toISOString()} ${line}\n`).join(''));
}

interface Line {
  readonly labels: Record<string, string>;
  readonly text: string;
  readonly metadata: Record<string, string>;
}

/** The lines that a LogQL query selects, with labels and structured metadata apart. */
async function query(logql: string): Promise<Line[]> {
  const response = await fetch(
    `${stack.urls.loki}/loki/api/v1/query_range?${new URLSearchParams({ query: logql, limit: '100' }).toString()}`,
    {
      headers: { 'x-loki-response-encoding-flags': 'categorize-labels' },
    },
  );
  const text = await response.text();
  assert.ok(response.ok, text);
  type Value = [string, string, { structuredMetadata?: Record<string, string> }?];
  const { data } = JSON.parse(text) as { data: { result: { stream: Record<string, string>; values: Value[] }[] } };
  return data.result.flatMap(({ stream, values }) =>
    values.map(([, line, categories]) => ({ labels: stream, text: line, metadata: categories?.structuredMetadata ?? {} })),
  );
}

async function lines(logql: string, count: number): Promise<Line[]> {
  return until(`${count} lines of ${logql}`, LIMIT_MS, async () => {
    const found = await query(logql);
    return found.length >= count ? found : undefined;
  });
}

test('a trace with an error and a slow one are in every store; others are dropped at a share of 0', async () => {
  const fast = await sendTrace({ durationMs: 10, failed: false });
  const failed = await sendTrace({ durationMs: 10, failed: true });
  const slow = await sendTrace({ durationMs: SLOW_MS + 100, failed: false });
  for (const store of traceStores()) {
    for (const request of [failed, slow]) {
      const text = await until(`trace ${request.traceId} in ${store}`, LIMIT_MS, () => trace(store, request));
      assert.match(text, /POST \/api\/v1\/transfers/);
      assert.match(text, /gateway/);
    }
  }
  // The Collector decides on traces in the order of their arrival: the fast one has been decided on.
  for (const store of traceStores()) assert.equal(await trace(store, fast).catch(() => undefined), undefined);
});

test('Tempo finds failed requests by TraceQL', async (context) => {
  const { tempo } = stack.urls;
  if (tempo === undefined) return context.skip(stack.withoutTempo);
  const { traceId } = await sendTrace({ durationMs: 10, failed: true });
  const search = new URLSearchParams({ q: '{ resource.service.name = "gateway" && status = error }', limit: '100' });
  await until('the search to find the trace', LIMIT_MS, async () => {
    const { traces } = (await get(`${tempo}/api/search?${search.toString()}`)) as { traces?: { traceID: string }[] };
    return traces?.some(({ traceID }) => traceId.endsWith(traceID));
  });
});

test('a JSON line has few labels; the ids in it are structured metadata, by which it is found', async () => {
  const { traceId, spanId } = await sendTrace({ durationMs: 10, failed: true });
  const line = JSON.stringify({ level: 'error', msg: 'transfer failed', trace_id: traceId, span_id: spanId, account_id: 'acc-1' });
  await writeLog('demo-gateway-7d9c5b-x2x4z', 'gateway', [`stdout F ${line}`]);
  const [found] = await lines(`{namespace="${NAMESPACE}"} | trace_id="${traceId}"`, 1);
  assert.equal(found?.text, line);
  const { trace_id: trace_, span_id: span, account_id: account, pod } = found?.metadata ?? {};
  assert.deepEqual({ trace_, span, account, pod }, { trace_: traceId, span: spanId, account: 'acc-1', pod: 'demo-gateway-7d9c5b-x2x4z' });
  const names = LOG_LABELS.map((name) => name.replace('.', '_')).toSorted();
  assert.deepEqual(Object.keys(found?.labels ?? {}).toSorted(), names);
  assert.deepEqual(
    { ...found?.labels },
    { service_name: 'gateway', namespace: NAMESPACE, platform: PLATFORM, level: 'error', stream: 'stdout' },
  );
  // From the line back to the trace.
  for (const store of traceStores()) await until('the trace of the line', LIMIT_MS, () => trace(store, { traceId, spanId }));
});

test('a long line that the runtime has split is one line, and text without JSON has a level', async () => {
  await writeLog('demo-kafka-0', 'kafka', ['stdout P [2026-11-26] WARN a line in ', 'stdout F two parts', 'stderr F no level here']);
  const found = await lines('{service_name="kafka"}', 2);
  const byText = Object.fromEntries(found.map(({ text, labels }) => [text, [labels['level'], labels['stream']]]));
  assert.deepEqual(byText, { '[2026-11-26] WARN a line in two parts': ['warn', 'stdout'], 'no level here': ['unknown', 'stderr'] });
});

test('pods of other platforms and the agent itself are left out', async () => {
  await writeLog('other-gateway-1', 'gateway', ['stdout F {"level":"info","msg":"of another platform"}']);
  await writeLog('demo-log-agent-1', 'log-agent', ['stderr F {"level":"info","msg":"of the agent"}']);
  await writeLog('demo-ledger-1', 'ledger', ['stdout F {"level":"info","msg":"of the ledger"}']);
  await lines('{service_name="ledger"}', 1);
  assert.deepEqual(await query('{namespace="bss"} |~ "of another platform|of the agent"'), []);
});

test('lines that are written while Loki is down arrive after its return', async () => {
  const loki = stack.servers['loki'];
  assert.ok(loki);
  await loki.kill();
  await writeLog('demo-interest-1', 'interest', ['stdout F {"level":"info","msg":"written while Loki was down"}']);
  await loki.start();
  const found = await lines('{service_name="interest"} |= "while Loki was down"', 1);
  assert.equal(found.length, 1);
});

test('Prometheus can read the metrics of each program', async () => {
  const expected: Record<string, RegExp> = {
    loki: /^loki_distributor_lines_received_total\b/m,
    tempo: /^tempo_distributor_spans_received_total\b/m,
    jaeger: /^otelcol_receiver_accepted_spans_total\b/m,
    collector: /^otelcol_exporter_sent_spans\b/m,
    'log-agent': /^otelcol_exporter_sent_log_records\b/m,
  };
  for (const [name, url] of Object.entries(stack.metrics)) {
    const text = await (await fetch(url)).text();
    assert.match(text, expected[name] ?? /^$/, name);
  }
});
