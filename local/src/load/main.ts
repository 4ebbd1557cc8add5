/** `make load`: runs a load test against the gateway of the platform on the chosen target, and writes docs/results/load-<scenario>.md. */
import { join } from 'node:path';
import process from 'node:process';
import { isReady, missing, PlatformResource } from '../demo/platform.ts';
import { runInTerminal } from '../exec.ts';
import { describeError, Failure } from '../failure.ts';
import { PROJECT_DIR } from '../paths.ts';
import { chooseTarget } from '../target/choose.ts';
import type { Target } from '../target/target.ts';
import { loadTest, requireScenario } from './scenarios.ts';

const RESULTS = join(PROJECT_DIR, 'docs', 'results');
const GATEWAY_PORT = 8080;

async function main(): Promise<number> {
  const scenario = process.env['SCENARIO'] || 'smoke';
  requireScenario(scenario);
  const { target, reason } = chooseTarget();
  console.log(reason);
  try {
    return await load(target, scenario);
  } finally {
    await target.close();
  }
}

async function load(target: Target, scenario: string): Promise<number> {
  const platform = await readyPlatform(target);
  const url = await target.forward(platform.namespace, `${platform.name}-gateway`, GATEWAY_PORT);
  const apiKey = await platform.credential('api-key');
  console.log(`Load test ${scenario} against ${platform.namespace}/${platform.name} at ${url}`);
  const { program, args, env } = await loadTest({ scenario, url, apiKey, results: RESULTS, versions: await versionsOf(target, platform) });
  const code = await runInTerminal(program, args, env);
  console.log(`Written: docs/results/load-${scenario}.md`);
  return code;
}

/** @throws Failure when the cluster does not run, or the platform is not Ready */
async function readyPlatform(target: Target): Promise<PlatformResource> {
  const kubectl = await target.find();
  if (kubectl === undefined) throw new Failure(`The ${target.title} does not run.`, { tryNext: ['make demo'] });
  const [namespace, name] = platformName(process.env['PLATFORM'] || 'bss/demo');
  const platform = new PlatformResource(kubectl, namespace, name);
  const current = await platform.get();
  if (!isReady(current)) throw new Failure(`The platform ${namespace}/${name} is not Ready: ${missing(current).join('; ')}`);
  return platform;
}

function platformName(text: string): [namespace: string, name: string] {
  const [namespace = '', name = '', ...rest] = text.split('/');
  if (namespace === '' || name === '' || rest.length > 0)
    throw new Failure(`PLATFORM is "${text}": write namespace/name, such as bss/demo.`);
  return [namespace, name];
}

async function versionsOf(target: Target, platform: PlatformResource): Promise<string[]> {
  const { serverVersion } = await platform.kubectl.json<{ serverVersion: { gitVersion: string } }>(['version']);
  const current = await platform.get();
  return [`platform ${current?.status?.version ?? 'unknown'}`, `Kubernetes ${serverVersion.gitVersion} (${target.kind})`];
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(describeError(error));
  process.exitCode = 1;
}
