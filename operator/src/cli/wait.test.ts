import assert from 'node:assert/strict';
import { test } from 'node:test';
import { API_VERSION, KIND } from '../api/index.ts';
import type { PlatformObject } from '../reconcile/ownership/ownership.ts';
import { missingOf } from './wait.ts';

interface Row {
  status?: object;
  deleted?: true;
  missing: string[];
  reason: string;
}

const condition = (type: string, status: string, observedGeneration: number, reason = 'R', message = '') => ({
  type,
  status,
  reason,
  message,
  observedGeneration,
  lastTransitionTime: '2026-01-01T00:00:00Z',
});

const ROWS: Record<string, Row> = {
  ready: { status: { observedGeneration: 2, conditions: [condition('Ready', 'True', 2)] }, missing: [], reason: 'nothing is missing' },
  fresh: { missing: ['n/a: the operator has not reconciled it yet'], reason: 'a new resource has no status' },
  behind: {
    status: { observedGeneration: 1, conditions: [condition('Ready', 'True', 1)] },
    missing: ['n/a: the newest generation is not reconciled yet'],
    reason: 'Ready is about the former spec',
  },
  paused: {
    status: { observedGeneration: 1, conditions: [condition('Ready', 'True', 2), condition('Paused', 'True', 2)] },
    missing: ['n/a: it is paused, and its newest generation is not applied'],
    reason: 'a paused platform never applies it',
  },
  components: {
    status: {
      observedGeneration: 2,
      conditions: [condition('Ready', 'False', 2)],
      components: [
        { name: 'kafka', kind: 'StatefulSet', ready: 0, desired: 1, message: 'image cannot be pulled' },
        { name: 'redis', kind: 'Deployment', ready: 1, desired: 1 },
        { name: 'ledger', kind: 'Deployment', ready: 0, desired: 1, message: 'waits for kafka' },
      ],
    },
    missing: ['n/a: kafka 0/1 (image cannot be pulled)'],
    reason: 'what only waits for others is not the cause',
  },
  invalid: {
    status: { observedGeneration: 2, conditions: [condition('Ready', 'False', 2, 'InvalidSpec', 'spec.x: wrong')] },
    missing: ['n/a: InvalidSpec: spec.x: wrong'],
    reason: 'without components the condition has the cause',
  },
  deleted: { status: {}, deleted: true, missing: ['n/a: it is being deleted'], reason: 'it never becomes Ready' },
};

for (const [name, { status, deleted, missing, reason }] of Object.entries(ROWS)) {
  void test(`reports what a platform waits for: ${name}`, () => {
    const metadata = { name: 'a', namespace: 'n', generation: 2, ...(deleted ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {}) };
    const platform = { apiVersion: API_VERSION, kind: KIND, metadata, spec: {}, ...(status ? { status } : {}) } as PlatformObject;
    assert.deepEqual(missingOf(platform), missing, reason);
  });
}
