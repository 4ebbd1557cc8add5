import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TEMPLATE_ANNOTATION, type Component } from '../../platform/index.ts';
import type { ComponentState } from '../status/outcome.ts';
import type { PodObject } from '../health/pods.ts';
import { usersOfFormerCredentials } from './rotation.ts';

const hashed = (hash: string) => ({ annotations: { [TEMPLATE_ANNOTATION]: hash } });

function component(name: string, stage: Component['stage'] = 'workloads', kind = 'Deployment'): Component {
  const manifest = { apiVersion: 'apps/v1', kind, metadata: { name: `a-${name}` }, spec: { template: { metadata: hashed('new') } } };
  return { name, stage, manifests: [manifest], health: [] };
}

function pod(name: string, hash: string, rest: Partial<PodObject> = {}): PodObject {
  const metadata = { name: `a-${name}-1`, labels: { 'app.kubernetes.io/component': name }, ...hashed(hash), ...rest.metadata };
  return { apiVersion: 'v1', kind: 'Pod', status: { phase: 'Running' }, ...rest, metadata };
}

const components = [component('postgres', 'stores', 'StatefulSet'), component('ledger'), component('exporters', 'observability')];

function state(name: string, change: Partial<ComponentState> = {}): ComponentState {
  return {
    name,
    kind: 'Deployment',
    health: { healthy: true, failing: false, ready: 1, desired: 1, message: '' },
    state: 'applied',
    ...change,
  };
}

const unhealthy = { health: { healthy: false, failing: false, ready: 0, desired: 1, message: 'is starting' } };
const well = components.map(({ name }) => state(name));
const but = (name: string, change: Partial<ComponentState>) => well.map((one) => (one.name === name ? state(name, change) : one));

interface Row {
  states?: ComponentState[];
  pods?: PodObject[];
  users: string[];
  reason: string;
}

const rows: Record<string, Row> = {
  'all new': { pods: [pod('ledger', 'new')], users: [], reason: 'nothing of before is left' },
  'a former pod': { pods: [pod('ledger', 'new'), pod('ledger', 'old')], users: ['pod a-ledger-1'], reason: 'it may log in again' },
  'a former pod that stops': {
    pods: [pod('ledger', 'old', { metadata: { name: 'a-ledger-1', deletionTimestamp: '2026-01-01T00:00:00Z' } })],
    users: ['pod a-ledger-1'],
    reason: 'it finishes its work under the former password',
  },
  'a former pod that has ended': { pods: [pod('ledger', 'old', { status: { phase: 'Failed' } })], users: [], reason: 'it logs in no more' },
  'a store of an earlier template': { pods: [pod('postgres', 'old')], users: [], reason: 'stores log in nowhere' },
  'not healthy': { states: but('ledger', unhealthy), users: ['ledger'], reason: 'its rollout is in progress' },
  'waits for its turn': { states: but('ledger', { state: 'held' }), users: ['ledger'], reason: 'it has the former template' },
  refused: { states: but('ledger', { state: 'refused' }), users: ['ledger'], reason: 'it may have the former template' },
  'monitoring is unhealthy': { states: but('exporters', unhealthy), users: [], reason: 'no request depends on it' },
  'topics are unhealthy': { states: [...well, state('topics', unhealthy)], users: ['topics'], reason: 'later components are held' },
};

for (const [name, { states = well, pods = [], users, reason }] of Object.entries(rows)) {
  void test(`users of former passwords: ${name}`, () => {
    assert.deepEqual(usersOfFormerCredentials(components, states, pods), users, reason);
  });
}
