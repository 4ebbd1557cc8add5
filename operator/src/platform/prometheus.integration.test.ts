/** The configuration of Prometheus under the promtool that is built with it: it knows no more service discoveries than the server. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { stringify } from 'yaml';
import { ensurePrograms } from '../../../local/src/build/programs.ts';
import { run } from '../../../local/src/exec.ts';
import { goldenInput } from './golden.ts';
import { buildPlatform } from './index.ts';

for (const name of ['small', 'production', 'external']) {
  test(`${name}: Prometheus accepts its configuration and its rules`, { timeout: 600_000 }, async (context) => {
    const { promtool } = await ensurePrograms(['promtool']);
    const folder = await mkdtemp(join(tmpdir(), 'prometheus-'));
    context.after(() => rm(folder, { recursive: true }));
    const manifests = buildPlatform(await goldenInput(name)).flatMap((component) => component.manifests);
    const config = manifests.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === 'demo-prometheus');
    for (const [file, text] of Object.entries(config?.['data'] as Record<string, string>)) {
      // The files stand side by side here, not below /etc/prometheus.
      await writeFile(join(folder, file), text.replace('/etc/prometheus/', ''));
    }
    await run(promtool, ['check', 'config', '--lint=all', join(folder, 'prometheus.yml')]);
  });
}

test('existing-monitoring: Prometheus accepts the rules of the PrometheusRule', { timeout: 600_000 }, async (context) => {
  const { promtool } = await ensurePrograms(['promtool']);
  const folder = await mkdtemp(join(tmpdir(), 'prometheus-'));
  context.after(() => rm(folder, { recursive: true }));
  const manifests = buildPlatform(await goldenInput('existing-monitoring')).flatMap((component) => component.manifests);
  const rule = manifests.find(({ kind }) => kind === 'PrometheusRule');
  await writeFile(join(folder, 'rules.yml'), stringify(rule?.['spec']));
  await run(promtool, ['check', 'rules', '--lint=all', '--lint-fatal', join(folder, 'rules.yml')]);
});
