/**
 * Random specs on a real API server: what it admits as a BssPlatform, the builders turn into manifests that it admits too. `FUZZ_SEED` repeats a run,
 * `FUZZ_SPECS` sets the number of specs, and `FUZZ_FIELD` names a field of the spec that is drawn alone, such as `templates`.
 */
import assert from 'node:assert/strict';
import process from 'node:process';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { parse } from 'yaml';
import { startApiServer, type ApiServer } from '../../../local/src/services/index.ts';
import { API_VERSION, FIELD_MANAGER, KIND, type BssPlatform } from '../api/index.ts';
import type { Schema } from '../api/json-schema.ts';
import { fingerprint, KubeClient, KubeError, loadKubeConfig, Metrics } from '../runtime/index.ts';
import { until } from '../runtime/testing/harness.ts';
import { platformDefinition } from './crd.ts';
import { inputOf } from './golden.ts';
import { buildPlatform, POD_MONITOR, PROMETHEUS_RULE } from './index.ts';
import { parseSpec } from './spec.ts';
import { randomSpec, seeded } from './testing/random-spec.ts';
import type { KubernetesObject } from './types.ts';

const SPECS = Number(process.env['FUZZ_SPECS'] ?? 200);
const SEED = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 32));
const FIELD = process.env['FUZZ_FIELD'];
/** Requests at the same time. */
const TOGETHER = 8;
const NAMESPACE = 'random-specs';

let server: ApiServer;
let client: KubeClient;

before(
  async () => {
    server = await startApiServer({ own: true });
    client = new KubeClient({ config: loadKubeConfig({ path: server.kubeconfigPath }), metrics: new Metrics() });
    const files = ['httproute-crd.yaml', 'prometheus-operator/podmonitors.yaml', 'prometheus-operator/prometheusrules.yaml'];
    const texts = await Promise.all(files.map((file) => readFile(new URL(`testdata/${file}`, import.meta.url), 'utf8')));
    const optional = texts.map((text) => parse(text) as KubernetesObject);
    for (const definition of [platformDefinition() as KubernetesObject, ...optional]) await client.create(definition);
    await client.create({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } });
    const served = [
      { apiVersion: API_VERSION, kind: KIND },
      { apiVersion: 'gateway.networking.k8s.io/v1', kind: 'HTTPRoute' },
      POD_MONITOR,
      PROMETHEUS_RULE,
    ];
    for (const kind of served) await until(`${kind.kind} to be served`, 60_000, () => client.serves(kind));
  },
  { timeout: 900_000 },
);

after(() => server?.stop());

/** As the API server would store it; undefined when it refuses it. */
async function admitted(spec: unknown): Promise<unknown> {
  const metadata = { name: 'demo', namespace: NAMESPACE };
  try {
    const platform = { apiVersion: API_VERSION, kind: KIND, metadata, spec };
    return ((await client.apply(platform, { fieldManager: 'test', dryRun: true })) as unknown as BssPlatform).spec;
  } catch (error) {
    if (error instanceof KubeError && error.reason === 'Invalid') return undefined;
    throw error;
  }
}

/** Manifests that were admitted: most components are the same for most specs. */
const known = new Set<string>();

/** @returns why the API server refuses it; undefined when it does not */
async function refusal(manifest: KubernetesObject): Promise<string | undefined> {
  const mark = fingerprint(manifest);
  // KEDA's kinds are not served here.
  if (known.has(mark) || manifest.apiVersion.startsWith('keda.sh/')) return undefined;
  try {
    await client.apply(manifest, { fieldManager: FIELD_MANAGER, force: true, dryRun: true });
    known.add(mark);
    return undefined;
  } catch (error) {
    if (error instanceof KubeError && !error.retriable) return `${manifest.kind} ${manifest.metadata.name}: ${error.message}`;
    throw error;
  }
}

/** What is wrong with an admitted spec. */
async function problemsOf(stored: unknown): Promise<string[]> {
  const parsed = parseSpec(stored);
  if (!parsed.ok) return parsed.problems.map(({ path, message }) => `the operator refuses it: ${path}: ${message}`);
  const { uid: _none, ...input } = inputOf(stored);
  const manifests = buildPlatform({ ...input, namespace: NAMESPACE }).flatMap((component) => component.manifests);
  return (await Promise.all(manifests.map(refusal))).filter((problem) => problem !== undefined);
}

/** The schema that specs are drawn from. */
function drawnSchema(): Schema {
  const schema = platformDefinition().spec.versions[0]?.schema.openAPIV3Schema.properties?.['spec'] as Schema;
  const field = FIELD === undefined ? undefined : schema.properties?.[FIELD];
  return FIELD === undefined || field === undefined ? schema : { ...schema, properties: { [FIELD]: field }, required: [FIELD] };
}

void test(`what is admitted as a platform can be built and is admitted: FUZZ_SEED=${SEED}`, { timeout: 540_000 }, async (context) => {
  const schema = drawnSchema();
  const random = seeded(SEED);
  const specs = Array.from({ length: SPECS }, () => randomSpec(schema, random));
  const failures: string[] = [];
  let taken = 0;
  const work = async () => {
    for (let spec = specs.pop(); spec !== undefined; spec = specs.pop()) {
      const stored = await admitted(spec);
      if (stored === undefined) continue;
      taken += 1;
      const problems = await problemsOf(stored);
      if (problems.length > 0) failures.push(`${JSON.stringify(spec)}\n  ${problems.join('\n  ')}`);
    }
  };
  await Promise.all(Array.from({ length: TOGETHER }, work));
  context.diagnostic(`${taken} of ${SPECS} specs were admitted, ${known.size} different manifests`);
  assert.deepEqual(failures.slice(0, 10), [], `${failures.length} specs; FUZZ_SEED=${SEED} repeats the run`);
  assert.ok(taken >= SPECS / 10, 'enough of the specs are admitted to say something');
});
