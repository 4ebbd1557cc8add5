/** Removing a cluster: by its groups, its agent and its folders, whatever state it is in. */
import { cp, mkdir, readdir, readFile, rm, rmdir } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { withLock } from '../lock.ts';
import { cachePath, CGROUP_ROOT, RUN_ROOT, SHARED_FOLDERS, STATE_ROOT, type ClusterPaths } from '../paths.ts';
import { hierarchies, removeCgroups } from './cgroups.ts';
import { contextName } from './pki.ts';
import { removeFrom } from './user-kubeconfig.ts';
import { eventually } from './wait.ts';

/** Where the logs of a cluster are kept that failed or died. */
export function keptLogs(name: string): string {
  return cachePath('logs', name);
}

/** Ids of agents of that cluster: more than one only after something went wrong. */
export async function agentProcesses(name: string): Promise<number[]> {
  const ids = (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry)).map(Number);
  const commands = await Promise.all(ids.map((id) => readFile(`/proc/${id}/cmdline`, 'utf8').catch(() => '')));
  return ids.filter((_, index) => isAgentOf(name, commands[index] ?? ''));
}

/** @param command contents of /proc/ID/cmdline */
export function isAgentOf(name: string, command: string): boolean {
  const words = command.split('\0');
  const script = words.findIndex((word) => word.endsWith('/local/src/cluster/agent.ts'));
  return script > 0 && words[script + 1] === name;
}

/** Ends every process of the cluster and removes its groups and folders. Safe to call when nothing, or half of it, is there. */
export async function removeCluster(paths: ClusterPaths, options: { readonly keepLogs: boolean }): Promise<void> {
  await removeCgroups(paths.cgroup);
  await unmerge(paths);
  if (options.keepLogs) await keepLogs(paths);
  await rm(paths.state, { recursive: true, force: true });
  await rm(paths.run, { recursive: true, force: true });
  const parents = [STATE_ROOT, RUN_ROOT, ...(await hierarchies()).map(({ mountPoint }) => join(mountPoint, CGROUP_ROOT))];
  await withLock(SHARED_FOLDERS, async () => {
    for (const folder of parents) await rmdir(folder).catch(() => undefined);
  });
}

/** The user's kubeconfig must not name a cluster that is gone; where it cannot be changed, the cluster is removed all the same. */
async function unmerge({ name, mergedInto }: ClusterPaths): Promise<void> {
  const file = await readFile(mergedInto, 'utf8').catch(() => '');
  if (file === '') return;
  await removeFrom(file, contextName(name)).catch((error: Error) =>
    console.error(`${file} still names the context ${contextName(name)}: ${error.message}`),
  );
}

async function keepLogs({ name, logs }: ClusterPaths): Promise<void> {
  if (!existsSync(logs)) return;
  await rm(keptLogs(name), { recursive: true, force: true });
  await mkdir(join(keptLogs(name), '..'), { recursive: true });
  await cp(logs, keptLogs(name), { recursive: true });
}

/** Ends the agents of a cluster: asks first, so that they clear up themselves. */
export async function endAgents(name: string): Promise<void> {
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    for (const id of await agentProcesses(name)) signalProcess(id, signal);
    const gone = eventually('the agent has ended', 30_000, async () => (await agentProcesses(name)).length === 0);
    if (
      await gone.then(
        () => true,
        () => false,
      )
    )
      return;
  }
}

function signalProcess(id: number, signal: NodeJS.Signals): void {
  try {
    process.kill(id, signal);
  } catch {
    // It has ended meanwhile.
  }
}
