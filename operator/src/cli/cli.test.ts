import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { API_VERSION, KIND } from '../api/index.ts';
import type { PlatformObject } from '../reconcile/ownership/ownership.ts';
import type { KubernetesObject } from '../runtime/index.ts';
import { describeFindings } from './doctor.ts';
import { withoutSecrets } from '../reconcile/plan/planned.ts';
import { columns, painter } from './output.ts';
import { describePlan, hasChanges, type Plan } from './plan-text.ts';
import { render } from './render.ts';
import { readPlatforms } from './resource.ts';
import { describeStatus } from './status-text.ts';
import { parseArguments, UsageError } from './usage.ts';

const plain = painter(false);

function object(kind: string, rest: object, labels: Record<string, string> = {}): KubernetesObject {
  return { apiVersion: 'v1', kind, metadata: { name: 'a-x', namespace: 'n', uid: 'u', resourceVersion: '7', labels }, ...rest };
}

void test('rejects invalid command lines with a message', () => {
  const wrong: [string[], RegExp][] = [
    [[], /choose a command/],
    [['destroy'], /choose a command/],
    [['plan'], /plan needs -f FILE/],
    [['render', 'x', '-f', 'y'], /unexpected argument "x"/],
    [['status', 'a', 'b'], /unexpected argument "b"/],
    [['status', '--force'], /--force/],
    [['status', '--wait', '--watch'], /choose one of --wait and --watch/],
    [['status', '--wait', '--timeout', '5'], /--timeout 5 is not a duration: write a whole number and a unit, such as 90s or 10m/],
    [['dump'], /dump needs the name of a platform/],
  ];
  for (const [argv, message] of wrong)
    assert.throws(
      () => parseArguments(argv),
      (error: Error) => error instanceof UsageError && message.test(error.message),
      argv.join(' '),
    );
  assert.equal(parseArguments(['--help']), undefined);
  assert.deepEqual(parseArguments(['status', 'demo', '-n', 'bss', '-w']), {
    command: 'status',
    name: 'demo',
    namespace: 'bss',
    operatorNamespace: 'bss-system',
    allNamespaces: false,
    watch: true,
    wait: false,
    timeoutMs: 300_000,
    color: true,
  });
  assert.equal(parseArguments(['status', '--wait', '--timeout', '90s'])?.timeoutMs, 90_000);
});

void test('reads the platforms of a file and ignores other objects', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bss-cli-'));
  const file = async (name: string, content: string) => {
    await writeFile(join(folder, name), content);
    return join(folder, name);
  };
  try {
    const resource = `apiVersion: ${API_VERSION}\nkind: ${KIND}\nmetadata: {name: a}\nspec: {paused: true}\n`;
    const mixed = await file('mixed.yaml', `apiVersion: v1\nkind: Namespace\nmetadata: {name: n}\n---\n${resource}---\n`);
    assert.deepEqual(await readPlatforms(mixed, 'here'), [{ name: 'a', namespace: 'here', spec: { paused: true } }]);
    await assert.rejects(readPlatforms(await file('none.yaml', 'kind: Pod'), 'n'), /contains no BssPlatform/);
    await assert.rejects(readPlatforms(await file('broken.yaml', 'a: [1'), 'n'), /is not valid YAML/);
    await assert.rejects(readPlatforms(join(folder, 'absent.yaml'), 'n'), /cannot read/);
  } finally {
    await rm(folder, { recursive: true });
  }
});

void test('renders every manifest and no password', () => {
  const text = render({ name: 'a', namespace: 'n', spec: {} }, 'bss-system');
  const kinds = parseAllDocuments(text).map((document) => String(document.get('kind')));
  assert.ok(kinds.includes('StatefulSet') && kinds.includes('Deployment') && kinds.includes('Job'));
  assert.ok(!kinds.includes('Secret'));
  assert.throws(() => render({ name: 'a', namespace: 'n', spec: { profile: 'huge' } }, 'o'), /spec\.profile: /);
});

