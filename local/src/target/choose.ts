/** Picks the target: the one notion of where every command of the Makefile works. */
import { spawnSync } from 'node:child_process';
import process from 'node:process';
import { which } from '../exec.ts';
import { Failure } from '../failure.ts';
import { CurrentTarget, KindTarget } from './external.ts';
import { LocalTarget } from './local.ts';
import type { Target, TargetKind } from './target.ts';

export interface Choice {
  readonly target: Target;
  /** Which target it is and why, for the first line of a command's output. */
  readonly reason: string;
}

/**
 * CLUSTER names the kind of target and NAME the cluster. Without CLUSTER it is kind where Docker and kind are present, and local elsewhere.
 * @throws Failure when CLUSTER is none of local, kind, current
 */
export function chooseTarget(env: NodeJS.ProcessEnv = process.env): Choice {
  const name = env['NAME'] || 'bss';
  const { kind, why } = chooseKind(env);
  const target = makeTarget(kind, name);
  return { target, reason: `Target: ${target.title} (${why})` };
}

function chooseKind(env: NodeJS.ProcessEnv): { kind: string; why: string } {
  const given = env['CLUSTER'] ?? '';
  if (given !== '') return { kind: given, why: `CLUSTER=${given}` };
  return hasDockerAndKind(env)
    ? { kind: 'kind', why: 'Docker and kind are present; CLUSTER=local starts a node without Docker' }
    : { kind: 'local', why: 'the default without Docker and kind' };
}

function makeTarget(kind: string, name: string): Target {
  const makers: Record<TargetKind, () => Target> = {
    local: () => new LocalTarget(name),
    kind: () => new KindTarget(name),
    current: () => new CurrentTarget(),
  };
  const maker = Object.entries(makers).find(([each]) => each === kind)?.[1];
  if (maker !== undefined) return maker();
  throw new Failure(`CLUSTER=${kind} is unknown.`, {
    tryNext: [
      'CLUSTER=local: a node that is started here',
      'CLUSTER=kind: a kind cluster, in Docker',
      'CLUSTER=current: the current context of your KUBECONFIG',
    ],
  });
}

/** kind alone is not enough: its Docker must answer. */
function hasDockerAndKind(env: NodeJS.ProcessEnv): boolean {
  if (which('kind', env['PATH']) === undefined) return false;
  return spawnSync('docker', ['info'], { env, stdio: 'ignore', timeout: 10_000 }).status === 0;
}
