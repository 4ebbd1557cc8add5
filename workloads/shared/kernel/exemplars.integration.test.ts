import assert from 'node:assert/strict';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'node:test';
import { ensurePrograms } from '../../../local/src/build/programs.ts';
import { serverFolder } from '../../../local/src/services/folder.ts';
import { freePorts } from '../../../local/src/services/ports.ts';
import { ServerProcess } from '../../../local/src/services/process.ts';
import { waitFor } from '../testing/wait.ts';
import { Health, startOpsServer } from './health.ts';
import { Metrics } from './metrics.ts';
import { inSpan, startTelemetry } from './telemetry.ts';

const HOST = '127.0.0.1';

await test('a real Prometheus scrapes OpenMetrics and answers with the trace of an exemplar', { timeout: 180_000 }, async (t) => {
  const metrics = new Metrics({ service: 'test' });
  const stop = startTelemetry({ serviceName: 'test', version: '0', resource: {}, ratio: 1 }, metrics);
  const seconds = metrics.histogram('work_duration_seconds', 'Work', [0.2, 1], ['kind']);
  metrics.counter('things_total', 'Things', [], [{}]).inc(3);
  const { traceId } = await inSpan('work', {}, async (span) => {
    seconds.observe({ kind: 'x' }, 0.5);
    return span.spanContext();
  });
  const [target = 0, port = 0] = await freePorts(2);
  const ops = await startOpsServer(target, new Health(), metrics);
  const [{ prometheus }, folder] = await Promise.all([ensurePrograms(['prometheus']), serverFolder('exemplars')]);
  const config = {
    global: { scrape_interval: '1s' },
    scrape_configs: [{ job_name: 'test', static_configs: [{ targets: [`${HOST}:${target}`] }] }],
  };
  await writeFile(join(folder, 'prometheus.yml'), JSON.stringify(config));
  const server = new ServerProcess({
    name: 'Prometheus',
    command: [
      prometheus,
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=${HOST}:${port}`,
      '--enable-feature=exemplar-storage',
    ],
    logFile: join(folder, 'prometheus.log'),
    port,
  });
  t.after(async () => {
    await server.kill();
    ops.close();
    ops.closeAllConnections();
    await stop();
    await rm(folder, { recursive: true, force: true });
  });
  await server.start();
  const ask = async (path: string) => (await (await fetch(`http://${HOST}:${port}/api/v1/${path}`)).json()) as { data: unknown };
  const found = await waitFor('the exemplar', async () => {
    const { data } = await ask('query_exemplars?query=work_duration_seconds_bucket&start=0&end=99999999999');
    const text = JSON.stringify(data);
    return text.includes('exemplars') && text;
  });
  assert.ok(found.includes(`"trace_id":"${traceId}"`), found);
  // Prometheus makes the exemplars of a scrape visible before its samples.
  for (const [query, value] of [
    ['things_total', '3'],
    ['work_duration_seconds_bucket{le="1.0"}', '1'],
  ] as const) {
    await waitFor(`${query} to be ${value}`, async () => {
      const { data } = await ask(`query?query=${encodeURIComponent(query)}`);
      return JSON.stringify(data).includes(`,"${value}"]`);
    });
  }
});
