/** Each import rule reports the import that it forbids, in a tree that breaks every rule once. */
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { cruise, type ICruiseResult } from 'dependency-cruiser';
import rules from '../import-rules.ts';

const ROOT = new URL('..', import.meta.url).pathname;

/** What each rule must report: importing file, then what it imports. */
const VIOLATIONS: Record<string, [from: string, to: string]> = {
  'no-cycle': ['local/src/a.ts', 'local/src/b.ts'],
  resolvable: ['local/src/c.ts', 'local/src/absent.ts'],
  'no-test-code': ['operator/src/runtime/client.ts', 'operator/src/runtime/testing/harness.ts'],
  'operator-objects': ['operator/src/objects/object.ts', 'operator/src/runtime/clock.ts'],
  'operator-api': ['operator/src/api/spec.ts', 'operator/src/platform/names.ts'],
  'operator-runtime': ['operator/src/runtime/apply.ts', 'operator/src/api/names.ts'],
  'operator-autoscale': ['operator/src/autoscale/decide.ts', 'operator/src/runtime/clock.ts'],
  'operator-platform': ['operator/src/platform/scaling.ts', 'operator/src/autoscale/types.ts'],
  'operator-reconcile': ['operator/src/reconcile/reconciler.ts', 'operator/src/cli/output.ts'],
  'operator-cli': ['operator/src/cli/main.ts', 'operator/src/main.ts'],
  pure: ['operator/src/platform/pods.ts', 'node:fs'],
  'operator-alone': ['operator/src/operator.ts', 'local/src/services.ts'],
  'dashboards-alone': ['dashboards/src/rules/index.ts', 'operator/src/objects/index.ts'],
  'k6-alone': ['k6/lib/report.ts', 'node:fs'],
  'workloads-kernel': ['workloads/shared/kernel/http.ts', 'workloads/shared/contracts/account.ts'],
  'workloads-contracts': ['workloads/shared/contracts/order.ts', 'workloads/ledger/api.ts'],
  'workloads-databases': ['workloads/shared/databases/schema.ts', 'workloads/ledger/api.ts'],
  'services-apart': ['workloads/gateway/api.ts', 'workloads/ledger/store.ts'],
  'workloads-alone': ['workloads/gateway/main.ts', 'local/src/services.ts'],
  'local-operator': ['local/src/demo.ts', 'operator/src/api/names.ts'],
  'end-to-end-outside': ['test/e2e/platform.e2e.test.ts', 'operator/src/api/names.ts'],
  'wrapped-prom-client': ['workloads/gateway/metrics.ts', 'prom-client'],
  'wrapped-kafkajs': ['operator/src/reconcile/health/kafka.ts', 'kafkajs'],
  'wrapped-pino': ['operator/src/cli/log.ts', 'pino'],
  'wrapped-cdk8s': ['operator/src/reconcile/build.ts', 'cdk8s'],
};

const isFile = (path: string): boolean => path.endsWith('.ts');

async function write(root: string, path: string, text: string): Promise<void> {
  await mkdir(dirname(join(root, path)), { recursive: true });
  await writeFile(join(root, path), text);
}

/** Writes a file for each side of each import; those that are only imported import nothing. */
async function writeTree(root: string): Promise<void> {
  for (const [, to] of Object.values(VIOLATIONS)) if (isFile(to) && !to.includes('absent')) await write(root, to, 'export const x = 1;\n');
  for (const [from, to] of Object.values(VIOLATIONS)) {
    const specifier = isFile(to) ? `${'../'.repeat(from.split('/').length - 1)}${to}` : to;
    await write(root, from, `import type { x } from '${specifier}';\nexport type Y = typeof x;\n`);
  }
  await write(root, 'local/src/a.ts', "export { x as y } from './b.ts';\n");
  await write(root, 'local/src/b.ts', "export { y } from './a.ts';\nexport const x = 1;\n");
  await write(root, 'local/src/d.ts', "import type { E } from './e.ts';\nexport type D = E[];\n");
  await write(root, 'local/src/e.ts', "import type { D } from './d.ts';\nexport interface E {\n  d?: D;\n}\n");
}

/** `rule: from -> to` of each violation. */
async function violations(baseDir: string): Promise<string[]> {
  const { forbidden, options } = rules;
  const folders = ['operator', 'workloads', 'local', 'dashboards', 'k6', 'test'];
  const { output } = await cruise(folders, { ...options, baseDir, validate: true, ruleSet: { forbidden } });
  return (output as ICruiseResult).summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`);
}

await test('every rule reports the import that it forbids', async (context) => {
  const root = await mkdtemp(join(tmpdir(), 'import-rules-'));
  context.after(() => rm(root, { recursive: true }));
  await symlink(join(ROOT, 'node_modules'), join(root, 'node_modules'));
  await writeTree(root);
  const found = await violations(root);
  assert.deepEqual(
    found.filter((line) => /src\/[de]\.ts/.test(line)),
    [],
    'a circle of types alone is allowed',
  );
  for (const [rule, [from]] of Object.entries(VIOLATIONS))
    assert.ok(
      found.some((line) => line.startsWith(`${rule}: ${from} -> `)),
      `${rule} reports ${from}; reported:\n${found.join('\n')}`,
    );
  assert.deepEqual(
    rules.forbidden.map(({ name = '' }) => name).toSorted(),
    Object.keys(VIOLATIONS).toSorted(),
    'each rule has its violation here',
  );
});
