import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { DEFINITIONS } from '../../../operator/src/platform/components/index.ts';
import { presentIn } from '../../../operator/src/platform/definition.ts';
import { thirdPartyImages } from '../../../operator/src/platform/images.ts';
import { parseSpec } from '../../../operator/src/platform/index.ts';
import { isExtra } from './extra.ts';
import { isProgram } from './programs.ts';
import { unavailableComponents, uncompiledComponents, whyMissing } from './stack.ts';

const TEMPO = { what: 'Tempo', debian: { packages: [], version: ['tempo', '--version'], built: ['tempo'] } };

test('a program is missing that no package has, or that the folder of extra binaries lacks', async () => {
  assert.equal(whyMissing({ what: 'Grafana' }, {}), 'neither Debian nor a Go module has Grafana');
  assert.match(whyMissing(TEMPO, {}) ?? '', /BSS_EXTRA_BINARIES/);
  assert.equal(whyMissing({ what: 'Redis', debian: { packages: ['redis-server'], version: [] } }, {}), undefined);
  const folder = await mkdtemp(join(tmpdir(), 'bss-stack-'));
  try {
    await writeFile(join(folder, 'tempo.xz'), '');
    assert.equal(whyMissing(TEMPO, { BSS_EXTRA_BINARIES: folder }), undefined);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a component is unavailable whose image has no program', () => {
  const unavailable = unavailableComponents(DEFINITIONS, {}).map(({ component }) => component);
  assert.deepEqual(unavailable.toSorted(), ['grafana', 'pghero', 'tempo']);
});

for (const { component, field } of [...unavailableComponents(DEFINITIONS, {}), ...uncompiledComponents()]) {
  test(`spec.${field}.enabled switches ${component} off`, () => {
    const named = (enabled: boolean): string[] => {
      const parsed = parseSpec({ [field]: { enabled } });
      assert.ok(parsed.ok, JSON.stringify(parsed));
      return presentIn(DEFINITIONS, parsed.spec).map(({ name }) => name);
    };
    assert.ok(named(true).includes(component));
    assert.ok(!named(false).includes(component));
  });
}

test('images of the stack hold programs that are built here, and no Debian package', () => {
  const images = thirdPartyImages(DEFINITIONS).filter(({ debian }) => debian?.stack);
  assert.deepEqual(
    images.map(({ name }) => name),
    ['collector', 'jaeger', 'loki', 'nodeExporter', 'tempo'],
  );
  for (const { name, debian } of images) {
    assert.deepEqual(debian?.packages, [], name);
    assert.ok(
      debian?.built?.every((program) => isProgram(program) || isExtra(program)),
      name,
    );
  }
});
