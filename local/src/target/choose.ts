/** Picks the target by the environment that the Makefile sets: CLUSTER and NAME. */
import process from 'node:process';
import { CurrentTarget, KindTarget } from './external.ts';
import { LocalTarget } from './local.ts';
import type { Target } from './target.ts';

/** @throws when CLUSTER is none of local, kind, current */
export function chooseTarget(env: NodeJS.ProcessEnv = process.env): Target {
  const name = env['NAME'] ?? 'bss';
  const kind = env['CLUSTER'] ?? 'local';
  switch (kind) {
    case 'local':
      return new LocalTarget(name);
    case 'kind':
      return new KindTarget(name);
    case 'current':
      return new CurrentTarget();
    default:
      throw new Error(`CLUSTER=${kind}: choose local (a node made here), kind (Docker) or current (your KUBECONFIG)`);
  }
}