void test('prints changes as a diff, but no values of Secrets', () => {
  const version = (number: string) => ({ 'app.kubernetes.io/version': number });
  const plan: Plan = {
    namespace: 'n',
    name: 'a',
    changes: [
      { action: 'create', kind: 'Service', name: 'a-new', restarts: [] },
      {
        action: 'change',
        kind: 'Deployment',
        name: 'a-gateway',
        before: object('Deployment', { spec: { replicas: 1 } }, version('1')),
        after: object('Deployment', { spec: { replicas: 2 } }, version('2')),
        restarts: ['ImageChanged'],
      },
      {
        action: 'change',
        kind: 'Secret',
        name: 'a-credentials',
        before: object('Secret', { data: { key: 'b2xk' } }),
        after: object('Secret', { data: { key: 'bmV3' } }),
        restarts: [],
      },
      {
        action: 'change',
        kind: 'Role',
        name: 'a-role',
        before: object('Role', {}, version('1')),
        after: object('Role', {}, version('2')),
        restarts: [],
      },
      { action: 'delete', kind: 'Service', name: 'a-old', restarts: [] },
      { action: 'keep', kind: 'PersistentVolumeClaim', name: 'a-data', restarts: [] },
      { action: 'refused', kind: 'Service', name: 'a-taken', restarts: [], refusal: 'it has another owner' },
    ],
    warnings: ['spec.x: unwise'],
  };
  const text = describePlan(plan, plain);
  for (const line of [
    '+ Service a-new',
    '~ Deployment a-gateway  restarts: ImageChanged',
    '    -  replicas: 1',
    '    +  replicas: 2',
    '~ 1 more object: only the label app.kubernetes.io/version',
    '- Service a-old',
    '= PersistentVolumeClaim a-data (kept with its data)',
    '! Service a-taken: it has another owner',
    'Plan: 1 to create, 3 to change, 1 to delete, 1 refused.',
    '  Deployment a-gateway: ImageChanged',
    'Warning: spec.x: unwise',
  ])
    assert.ok(text.split('\n').includes(line), `${line}\n\n${text}`);
  assert.ok(!text.includes('b2xk') && !text.includes('bmV3'), text);
  assert.match(text, /-\s+key: "?\*\*\* \(sha256/);
  assert.ok(!text.includes('version: "1"'), 'the version label is no news');
});

void test('prints a plan without changes', () => {
  const plan: Plan = {
    namespace: 'n',
    name: 'a',
    changes: [{ action: 'keep', kind: 'PersistentVolumeClaim', name: 'x', restarts: [] }],
    warnings: [],
  };
  assert.equal(hasChanges(plan), false);
  assert.equal(describePlan(plan, plain), 'BssPlatform n/a: no changes');
});

void test('replaces values of Secrets by hashes in data and stringData', () => {
  const hidden = withoutSecrets(object('Secret', { data: { a: 'c2VjcmV0' }, stringData: { b: 'secret' } }));
  assert.ok(!JSON.stringify(hidden).includes('c2VjcmV0') && !JSON.stringify(hidden).includes('"secret"'));
  const config = object('ConfigMap', { data: { a: 'x' } });
  assert.equal(withoutSecrets(config), config);
});

const condition = (type: string, status: 'True' | 'False', reason: string, message = '') => ({
  type,
  status,
  reason,
  message,
  observedGeneration: 1,
  lastTransitionTime: '2026-01-01T00:00:00Z',
});

function platform(status: PlatformObject['status']): PlatformObject {
  return {
    apiVersion: API_VERSION,
    kind: KIND,
    metadata: { name: 'demo', namespace: 'bss', generation: 1 },
    ...(status ? { status } : {}),
  };
}

void test('prints status as a tree', () => {
  const text = describeStatus(
    platform({
      observedGeneration: 1,
      version: '0.1.0',
      conditions: [
        condition('Ready', 'False', 'NotReady', 'kafka: pod is starting'),
        condition('Degraded', 'False', 'AsExpected'),
        condition('SpecValid', 'True', 'Valid'),
      ],
      components: [
        { name: 'kafka', kind: 'StatefulSet', ready: 0, desired: 1, message: 'pod is starting' },
        { name: 'gateway', kind: 'Deployment', ready: 2, desired: 2 },
        { name: 'interest', kind: 'Deployment', ready: 0, desired: 0 },
      ],
      consumerGroups: [
        {
          name: 'interest-batch',
          topics: ['t'],
          lag: 12_345,
          delaySeconds: 3,
          replicas: 2,
          readyReplicas: 2,
          desiredReplicas: 4,
          reason: 'Backlog',
          message: 'more is coming',
        },
      ],
      endpoints: [{ name: 'gateway', address: 'http://demo-gateway.bss.svc:8080' }],
      secretName: 'demo-credentials',
      warnings: [],
    }),
    plain,
  );
  assert.equal(
    text,
    `bss/demo  NotReady  version 0.1.0
├─ components
│  ├─ ✗  kafka     0/1  StatefulSet  pod is starting
│  ├─ ✓  gateway   2/2  Deployment
│  └─ ○  interest  0/0  Deployment
├─ consumer groups
│  └─ interest-batch  lag 12,345, delay 3 s, replicas 2/2 → 4  Backlog: more is coming
├─ conditions
│  └─ Ready=False NotReady: kafka: pod is starting
└─ addresses
   ├─ gateway    http://demo-gateway.bss.svc:8080
   └─ passwords  Secret demo-credentials`,
  );
});

void test('prints the alerts that fire, with what is not listed and what is unknown', () => {
  const entry = (name: string, severity: string) => {
    const runbook = `docs/runbooks/${name}.md`;
    return { name, severity, since: '2026-01-01T11:00:00Z', summary: `${name} summary`, runbook };
  };
  const show = (alerts: NonNullable<NonNullable<PlatformObject['status']>['alerts']>) =>
    describeStatus(platform({ conditions: [condition('Ready', 'True', 'Running')], alerts }), plain);
  const firing = [entry('RedisDown', 'critical'), entry('LagHigh', 'warning')];
  const shown = { summary: '1 critical, 3 warning', critical: 1, warning: 3, muted: 2, firing, message: 'Alertmanager does not answer' };
  assert.equal(
    show(shown),
    `bss/demo  Running
└─ alerts: 1 critical, 3 warning
   ├─ critical  RedisDown  since 2026-01-01T11:00:00Z  RedisDown summary  docs/runbooks/RedisDown.md
   ├─ warning   LagHigh    since 2026-01-01T11:00:00Z  LagHigh summary    docs/runbooks/LagHigh.md
   ├─ and 2 more
   ├─ 2 silenced or inhibited
   └─ Alertmanager does not answer`,
  );
  const none = { summary: 'none', critical: 0, warning: 0, muted: 0, firing: [] };
  assert.equal(show(none), 'bss/demo  Running');
});

void test('prints the plan of a proposed spec, or its problems', () => {
  const about = { request: '0123456789ab', observedGeneration: 1 };
  const show = (plan: NonNullable<NonNullable<PlatformObject['status']>['plan']>) =>
    describeStatus(platform({ conditions: [condition('Ready', 'True', 'Running')], plan }), plain);
  const changes = [
    { action: 'change' as const, object: 'Deployment demo-ledger', restarts: ['ImageChanged'], diff: '-x\n+y' },
    { action: 'refused' as const, object: 'Service demo-x', message: 'taken' },
  ];
  assert.equal(
    show({ ...about, result: 'Refused', summary: '1 to change', changes, omitted: 3 }),
    `bss/demo  Running
└─ plan (proposed, not applied)
   ├─ 1 to change
   ├─ change Deployment demo-ledger  restarts: ImageChanged
   ├─ refused Service demo-x  taken
   └─ and 3 more`,
  );
  const problems = [{ path: 'spec.version', message: 'write a version such as 0.1.0' }];
  assert.match(show({ ...about, result: 'Invalid', summary: 'wrong', problems }), /└─ spec\.version: write a version such as 0\.1\.0$/);
});

void test('prints the status of a platform that is not reconciled yet', () => {
  assert.match(describeStatus(platform(undefined), plain), /^bss\/demo {2}not reconciled yet/);
});

void test('prints remedies by resource, and does not count components that wait for others', () => {
  const text = describeFindings(
    [
      { findings: [{ ok: true, what: 'fine' }] },
      {
        resource: 'BssPlatform n/a',
        findings: [
          { ok: false, what: 'broken', remedy: 'fix it' },
          { ok: false, waits: true, what: 'later' },
        ],
      },
      { resource: 'BssPlatform n/b', findings: [{ ok: false, what: 'broken too' }] },
    ],
    plain,
  );
  const expected = [
    '✓ fine',
    '',
    'BssPlatform n/a',
    '✗ broken',
    '    fix it',
    '○ later',
    '',
    'BssPlatform n/b',
    '✗ broken too',
    '',
    '2 problems found.',
  ];
  assert.equal(text, expected.join('\n'));
});

void test('pads columns to their widest cell', () => {
  assert.deepEqual(
    columns([
      ['a', 'b', 'long last'],
      ['aaa', 'bb', ''],
    ]),
    ['a    b   long last', 'aaa  bb'],
  );
  assert.deepEqual(columns([]), []);
});
