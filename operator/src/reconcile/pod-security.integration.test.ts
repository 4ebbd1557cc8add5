/** Agents on the nodes in a namespace whose Pod Security level refuses them, on a real API server. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { examine } from '../cli/doctor.ts';
import { POD_SECURITY_LABEL } from '../platform/index.ts';
import { until } from '../runtime/testing/harness.ts';
import { Cluster, LIMIT_MS, type TestPlatform } from './testing/cluster.ts';

const AGENTS = ['log-agent', 'node-exporter'];

let cluster: Cluster;
let platform: TestPlatform;

before(
  async () => {
    cluster = await Cluster.start();
    platform = await cluster.platform('agents', { prometheus: {}, loki: {} });
  },
  { timeout: 900_000 },
);

after(() => cluster?.stop());

const namespace = () => ({ apiVersion: 'v1', kind: 'Namespace', name: platform.namespace });
const enforce = (level: string | null) => cluster.client.patch(namespace(), { metadata: { labels: { [POD_SECURITY_LABEL]: level } } });

async function notes(): Promise<string[]> {
  const sections = await examine(cluster.client, { namespace: platform.namespace }, 'bss-system', Date.now());
  return sections.flatMap(({ findings }) => findings.filter(({ note }) => note).map(({ what }) => what));
}

void test('the agents run where no level is enforced, and are not there while the platform hibernates', async () => {
  const { components = [] } = await platform.ready();
  for (const name of AGENTS) {
    await platform.have('DaemonSet', name);
    const shown = components.find((component) => component.name === name);
    assert.deepEqual([shown?.kind, shown?.ready, shown?.desired], ['DaemonSet', 1, 1]);
  }
  await platform.patch({ spec: { hibernate: true } });
  for (const name of AGENTS) await platform.gone('DaemonSet', name);
  await platform.until('Ready', 'False', 'Hibernated');
  await platform.patch({ spec: { hibernate: false } });
  for (const name of AGENTS) await platform.have('DaemonSet', name);
});

void test('where the namespace enforces "restricted", the platform is ready without them, and status and doctor say what to do', async () => {
  await enforce('restricted');
  // A change of the spec begins a pass.
  await platform.patch({ spec: { seedAccounts: 1 } });
  for (const name of AGENTS) await platform.gone('DaemonSet', name);
  const { warnings = [] } = await platform.ready();
  const refused = warnings.filter((warning) => warning.includes('enforces Pod Security restricted'));
  assert.equal(refused.length, AGENTS.length, warnings.join('\n'));
  assert.match(refused.join('\n'), /kubectl label namespace \S+ pod-security\.kubernetes\.io\/enforce=privileged --overwrite/);
  assert.equal((await notes()).filter((note) => note.includes('Pod Security restricted')).length, AGENTS.length);
});

void test('they come back, and the warnings go, when the label is gone', async () => {
  await enforce(null);
  await platform.patch({ spec: { seedAccounts: 2 } });
  for (const name of AGENTS) await platform.have('DaemonSet', name);
  await until('the warnings to go', LIMIT_MS, async () => {
    const { warnings = [] } = await platform.status();
    return !warnings.some((warning) => warning.includes('Pod Security'));
  });
});
