/** A proposal as it is read, and a plan as it stands in status. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubernetesObject } from '../../runtime/index.ts';
import { statusSchema } from '../../api/index.ts';
import { mergePatch, readPlanRequest } from './plan-request.ts';
import { invalidPlan, planEntry } from './plan-status.ts';
import type { PlannedChange } from './planned.ts';

const ABOUT = { request: '0123456789ab', observedGeneration: 3 };

function object(kind: string, rest: object, labels: Record<string, string> = {}): KubernetesObject {
  return { apiVersion: 'v1', kind, metadata: { name: 'a-x', namespace: 'n', labels }, ...rest };
}

function change(index: number, before: object, after: object, more: Partial<PlannedChange> = {}): PlannedChange {
  const kind = 'ConfigMap';
  return { action: 'change', kind, name: `a-${index}`, before: object(kind, before), after: object(kind, after), restarts: [], ...more };
}

const requests: Record<string, { text: string; patch?: unknown; problem?: RegExp }> = {
  JSON: { text: '{"spec":{"version":"0.2.0"}}', patch: { version: '0.2.0' } },
  YAML: { text: 'spec:\n  redis:\n    enabled: false\n', patch: { redis: { enabled: false } } },
  'a null, which removes a field': { text: '{"spec":{"redis":null}}', patch: { redis: null } },
  'no YAML': { text: '{"spec":', problem: /^write a merge patch as JSON or YAML/ },
  'no object': { text: 'now', problem: /^write a merge patch of the resource, such as \{"spec"/ },
  'a spec without its name': { text: '{"version":"0.2.0"}', problem: /^write a merge patch of the resource/ },
  'more than a spec': { text: '{"spec":{},"metadata":{"name":"b"}}', problem: /^only spec can be planned: remove metadata$/ },
};

for (const [name, { text, patch, problem }] of Object.entries(requests)) {
  void test(`parses a plan request: ${name}`, () => {
    const request = readPlanRequest(text);
    assert.match(request.id, /^[0-9a-f]{12}$/);
    assert.deepEqual(request.patch, patch);
    if (problem === undefined) assert.deepEqual(request.problems, []);
    else {
      assert.equal(request.problems[0]?.path, 'metadata.annotations[bss-platform.io/plan]');
      assert.match(request.problems[0]?.message ?? '', problem);
    }
  });
}

void test('rejects YAML aliases in a plan request', () => {
  const bomb = 'a: &a [x, x]\nb: &b [*a, *a]\nspec: {c: [*b, *b]}\n';
  assert.notDeepEqual(readPlanRequest(bomb).problems, []);
});

void test('merges objects, replaces lists, and removes fields by null', () => {
  const merged = mergePatch({ a: { b: 1, c: [1] }, d: 1 }, { a: { c: [2] }, d: null, e: { f: null, g: 1 } });
  assert.deepEqual(merged, { a: { b: 1, c: [2] }, e: { g: 1 } });
});

void test('lists changes, reasons and counts', () => {
  const version = (number: string) => object('Role', {}, { 'app.kubernetes.io/version': number });
  const entry = planEntry(ABOUT, {
    changes: [
      { action: 'create', kind: 'Job', name: 'a-migrate', restarts: [] },
      change(1, { data: { level: 'info' } }, { data: { level: 'debug' } }, { restarts: ['ConfigChanged'] }),
      { action: 'change', kind: 'Role', name: 'a-r', before: version('1'), after: version('2'), restarts: [] },
      { action: 'keep', kind: 'PersistentVolumeClaim', name: 'a-data', restarts: [] },
    ],
    warnings: ['spec.x: unwise'],
  });
  assert.equal(entry.result, 'Changes');
  assert.equal(
    entry.summary,
    '1 to create, 2 to change, 0 to delete (1 of them only in the label app.kubernetes.io/version); the pods of ConfigMap a-1 restart',
  );
  assert.deepEqual(
    entry.changes?.map(({ action, object: name }) => `${action} ${name}`),
    ['create Job a-migrate', 'change ConfigMap a-1', 'keep PersistentVolumeClaim a-data'],
  );
  assert.match(entry.changes?.[1]?.diff ?? '', /^-\s+level: info\n\+\s+level: debug$/m);
  assert.deepEqual(entry.warnings, ['spec.x: unwise']);
  assert.ok(statusSchema.safeParse({ plan: entry }).success);
});

void test('omits the template hash from a diff, and never omits a rollout', () => {
  const template = (hash: string, image: string) => ({
    spec: { template: { metadata: { annotations: { 'bss-platform.io/template-hash': hash, x: 'y' } }, image } },
  });
  const plan = (image: string) => {
    const changed = change(1, template('1111', 'a'), template('2222', image), { restarts: ['TemplateChanged'] });
    return planEntry(ABOUT, { changes: [changed], warnings: [] });
  };
  assert.match(plan('b').changes?.[0]?.diff ?? '', /^-\s+image: a\n\+\s+image: b$/m);
  assert.ok(!JSON.stringify(plan('b')).includes('2222'));
  assert.deepEqual(plan('a').changes, [{ action: 'change', object: 'ConfigMap a-1', restarts: ['TemplateChanged'] }]);
});

void test('reports Refused for a refused change, and NoChanges for an empty plan', () => {
  const refused: PlannedChange = { action: 'refused', kind: 'Service', name: 'a-x', restarts: [], refusal: 'it has another owner' };
  const entry = planEntry(ABOUT, { changes: [refused], warnings: [] });
  assert.deepEqual([entry.result, entry.changes?.[0]?.message], ['Refused', 'it has another owner']);
  assert.deepEqual(planEntry(ABOUT, { changes: [], warnings: [] }), { ...ABOUT, result: 'NoChanges', summary: 'no changes' });
});

void test('never copies values of a Secret to status', () => {
  const entry = planEntry(ABOUT, {
    changes: [
      {
        action: 'change',
        kind: 'Secret',
        name: 'a-s',
        before: object('Secret', { data: { key: 'b2xk' } }),
        after: object('Secret', { data: { key: 'bmV3' } }),
        restarts: [],
      },
    ],
    warnings: [],
  });
  const text = JSON.stringify(entry);
  assert.ok(!text.includes('b2xk') && !text.includes('bmV3'), text);
  assert.match(text, /\*\*\* \(sha256/);
});

void test('bounds the size of a plan', () => {
  const many = Array.from({ length: 1000 }, (_, line) => `${line}: ${'x'.repeat(100)}`).join('\n');
  const entry = planEntry(ABOUT, {
    changes: Array.from({ length: 400 }, (_, index) => change(index, { data: { file: 'short' } }, { data: { file: many } })),
    warnings: ['w'.repeat(10_000)],
  });
  assert.ok(JSON.stringify(entry).length < 100_000, `${JSON.stringify(entry).length} characters`);
  assert.equal(entry.omitted, 250);
  assert.match(entry.changes?.[0]?.diff ?? '', /more lines: see bss plan$/);
  const problems = Array.from({ length: 100 }, (_, index) => ({ path: `spec.x[${index}]`, message: 'm'.repeat(2000) }));
  const invalid = invalidPlan(ABOUT, problems);
  assert.ok(JSON.stringify(invalid).length < 20_000);
  assert.match(invalid.summary, /^the proposed spec is invalid: spec\.x\[0\]: m+\.\.\., and 99 more$/);
});
