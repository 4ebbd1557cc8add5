#!/usr/bin/env node
/** `bss`; as `kubectl-bss` on the PATH, the kubectl plugin. */
import { writeFile } from 'node:fs/promises';
import process from 'node:process';
import { stringify } from 'yaml';
import { autoscalerDefinition } from '../api/crd.ts';
import { AUTOSCALER_KIND } from '../api/index.ts';
import { platformDefinition } from '../platform/crd.ts';
import { KubeClient, KubeError, loadKubeConfig, Metrics } from '../runtime/index.ts';
import { archive } from './archive.ts';
import { describeFindings, examine, isHealthy } from './doctor.ts';
import { collectDump } from './dump.ts';
import { EXPLAIN_USAGE, parseExplainArguments } from './explain-arguments.ts';
import { explainScaling } from './explain-scaling.ts';
import { fromKeda } from './from-keda.ts';
import { painter, type Paint } from './output.ts';
import { describePlan, hasChanges } from './plan-text.ts';
import { describeAutoscalerPlan, hasAutoscalerChanges, planAutoscaler } from './plan-autoscaler.ts';
import { plan } from './plan.ts';
import { render } from './render.ts';
import { readObjects, readPlatforms, readResources } from './resource.ts';
import { resourceNamed, type Scope } from './scope.ts';
import { showStatus, watchStatus } from './status.ts';
import { parseArguments, USAGE, UsageError, type Arguments } from './usage.ts';
import { waitForReady } from './wait.ts';

/** Success or no changes; an error or problem; changes planned. */
const EXIT = { ok: 0, wrong: 1, changes: 2 } as const;

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof UsageError) && !(error instanceof KubeError)) throw error;
  console.error(`bss: ${error.message}`);
  process.exitCode = EXIT.wrong;
}

async function main(argv: string[]): Promise<number> {
  if (argv[0] === 'explain-scaling') return runExplainScaling(argv.slice(1));
  const given = parseArguments(argv);
  if (given === undefined) {
    console.log(USAGE);
    return EXIT.ok;
  }
  const paint = paintFor(given.color);
  switch (given.command) {
    case 'crd':
      console.log(definitions());
      return EXIT.ok;
    case 'from-keda':
      console.log(fromKeda(await readObjects(given.filename ?? '-')).trimEnd());
      return EXIT.ok;
    case 'render':
      return runRender(given);
    case 'plan':
      return runPlan(given, paint);
    case 'status':
      return runStatus(given, paint);
    case 'doctor':
      return runDoctor(given, paint);
    case 'dump':
      return runDump(given);
  }
}

function definitions(): string {
  return [platformDefinition(), autoscalerDefinition()]
    .map((definition) => stringify(definition, { lineWidth: 0 }))
    .join('---\n')
    .trimEnd();
}

function paintFor(color: boolean): Paint {
  return painter(color && process.stdout.isTTY && process.env['NO_COLOR'] === undefined);
}

/** It has its own options. */
async function runExplainScaling(argv: string[]): Promise<number> {
  const given = parseExplainArguments(argv);
  if (given === undefined) console.log(EXPLAIN_USAGE);
  else await explainScaling(given, () => connect(given), paintFor(given.color), console.log);
  return EXIT.ok;
}

async function runRender({ filename = '', namespace = 'default', operatorNamespace }: Arguments): Promise<number> {
  const platforms = await readPlatforms(filename, namespace);
  console.log(
    platforms
      .map((platform) => render(platform, operatorNamespace))
      .join('---\n')
      .trimEnd(),
  );
  return EXIT.ok;
}

async function runPlan(given: Arguments, paint: Paint): Promise<number> {
  const { client, namespace } = connect(given);
  const { platforms, autoscalers } = await readResources(given.filename ?? '', namespace);
  let code: number = EXIT.ok;
  for (const platform of platforms) {
    const planned = await plan(client, platform, given.operatorNamespace);
    console.log(describePlan(planned, paint));
    if (planned.changes.some(({ action }) => action === 'refused')) code = EXIT.wrong;
    else if (code === EXIT.ok && hasChanges(planned)) code = EXIT.changes;
  }
  for (const autoscaler of autoscalers) {
    const planned = await planAutoscaler(client, autoscaler);
    console.log(describeAutoscalerPlan(planned, paint));
    if (code === EXIT.ok && hasAutoscalerChanges(planned)) code = EXIT.changes;
  }
  return code;
}

async function runStatus(given: Arguments, paint: Paint): Promise<number> {
  const { client, namespace } = connect(given);
  const scope = scopeOf(given, namespace);
  if (given.wait) {
    if (scope.kind === AUTOSCALER_KIND)
      throw new UsageError(`--wait is for platforms: kubectl wait --for=condition=Ready cas/${scope.name} -n ${namespace}`);
    // Progress is no result: a script reads the trees from standard output.
    const progress = (line: string) => console.error(line);
    console.log(await waitForReady(client, scope, paint, { limitMs: given.timeoutMs, signal: interruption(), progress }));
    return EXIT.ok;
  }
  if (!given.watch) {
    console.log(await showStatus(client, scope, paint));
    return EXIT.ok;
  }
  await watchStatus(client, scope, paint, interruption());
  return EXIT.ok;
}

function scopeOf({ allNamespaces, name }: Arguments, namespace: string): Scope {
  return { ...(allNamespaces ? {} : { namespace }), ...(name === undefined ? {} : resourceNamed(name)) };
}

function interruption(): AbortSignal {
  const interrupted = new AbortController();
  process.once('SIGINT', () => interrupted.abort());
  process.once('SIGTERM', () => interrupted.abort());
  return interrupted.signal;
}

async function runDump({ name = '', operatorNamespace, ...given }: Arguments): Promise<number> {
  const { client, namespace } = connect(given);
  const resource = resourceNamed(name);
  const files = await collectDump(client, { namespace, ...resource, operatorNamespace }, new Date());
  const folder = `bss-dump-${namespace}-${resource.kind === AUTOSCALER_KIND ? 'cas-' : ''}${resource.name}`;
  const content = await archive(folder, files);
  const { output = `${folder}.tar.gz` } = given;
  if (output === '-') process.stdout.write(content);
  else {
    await writeFile(output, content, { mode: 0o600 }).catch((error: Error) => {
      throw new UsageError(`cannot write ${output}: ${error.message}`);
    });
    console.log(`${output}: ${files.size} files, without the values of Secrets. Read it before you publish it.`);
  }
  return EXIT.ok;
}

async function runDoctor(given: Arguments, paint: Paint): Promise<number> {
  const { client, namespace } = connect(given);
  const sections = await examine(client, scopeOf(given, namespace), given.operatorNamespace, Date.now());
  console.log(describeFindings(sections, paint));
  return isHealthy(sections) ? EXIT.ok : EXIT.wrong;
}

/** @throws UsageError when no cluster is configured */
function connect({ context, namespace }: Pick<Arguments, 'context' | 'namespace'>): { client: KubeClient; namespace: string } {
  try {
    const config = loadKubeConfig(context === undefined ? {} : { context });
    const client = new KubeClient({ config, metrics: new Metrics(), userAgent: 'bss' });
    return { client, namespace: namespace ?? client.namespace ?? 'default' };
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}
