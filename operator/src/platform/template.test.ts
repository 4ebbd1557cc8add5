/** What templates and assigned user ids change in the pods, and what they leave as it is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { V1PodSpec, V1PodTemplateSpec } from '@kubernetes/client-node';
import { adviseSpec } from './advise.ts';
import { DEFINITIONS } from './components/index.ts';
import { goldenInput, inputOf, podTemplateOf, specOf } from './golden.ts';
import { buildPlatform, TEMPLATE_ANNOTATION } from './index.ts';
import { customized } from './template.ts';
import type { PlatformInput } from './types.ts';

const POD = {
  securityContext: { runAsNonRoot: true, runAsUser: 999, runAsGroup: 999, fsGroup: 999, seccompProfile: { type: 'RuntimeDefault' } },
  topologySpreadConstraints: [{ maxSkew: 1, topologyKey: 'kubernetes.io/hostname', whenUnsatisfiable: 'ScheduleAnyway' }],
  initContainers: [{ name: 'init', securityContext: { readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } } }],
  containers: [{ name: 'main', volumeMounts: [{ name: 'data', mountPath: '/data' }], securityContext: { readOnlyRootFilesystem: true } }],
  volumes: [{ name: 'data', emptyDir: {} }],
} satisfies V1PodSpec;
const SELECTOR = { 'app.kubernetes.io/name': 'ledger' };

/** The pod with a template for its component, by the schema as a user's. */
function withTemplate(template: object, security: object = {}, component = 'ledger'): V1PodSpec {
  return customized(POD, specOf({ templates: { [component]: template }, security }), 'ledger', SELECTOR);
}

interface Row {
  reason: string;
  template: object;
  security?: object;
  component?: string;
  /** Fields of the pod that differ. */
  expected: { [F in keyof V1PodSpec]?: V1PodSpec[F] };
}

const NONE = { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } };
const [INIT, MAIN] = [POD.initContainers[0], POD.containers[0]];
const AFFINITY = {
  nodeAffinity: {
    requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'zone', operator: 'Exists' }] }] },
  },
};

