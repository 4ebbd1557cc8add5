/** The CRD on a real API server: it is accepted, explains itself, takes the examples, and refuses each kind of mistake with its message. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { ensurePrograms } from '../../../local/src/build/programs.ts';
import { startApiServer, type ApiServer } from '../../../local/src/services/index.ts';
import { DEFINITIONS } from '../platform/components/index.ts';
import { platformDefinition } from '../platform/crd.ts';
import { AUTOSCALER_MISTAKES, MISTAKES } from './mistakes.ts';
import { API_VERSION, AUTOSCALER_KIND, KIND } from './names.ts';
import { untilEstablished } from '../runtime/testing/harness.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
let server: ApiServer;
let program: string;

interface Answer {
  code: number | null;
  out: string;
  error: string;
}

/** Runs kubectl as a user would; never throws. */
async function kubectl(args: string[], input = ''): Promise<Answer> {
  const child = spawn(program, ['--kubeconfig', server.kubeconfigPath, ...args]);
  child.stdin.end(input);
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  const [out, error, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  return { code, out, error };
}

async function succeed(args: string[], input = ''): Promise<string> {
  const { code, out, error } = await kubectl(args, input);
  assert.equal(code, 0, `kubectl ${args.join(' ')}: ${error}`);
  return out;
}

const resource = (name: string, spec: unknown, kind = KIND) => stringify({ apiVersion: API_VERSION, kind, metadata: { name }, spec });

before(
  async () => {
    const [programs, started] = await Promise.all([ensurePrograms(['kubectl']), startApiServer({ own: true })]);
    program = programs.kubectl;
    server = started;
    await succeed(['apply', '--server-side', '-f', `${ROOT}crds`]);
    for (const plural of ['bssplatforms', 'consumerautoscalers'])
      await untilEstablished(() => succeed(['wait', '--for=condition=Established', `crd/${plural}.bss-platform.io`, '--timeout=30s']));
  },
  { timeout: 900_000 },
);

after(() => server?.stop());

void test('the stored definition is the one in the file: helm applies it after kubectl without a conflict', async () => {
  await succeed(['apply', '--server-side', '--field-manager=helm', '-f', `${ROOT}crds`]);
});

for (const [index, { what, spec, before: earlier, name = `mistake-${index}`, path, message }] of MISTAKES.entries()) {
  void test(`refused: ${what}`, async () => {
    if (earlier) await succeed(['apply', '-f', '-'], resource(name, earlier));
    const answer = await kubectl(['apply', '-f', '-'], resource(name, spec));
    assert.notEqual(answer.code, 0, 'it is refused');
    assert.ok(answer.error.includes(message), `${answer.error}\nexpected: ${message}`);
    assert.ok(answer.error.includes(path), `${answer.error}\nshould name: ${path}`);
  });
}

for (const [index, { what, spec, path, message }] of AUTOSCALER_MISTAKES.entries()) {
  void test(`refused: ${what}`, async () => {
    const answer = await kubectl(['apply', '-f', '-'], resource(`mistake-${index}`, spec, AUTOSCALER_KIND));
    assert.notEqual(answer.code, 0, 'it is refused');
    assert.ok(answer.error.includes(message), `${answer.error}\nexpected: ${message}`);
    assert.ok(answer.error.includes(path), `${answer.error}\nshould name: ${path}`);
  });
}

for (const file of globSync(`${ROOT}examples/*.yaml`).toSorted()) {
  void test(`accepted: ${file.slice(ROOT.length)}`, async () => {
    await kubectl(['create', 'namespace', 'bss']);
    await succeed(['apply', '--validate=strict', '-f', file]);
    for (const document of parseAllDocuments(await readFile(file, 'utf8'))) assert.equal(document.errors.length, 0);
  });
}

/** The spec of the definition with more workloads, each with the fields that all of them have. */
function grown(definition: ReturnType<typeof platformDefinition>, workloads: number) {
  const copy = structuredClone(definition);
  const fields = copy.spec.versions[0]?.schema.openAPIV3Schema.properties?.['spec']?.properties?.['workloads']?.properties;
  const plain = fields?.['kafkaExporter'];
  assert.ok(fields && plain);
  for (let number = 1; number <= workloads; number++) fields[`workload${number}`] = structuredClone(plain);
  return copy;
}

void test('a definition with 35 components is within the limits of the API server, the cost of its rules included', async () => {
  const definition = grown(platformDefinition(), 35 - DEFINITIONS.length);
  await succeed(['apply', '--server-side', '--force-conflicts', '--dry-run=server', '-f', '-'], JSON.stringify(definition));
});

void test('an object stored by 0.1.0 is still accepted', async () => {
  const stored: { spec: unknown } = parse(await readFile(new URL('testdata/stored-0.1.0.yaml', import.meta.url), 'utf8'));
  await succeed(['apply', '--validate=strict', '-f', '-'], resource('stored', stored.spec));
});

void test('a volume may grow, and an unset size be set', async () => {
  for (const storage of [{}, { size: '5Gi' }, { size: '10Gi' }, { size: 20_000_000_000 }]) {
    await succeed(['apply', '-f', '-'], resource('growing', { kafka: { managed: { storage } } }));
  }
});

void test('kubectl explain and kubectl get read well', async () => {
  const explained = await succeed(['explain', 'bss.spec.workloads.interest.autoscaling.maxDelay']);
  assert.match(explained, /no event waits longer than this/);
  assert.match(explained, /Default: 30s/);
  assert.match(await succeed(['explain', 'bss.spec', '--recursive']), /maxClientConnections\s+<integer>/);
  await succeed(['apply', '-f', '-'], resource('shown', {}));
  const header = (await succeed(['get', 'bss', 'shown'])).split('\n')[0];
  assert.match(header ?? '', /^NAME +READY +STATUS +LAG +CONSUMERS +ALERTS +VERSION +AGE$/);
});

void test('kubectl explain and kubectl get read well for a ConsumerAutoscaler', async () => {
  assert.match(await succeed(['explain', 'cas.spec.maxDelay']), /no event waits longer than this.*Default: 30s/s);
  assert.match(await succeed(['explain', 'cas.spec.scaleTargetRef']), /The operator sets only its\s+replicas/);
  const spec = { scaleTargetRef: { name: 'shipper' }, group: 'shipping', topics: ['orders'], brokers: ['kafka:9092'] };
  await succeed(['apply', '-f', '-'], resource('shown', spec, AUTOSCALER_KIND));
  const header = (await succeed(['get', 'cas', 'shown'])).split('\n')[0];
  assert.match(header ?? '', /^NAME +GROUP +REPLICAS +DESIRED +LAG +DELAY +REASON +READY +AGE$/);
});
