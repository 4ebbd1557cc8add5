/**
 * The manifests that users get, under kube-score: every platform of the golden files, and the plain install manifest. Each finding is mended or
 * answered in kube-score.yaml.
 */
import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse, parseAllDocuments } from 'yaml';
import { ensurePrograms, KUBERNETES_VERSION } from '../../../local/src/build/programs.ts';
import { run, RunError } from '../../../local/src/exec.ts';
import { answersOf, objectName, reportOf, unansweredOf, type Answer, type Report } from './testing/kube-score.ts';

const HERE = fileURLToPath(new URL('.', import.meta.url));
const INSTALL = fileURLToPath(new URL('../../../charts/install.yaml', import.meta.url));
const FILES = [...globSync(`${HERE}golden/*.yaml`).filter((file) => !file.endsWith('.spec.yaml')), INSTALL].toSorted();

/** All checks, the optional ones too. Annotations in manifests do not switch checks on or off: answers are in one place. */
const ARGUMENTS = [
  'score',
  '--all-default-optional',
  '--disable-ignore-checks-annotations',
  '--disable-optional-checks-annotations',
  `--kubernetes-version=${KUBERNETES_VERSION.replace(/\.\d+$/, '')}`,
  '--output-format=json',
  '-',
];

let program: string;
let answers: Answer[];
let manifests: { name: string; text: string }[];

before(
  async () => {
    program = (await ensurePrograms(['kube-score']))['kube-score'];
    answers = answersOf(parse(await readFile(`${HERE}kube-score.yaml`, 'utf8')));
    manifests = await Promise.all(FILES.map(async (file) => ({ name: basename(file, '.yaml'), text: await readFile(file, 'utf8') })));
  },
  { timeout: 600_000 },
);

async function score(name: string, text: string): Promise<Report> {
  const { stdout } = await run(program, ARGUMENTS, { input: text }).catch((error: unknown) => {
    // Code 1 with a report: there are findings.
    if (error instanceof RunError && error.code === 1 && error.stdout.startsWith('[')) return error;
    throw error;
  });
  return reportOf(name, stdout);
}

interface ObjectWithPods {
  kind: string;
  metadata: { name: string };
  spec?: { template?: { spec?: { containers: { resources: { limits: Record<string, string> } }[] } } };
}

function objectsOf(text: string): ObjectWithPods[] {
  return parseAllDocuments(text).map((document): ObjectWithPods => document.toJS());
}

void test('every finding has an answer, and every answer a finding', async () => {
  const reports = await Promise.all(manifests.map(({ name, text }) => score(name, text)));
  const lines = unansweredOf(
    reports.flatMap(({ findings }) => findings),
    answers,
  );
  assert.equal(lines.join('\n'), '', 'mend the builder, or answer the finding in operator/src/platform/kube-score.yaml');
});

void test('kube-score reads every object that has pods', async () => {
  for (const { name, text } of manifests) {
    const withPods = objectsOf(text).filter(({ spec }) => spec?.template?.spec !== undefined);
    const { objects } = await score(name, text);
    assert.ok(withPods.length > 0, name);
    for (const { kind, metadata } of withPods) assert.ok(objects.includes(objectName(kind, metadata.name)), `${name}: ${metadata.name}`);
  }
});

void test('a container without a memory limit is a finding that no answer covers', async () => {
  const small = manifests.find(({ name }) => name === 'small')?.text ?? '';
  const objects = objectsOf(small);
  const ledger = objects.find(({ kind, metadata }) => kind === 'Deployment' && metadata.name === 'demo-ledger');
  delete ledger?.spec?.template?.spec?.containers[0]?.resources.limits['memory'];
  const { findings } = await score('small', objects.map((object) => JSON.stringify(object)).join('\n---\n'));
  const lines = unansweredOf(findings, answers).filter((line) => line.startsWith('small: '));
  assert.deepEqual(lines, ['small: Deployment/demo-ledger ledger: Memory limit is not set (container-resources)']);
});