const rows: Record<string, Row> = {
  'an empty template': { reason: 'nothing changes', template: {}, expected: {} },
  'a template of another component': {
    reason: 'a template is for one component',
    template: { affinity: AFFINITY },
    component: 'gateway',
    expected: {},
  },
  'assigned user ids': {
    reason: 'the pods name no user, so that the cluster assigns one, and stay restricted',
    template: {},
    security: { assignedUserIds: true },
    expected: { securityContext: NONE },
  },
  'assigned user ids and a user of its own': {
    reason: 'the template is more specific',
    template: { securityContext: { runAsUser: 1000 } },
    security: { assignedUserIds: true },
    expected: { securityContext: { ...NONE, runAsUser: 1000 } },
  },
  'one field of the security context': {
    reason: 'the others stay',
    template: { securityContext: { fsGroup: 0 } },
    expected: { securityContext: { ...POD.securityContext, fsGroup: 0 } },
  },
  affinity: { reason: 'it is what Kubernetes gets', template: { affinity: AFFINITY }, expected: { affinity: AFFINITY } },
  'a spread': {
    reason: "it replaces the platform's, and counts the pods of the component",
    template: { topologySpreadConstraints: [{ topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule', maxSkew: 2 }] },
    expected: {
      topologySpreadConstraints: [
        { topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule', maxSkew: 2, labelSelector: { matchLabels: SELECTOR } },
      ],
    },
  },
  'no spread': {
    reason: 'an empty list says that there is none',
    template: { topologySpreadConstraints: [] },
    expected: { topologySpreadConstraints: [] },
  },
  "a volume by the name of one of the platform's": {
    reason: "both exist, and every container has the user's",
    template: { volumes: [{ name: 'data', configMap: { name: 'mine' } }], volumeMounts: [{ name: 'data', mountPath: '/mnt/data' }] },
    expected: {
      volumes: [
        { name: 'data', emptyDir: {} },
        { name: 'user-data', configMap: { name: 'mine' } },
      ],
      initContainers: [{ ...INIT, name: 'init', volumeMounts: [{ name: 'user-data', mountPath: '/mnt/data' }] }],
      containers: [
        {
          ...MAIN,
          name: 'main',
          volumeMounts: [
            { name: 'data', mountPath: '/data' },
            { name: 'user-data', mountPath: '/mnt/data' },
          ],
        },
      ],
    },
  },
  'a writable root file system': {
    reason: 'every capability is still dropped',
    template: { containerSecurityContext: { readOnlyRootFilesystem: false, capabilities: { drop: [] } } },
    expected: {
      initContainers: [{ ...INIT, name: 'init', securityContext: { readOnlyRootFilesystem: false, capabilities: { drop: ['ALL'] } } }],
      containers: [{ ...MAIN, name: 'main', securityContext: { readOnlyRootFilesystem: false } }],
    },
  },
};

for (const [name, { reason, template, security, component, expected }] of Object.entries(rows)) {
  await test(`pods with ${name}: ${reason}`, () => {
    assert.deepEqual(withTemplate(template, security, component), { ...POD, ...expected });
  });
}

/** Pod templates by component. */
function templates(input: PlatformInput): Map<string, V1PodTemplateSpec> {
  return new Map(
    buildPlatform(input).flatMap(({ name, manifests }) =>
      manifests.flatMap((one) => {
        const found = podTemplateOf(one);
        return found ? [[name, found] as const] : [];
      }),
    ),
  );
}

const EVERYTHING = {
  workloads: {
    ...Object.fromEntries(['outboxRelay', 'orchestrator', 'readModel', 'accounts'].map((name) => [name, { enabled: true }])),
    crm: { enabled: true, seed: { enabled: true } },
  },
  pushgateway: { enabled: true },
  grafana: { enabled: true },
  pghero: { enabled: true },
  alertmanager: { enabled: true, receivers: { webhook: {}, secretName: 'a' } },
};
const NAMES = DEFINITIONS.flatMap(({ name, withoutPods }) => (withoutPods ? [] : [name]));

await test('every component with pods has a template, and only those', () => {
  const built = [...templates(inputOf(EVERYTHING)).keys()];
  assert.deepEqual(built, NAMES);
});

await test('a template reaches the pods of every component, with another template hash', () => {
  const template = {
    annotations: { team: 'a' },
    volumes: [{ name: 'a', emptyDir: {} }],
    volumeMounts: [{ name: 'a', mountPath: '/mnt/a' }],
  };
  const before = templates(inputOf(EVERYTHING));
  const after = templates(inputOf({ ...EVERYTHING, templates: Object.fromEntries(NAMES.map((name) => [name, template])) }));
  for (const [name, { metadata, spec }] of after) {
    assert.equal(metadata?.annotations?.['team'], 'a', name);
    assert.notEqual(metadata?.annotations?.[TEMPLATE_ANNOTATION], before.get(name)?.metadata?.annotations?.[TEMPLATE_ANNOTATION], name);
    assert.ok(
      spec?.containers.every(({ volumeMounts = [] }) => volumeMounts.some(({ mountPath }) => mountPath === '/mnt/a')),
      name,
    );
  }
});

await test('an annotation alone changes the hash of the template: new pods have it', () => {
  const hash = (annotations: object) =>
    templates(inputOf({ templates: { ledger: { annotations } } })).get('ledger')?.metadata?.annotations?.[TEMPLATE_ANNOTATION];
  assert.notEqual(hash({ team: 'a' }), hash({ team: 'b' }));
  assert.equal(hash({}), templates(inputOf({})).get('ledger')?.metadata?.annotations?.[TEMPLATE_ANNOTATION]);
});

await test('with assigned user ids no pod names a user or group, and all stay restricted', () => {
  for (const [name, { spec }] of templates(inputOf({ ...EVERYTHING, security: { assignedUserIds: true } }))) {
    if (name === 'log-agent') {
      assert.equal(spec?.securityContext?.runAsUser, 0, 'no other user can read the logs of a node');
      continue;
    }
    const { runAsUser, runAsGroup, fsGroup, ...others } = spec?.securityContext ?? {};
    assert.deepEqual([runAsUser, runAsGroup, fsGroup], [undefined, undefined, undefined], name);
    assert.equal(others.runAsNonRoot, true, name);
    assert.equal(others.seccompProfile?.type, 'RuntimeDefault', name);
  }
});

await test('the platform keeps out of what belongs to users: paths below /mnt, and volumes that begin with user-', async () => {
  for (const input of [inputOf(EVERYTHING), await goldenInput('external')]) {
    for (const [name, { spec }] of templates(input)) {
      for (const { volumeMounts = [] } of [...(spec?.initContainers ?? []), ...(spec?.containers ?? [])]) {
        assert.ok(
          volumeMounts.every(({ mountPath }) => !mountPath.startsWith('/mnt')),
          name,
        );
      }
      assert.ok(spec?.volumes?.every((volume) => !volume.name.startsWith('user-')) ?? true, name);
    }
  }
});

await test('warns of a template for a component that the platform does not have', () => {
  const paths = (raw: object) => adviseSpec(specOf(raw)).map(({ path }) => path);
  assert.deepEqual(paths({ templates: { pghero: {}, kafka: {} } }), ['spec.templates.pghero']);
  assert.deepEqual(paths({ templates: { pghero: {} }, pghero: { enabled: true } }), []);
});

const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`;

await test('an image may be pinned by its digest, with a tag or without', () => {
  for (const redis of [`redis:8@${DIGEST}`, `redis@${DIGEST}`, `registry.example.com:5000/a/redis:8.2@${DIGEST}`]) {
    const image = templates(inputOf({ images: { redis } })).get('redis')?.spec?.containers[0]?.image;
    assert.equal(image, redis);
  }
});
