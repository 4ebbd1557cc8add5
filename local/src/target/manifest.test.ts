import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { adaptManifest, describeSwitchedOff } from './manifest.ts';

const EXAMPLE = await readFile(new URL('../../../examples/demo.yaml', import.meta.url), 'utf8');
const GRAFANA = { component: 'grafana', field: 'grafana', reason: 'neither Debian nor a Go module has Grafana' };
const PROMETHEUS = { component: 'prometheus', field: 'prometheus', reason: 'its program is not compiled yet' };

interface Item {
  readonly kind: string;
  readonly spec?: Record<string, Record<string, unknown>>;
}

const platformOf = (text: string): Item | undefined =>
  (JSON.parse(text) as { items: Item[] }).items.find(({ kind }) => kind === 'BssPlatform');

test('a component that cannot run is switched off in the spec, and its other fields stay', () => {
  const manifest = EXAMPLE.replace('spec:\n  profile', 'spec:\n  prometheus:\n    retention: 1d\n  profile');
  const { text, switchedOff } = adaptManifest(manifest, { tag: undefined, unavailable: [PROMETHEUS] });
  const spec = platformOf(text)?.spec;
  assert.deepEqual(spec?.['prometheus'], { retention: '1d', enabled: false });
  assert.equal(spec?.['profile'], 'small');
  assert.deepEqual(switchedOff, [PROMETHEUS]);
  assert.deepEqual(describeSwitchedOff(switchedOff), ['prometheus is switched off: its program is not compiled yet']);
});

test('a component that the platform would not have is left alone', () => {
  const without = EXAMPLE.replace('spec:\n  profile', 'spec:\n  grafana:\n    enabled: false\n  profile');
  const { text, switchedOff } = adaptManifest(without, { tag: undefined, unavailable: [GRAFANA] });
  assert.deepEqual(switchedOff, []);
  assert.deepEqual(platformOf(text)?.spec?.['grafana'], { enabled: false });
  const wanted = EXAMPLE.replace('spec:\n  profile', 'spec:\n  grafana:\n    enabled: true\n  profile');
  assert.deepEqual(adaptManifest(wanted, { tag: undefined, unavailable: [GRAFANA] }).switchedOff, [GRAFANA]);
});

test('the workloads have the image that was built, and other objects do not change', () => {
  const { text } = adaptManifest(EXAMPLE, { tag: '0.1.0-abc', unavailable: [] });
  assert.deepEqual(platformOf(text)?.spec?.['images'], { workloads: 'bss-platform/workloads:0.1.0-abc' });
  const namespace = (JSON.parse(text) as { items: Item[] }).items[0];
  assert.equal(namespace?.kind, 'Namespace');
  assert.equal(namespace?.spec, undefined);
  assert.equal(platformOf(adaptManifest(EXAMPLE, { tag: undefined, unavailable: [] }).text)?.spec?.['images'], undefined);
});

test('an invalid spec is refused with its field', () => {
  const invalid = EXAMPLE.replace('profile: small', 'profile: tiny');
  assert.throws(() => adaptManifest(invalid, { tag: undefined, unavailable: [] }), /invalid platform: spec\.profile: /);
});
