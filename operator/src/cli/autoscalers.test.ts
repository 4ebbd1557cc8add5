/** ConsumerAutoscalers on the command line, without a cluster: texts, findings and consequences. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { API_VERSION, AUTOSCALER_KIND, parseConsumerAutoscaler, type ConsumerAutoscalerStatus } from '../api/index.ts';
import type { AutoscalerObject } from '../reconcile/scaling/claims.ts';
import { describeAutoscalers } from './autoscaler-text.ts';
import { judgeAutoscaler, type AutoscalerFacts } from './doctor-autoscaler.ts';
import { painter } from './output.ts';
import { consequences, type AutoscalerChange } from './plan-autoscaler.ts';
import { resourceNamed } from './scope.ts';
import { UsageError } from './usage.ts';

const plain = painter(false);
const AT = '2026-01-01T00:00:00Z';
const SPEC = { scaleTargetRef: { name: 'shipper' }, group: 'shipping', topics: ['orders'], brokers: ['kafka:9092'], maxReplicas: 4 };

type Conditions = Record<string, [status: 'True' | 'False', reason: string, message?: string]>;

const SCALING: Conditions = { Ready: ['True', 'Scaling', 'scales Deployment shipper on the lag of shipping'] };
const stalled = (reason: string, message: string): Conditions => ({
  Ready: ['False', reason, message],
  Stalled: ['True', reason, message],
});

function resource(conditions: Conditions, status: Partial<ConsumerAutoscalerStatus> = {}, spec: object = SPEC): AutoscalerObject {
  const list = Object.entries(conditions).map(([type, [value, reason, message = '']]) => ({
    type,
    status: value,
    reason,
    message,
    observedGeneration: 2,
    lastTransitionTime: AT,
  }));
  return {
    apiVersion: API_VERSION,
    kind: AUTOSCALER_KIND,
    metadata: { name: 'shipping', namespace: 'shop', generation: 2 },
    spec,
    status: { observedGeneration: 2, conditions: list, ...status },
  };
}

function specOf(raw: object) {
  const parsed = parseConsumerAutoscaler(raw);
  assert.ok(parsed.ok, JSON.stringify(parsed));
  return parsed.spec;
}

const FIGURES = { lag: 1200, delaySeconds: 4, replicas: 3, readyReplicas: 2, desiredReplicas: 4, reason: 'Lag', message: 'up from 3 to 4' };

void test('status has a line for each resource, with lag, replicas and reason', () => {
  const unseen = { ...resource({}), metadata: { name: 'new', namespace: 'shop' }, status: {} };
  const limited = { ...SCALING, ScalingLimited: ['True', 'AtMaximum', 'events wait longer than 30 s'] as ['True', string, string] };
  const text = describeAutoscalers(
    [
      resource(SCALING, FIGURES),
      resource(stalled('ForeignScaler', 'HorizontalPodAutoscaler/x scales the same Deployment')),
      resource(limited, { ...FIGURES, desiredReplicas: 3 }),
      unseen,
    ],
    plain,
  );
  const lines = text.split('\n').map((line) => line.replaceAll(/ {2,}/g, '  '));
  assert.deepEqual(lines, [
    'ConsumerAutoscalers',
    '├─ ✓  shop/shipping  shipping of Deployment shipper  lag 1,200, delay 4 s  replicas 2/3 → 4  Lag: up from 3 to 4',
    '├─ ✗  shop/shipping  shipping of Deployment shipper  lag unknown, delay unknown  replicas ?/?  ForeignScaler: HorizontalPodAutoscaler/x scales the same Deployment',
    '├─ ✓  shop/shipping  shipping of Deployment shipper  lag 1,200, delay 4 s  replicas 2/3  AtMaximum: events wait longer than 30 s',
    '└─ ○  shop/new  shipping of Deployment shipper  not reconciled yet: run bss doctor',
  ]);
  assert.equal(describeAutoscalers([], plain), '');
});

const FINE: AutoscalerFacts = { object: 'present', secrets: [], others: [] };

/** What doctor says of a resource. */
const CASES: { name: string; conditions: Conditions; facts?: Partial<AutoscalerFacts>; spec?: object; expected: RegExp[] }[] = [
  {
    name: 'a resource that scales',
    conditions: SCALING,
    expected: [
      /^\+ Deployment shipper exists/,
      /^\+ scales Deployment shipper on the lag of shipping: lag 1,200, delay 4 s, replicas 2\/3 → 4/,
    ],
  },
  {
    name: 'an object that does not exist, once',
    conditions: { Ready: ['False', 'DeploymentUnknown', 'there is no Deployment shop/shipper'] },
    facts: { object: 'absent' },
    expected: [/^- Deployment shipper does not exist in namespace shop → create it, or correct spec\.scaleTargetRef$/],
  },
  {
    name: 'a kind that the cluster does not serve',
    conditions: { Ready: ['False', 'DeploymentUnknown', 'the cluster serves no kind Rollout of argoproj.io/v1alpha1'] },
    facts: { object: 'unknownKind' },
    spec: { ...SPEC, scaleTargetRef: { apiVersion: 'argoproj.io/v1alpha1', kind: 'Rollout', name: 'shipper' } },
    expected: [/^- the cluster serves no kind Rollout of argoproj\.io\/v1alpha1 → install its definition/, /^- DeploymentUnknown: /],
  },
  {
    name: 'a kind that the operator must not scale',
    conditions: { Ready: ['False', 'ScaleFailed', 'cannot scale Rollout shop/shipper to 3: HTTP 403: forbidden'] },
    spec: { ...SPEC, scaleTargetRef: { apiVersion: 'argoproj.io/v1alpha1', kind: 'Rollout', name: 'shipper' } },
    expected: [/^\+ Rollout shipper exists/, /^- ScaleFailed: .* → grant it .* Rollout in the value scaleTargets of the chart$/],
  },
  {
    name: 'another scaler of the object',
    conditions: stalled('ForeignScaler', 'ConsumerAutoscaler/older scales the same Deployment'),
    facts: { others: ['ConsumerAutoscaler/older'] },
    expected: [/^\+/, /^- ForeignScaler: ConsumerAutoscaler\/older scales the same Deployment → an object has one scaler/],
  },
  {
    name: 'a younger resource for the same object',
    conditions: SCALING,
    facts: { others: ['ConsumerAutoscaler/younger'] },
    expected: [/^\+/, /^\+/, /^! ConsumerAutoscaler\/younger would scale the same object → the oldest resource scales/],
  },
  {
    name: 'brokers that do not answer',
    conditions: { Ready: ['False', 'BrokerAway', 'the brokers do not answer: connect ECONNREFUSED'] },
    expected: [/^\+/, /^- BrokerAway: the brokers do not answer.* → check spec\.brokers, spec\.tls and spec\.sasl/],
  },
  {
    name: 'a Kafka user without the permission',
    conditions: stalled('NotAuthorized', 'not allowed to read offsets'),
    expected: [/^\+/, /^- NotAuthorized: .* → .*kafka-acls --add .*--operation Describe --group shipping --topic orders$/],
  },
  {
    name: 'brokers that want a login',
    conditions: stalled('CredentialsRefused', 'the brokers refuse the credentials'),
    expected: [/^\+/, /^- CredentialsRefused: .* → the brokers want a login: set spec\.sasl$/],
  },
  {
    name: 'a missing Secret, once',
    conditions: { Ready: ['False', 'SecretsMissing', 'Secret login does not exist: create it'] },
    facts: { secrets: [{ what: 'Secret login does not exist', remedy: 'create it with keys username, password' }] },
    spec: { ...SPEC, sasl: { secretName: 'login' } },
    expected: [/^\+/, /^- Secret login does not exist → create it with keys username, password$/],
  },
  {
    name: 'a limit',
    conditions: { ...SCALING, ScalingLimited: ['True', 'AtMaximum', 'events wait longer than 30 s and maxReplicas is 4'] },
    expected: [/^\+/, /^\+/, /^- AtMaximum: .* → raise spec\.maxReplicas \(4\) or spec\.maxDelay$/],
  },
  { name: 'no operator', conditions: {}, expected: [/^\+/, /^- the operator has not reconciled it yet → .*watchNamespaces/] },
];

