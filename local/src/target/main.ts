/** `make up`, `install`, `down`, `status`: the chosen target's verbs for the Makefile. */
import process from 'node:process';
import { describeError } from '../failure.ts';
import { chooseTarget } from './choose.ts';
import { installOperator } from './install.ts';
import { bringUp, type Target } from './target.ts';

const VERBS: Record<string, (target: Target) => Promise<void>> = {
  up: (target) => target.up(),
  install,
  down: (target) => target.down(),
  status,
};

async function install(target: Target): Promise<void> {
  await bringUp(target);
  await installOperator(target);
  console.log(`The operator runs on ${target.title}. Next: kubectl apply -f examples/demo.yaml`);
}

async function status(target: Target): Promise<void> {
  const kubectl = await target.kubectl();
  console.log(`${target.title}\n`);
  console.log(await kubectl.run(['get', 'nodes,bss,pods', '-A']));
}

async function main(): Promise<void> {
  const verb = process.argv[2] ?? '';
  const action = VERBS[verb];
  if (action === undefined) throw new Error(`usage: main.ts ${Object.keys(VERBS).join(' | ')}`);
  const target = chooseTarget();
  try {
    await action(target);
  } finally {
    await target.close();
  }
}

try {
  await main();
} catch (error) {
  console.error(describeError(error));
  process.exitCode = 1;
}
