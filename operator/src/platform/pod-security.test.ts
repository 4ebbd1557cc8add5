/** Which components a namespace refuses, and what a platform without them looks like. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inputOf } from './golden.ts';
import { buildPlatform, refused, type PlatformInput } from './index.ts';

const AGENTS = ['log-agent', 'node-exporter'];

interface Row {
  reason: string;
  level?: string;
  spec?: object;
  /** Components that are left out. */
  without: string[];
}

const ROWS: Record<string, Row> = {
  'no label': { reason: 'the API server admits every pod', without: [] },
  privileged: { reason: 'the level admits every pod', level: 'privileged', without: [] },
  baseline: { reason: 'the level refuses folders of the node', level: 'baseline', without: AGENTS },
  restricted: { reason: 'the level refuses folders of the node', level: 'restricted', without: AGENTS },
  'one switched off': {
    reason: 'who does not want it needs no warning',
    level: 'restricted',
    spec: { logAgent: { enabled: false } },
    without: ['node-exporter'],
  },
  'mode existing': {
    reason: 'the platform has no agents',
    level: 'restricted',
    spec: { observability: { mode: 'existing' } },
    without: [],
  },
};

const platformOf = ({ level, spec = {} }: Row): PlatformInput => ({
  ...inputOf(spec),
  ...(level === undefined ? {} : { podSecurity: level }),
});

for (const [name, row] of Object.entries(ROWS)) {
  await test(`a namespace with ${name}`, () => {
    const input = platformOf(row);
    const components = buildPlatform(input).map((component) => component.name);
    const wanted = buildPlatform(inputOf(row.spec ?? {})).map((component) => component.name);
    assert.deepEqual(wanted.filter((component) => !components.includes(component)).toSorted(), row.without, row.reason);
    const fields = refused(input).map(({ path }) => path);
    assert.deepEqual(
      fields.toSorted(),
      row.without.map((component) => (component === 'log-agent' ? 'spec.logAgent' : 'spec.nodeExporter')),
    );
  });
}

await test('the warning names the namespace, the level, the command that changes it, and the field that switches the component off', () => {
  const [first] = refused(platformOf({ reason: '', level: 'baseline', without: [] }));
  assert.deepEqual(first, {
    path: 'spec.nodeExporter',
    what: 'namespace bss enforces Pod Security baseline, so node-exporter does not run: its pods mount folders of the node',
    remedy:
      'kubectl label namespace bss pod-security.kubernetes.io/enforce=privileged --overwrite, or set spec.nodeExporter.enabled to false',
  });
});

await test('nothing else mentions a component that is left out: no policy, no target of an alert', () => {
  const objects = buildPlatform(platformOf({ reason: '', level: 'restricted', without: AGENTS })).flatMap(({ manifests }) => manifests);
  // The dashboards have panels for all.
  const others = objects.filter(({ metadata }) => !metadata.name.endsWith('-dashboards'));
  // Alerts on whichever of several programs a platform has select them by a pattern, which matches nothing for one that is left out.
  const textOf = (object: object): string => JSON.stringify(object).replaceAll(/job=~[^,}]*/g, '');
  for (const agent of AGENTS) {
    const naming = others.filter((object) => textOf(object).includes(agent) && !textOf(object).includes(`${agent}.md`));
    assert.deepEqual(
      naming.map(({ kind, metadata }) => `${kind} ${metadata.name}`),
      [],
      agent,
    );
  }
});
