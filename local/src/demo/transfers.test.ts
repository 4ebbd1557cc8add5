import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Span } from './trace.ts';
import { servicesMissing, spansByService, TRANSFER_PATH } from './transfers.ts';

const span = (service: string, index = 0): Span => ({
  id: `${service}-${index}`,
  parent: undefined,
  service,
  name: 'work',
  startMs: 0,
  durationMs: 1,
  error: undefined,
});

void test('spans are counted by service in the order of the path, other services last', () => {
  const spans = [span('other'), span('ledger', 1), span('gateway'), span('ledger', 2), span('read-model')];
  assert.equal(spansByService(spans), 'gateway 1, ledger 2, read-model 1, other 1');
});

void test('a trace is whole when every service of the path has a span', () => {
  assert.deepEqual(servicesMissing([span('gateway'), span('ledger')]), ['orchestrator', 'outbox-relay', 'read-model']);
  assert.deepEqual(servicesMissing(TRANSFER_PATH.map((service) => span(service))), []);
});
