/** `make up`, `install`, `down`, `status`, `shell`, `images`: the verbs of the Makefile on the chosen target. */
import process from 'node:process';
import { describeError, Failure } from '../failure.ts';
import { chooseTarget } from './choose.ts';
import { installOperator } from './install.ts';
import { bringUpWithStack, type Target } from './target.ts';

/** Each resolves to the exit code. */
const VERBS: Record<string, (target: Target) => Promise<number>> = {
  up: (target) => target.up().then(() => 0),
  install,
  down: (target) => target.down().then(() => 0),
  status,
  shell: (target) => target.shell(),
  images,
};

async function install(target: Target): Promise<number> {
  await bringUpWithStack(target);
  await installOperator(target);
  console.log(`The operator runs on ${target.title}. Next: kubectl apply -f examples/demo.yaml`);
  const tag = await target.imageTag();
  if (tag !== undefined) {
    console.log(
      `Platforms run bss-platform/workloads:0.1.0 by default. A platform that is to follow each build names this one in its spec:`,
    );
    console.log(`  images: { workloads: 'bss-platform/workloads:${tag}' }`);
  }
  for (const { component, field, reason } of target.unavailable())
    console.log(`${component} cannot run on this cluster (${reason}): set spec.${field}.enabled: false.`);
  return 0;
}

async function images(target: Target): Promise<number> {
  await target.buildImages();
  await target.buildStack();
  return 0;
}

/** Read-only: it does not start a cluster that does not run. */
async function status(target: Target): Promise<number> {
  const kubectl = await target.find();
  if (kubectl === undefined) {
    console.log(`The ${target.title} does not run. Start it with: make up`);
    return 1;
  }
  console.log(await kubectl.run(['get', 'nodes,pods', '-A']));
  const served = await kubectl.find(['crd', 'bssplatforms.bss-platform.io']);
  console.log(served === undefined ? 'No operator is installed.' : await kubectl.run(['get', 'bss', '-A']));
  return 0;
}

async function main(): Promise<number> {
  const verb = process.argv[2] ?? '';
  const action = VERBS[verb];
  if (action === undefined) throw new Failure(`usage: main.ts ${Object.keys(VERBS).join(' | ')}`);
  const { target, reason } = chooseTarget();
  console.log(reason);
  try {
    return await action(target);
  } finally {
    await target.close();
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(describeError(error));
  process.exitCode = 1;
}