for (const { name, conditions, facts = {}, spec = SPEC, expected } of CASES)
  void test(`doctor: ${name}`, () => {
    const found = judgeAutoscaler(resource(conditions, FIGURES, spec), specOf(spec), { ...FINE, ...facts });
    const lines = found.map(
      ({ ok, note, what, remedy }) => `${note ? '!' : ok ? '+' : '-'} ${what}${remedy === undefined ? '' : ` → ${remedy}`}`,
    );
    assert.equal(lines.length, expected.length, lines.join('\n'));
    for (const [index, pattern] of expected.entries()) assert.match(lines[index] ?? '', pattern);
  });

void test('doctor: an older generation is not judged', () => {
  const behind = { ...resource(SCALING), metadata: { name: 'shipping', namespace: 'shop', generation: 3 } };
  const [, finding] = judgeAutoscaler(behind, specOf(SPEC), FINE);
  assert.match(finding?.what ?? '', /has not reconciled the newest generation yet/);
});

/** What applying a resource leads to. */
const PLANS: { name: string; change: Partial<AutoscalerChange>; spec?: object; effects: RegExp[]; warnings: RegExp[] }[] = [
  {
    name: 'a new resource',
    change: {},
    effects: [/^Deployment shipper has 3 replicas: the lag decides, from 1 to 4$/],
    warnings: [],
  },
  { name: 'a lower maximum', change: {}, spec: { ...SPEC, maxReplicas: 2 }, effects: [/the operator scales it down to 2$/], warnings: [] },
  { name: 'a higher minimum', change: {}, spec: { ...SPEC, minReplicas: 4 }, effects: [/the operator scales it up to 4$/], warnings: [] },
  {
    name: 'another group',
    change: { live: resource(SCALING) },
    spec: { ...SPEC, group: 'parcels' },
    effects: [
      /^Deployment/,
      /^what was learned of shipping \(orders\) of Deployment shipper is forgotten$/,
      /bss explain-scaling cas\/shipping/,
    ],
    warnings: [],
  },
  {
    name: 'an object with a scaler',
    change: { rivals: ['HorizontalPodAutoscaler/x'] },
    effects: [],
    warnings: [/^HorizontalPodAutoscaler\/x scales Deployment shipper: this resource does not/],
  },
  {
    name: 'no object',
    change: { replicas: null },
    effects: [],
    warnings: [/^Deployment shipper does not exist: the operator waits for it$/],
  },
  {
    name: 'an object that the user must not read',
    change: { replicas: null, unread: 'cannot read Deployment shop/shipper: HTTP 403' },
    effects: [],
    warnings: [/^cannot read Deployment shop\/shipper: HTTP 403$/],
  },
  {
    name: 'mode fixed beside another scaler',
    change: { rivals: ['HorizontalPodAutoscaler/x'] },
    spec: { ...SPEC, mode: 'fixed' },
    effects: [/^measures the lag of shipping; Deployment shipper keeps its replicas$/],
    warnings: [],
  },
];

for (const { name, change, spec = SPEC, effects, warnings } of PLANS)
  void test(`plan: ${name}`, () => {
    const seen = consequences({ live: undefined, spec: specOf(spec), replicas: 3, rivals: [], ...change }, 'shipping');
    for (const [lines, expected] of [
      [seen.effects, effects],
      [seen.warnings, warnings],
    ] as const) {
      assert.equal(lines.length, expected.length, lines.join('\n'));
      for (const [index, pattern] of expected.entries()) assert.match(lines[index] ?? '', pattern);
    }
  });

void test('a name is a platform, and cas/NAME a ConsumerAutoscaler', () => {
  assert.deepEqual(resourceNamed('a'), { kind: 'BssPlatform', name: 'a' });
  for (const text of ['cas/a', 'consumerautoscalers/a', 'ConsumerAutoscaler/a'])
    assert.deepEqual(resourceNamed(text), { kind: AUTOSCALER_KIND, name: 'a' });
  for (const text of ['pod/a', 'cas/', 'cas/a/b']) assert.throws(() => resourceNamed(text), UsageError, text);
});
