/** The cluster's own groups in every cgroup hierarchy of the machine (version 1, version 2, or both). */
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { Failure } from '../failure.ts';
import { CGROUP_ROOT } from '../paths.ts';
import { eventually } from './wait.ts';

export interface Hierarchy {
  readonly mountPoint: string;
  readonly version: 1 | 2;
  /** Version 1: the controllers of this hierarchy. */
  readonly controllers: readonly string[];
}

const MOUNT_OPTIONS = new Set(['rw', 'ro', 'xattr', 'relatime', 'noatime', 'nosuid', 'nodev', 'noexec', 'seclabel', 'clone_children']);

/** Parses /proc/mounts. */
export function parseHierarchies(mounts: string): Hierarchy[] {
  const found: Hierarchy[] = [];
  for (const line of mounts.split('\n')) {
    const [, mountPoint = '', type, options = ''] = line.split(' ');
    if (type === 'cgroup2') found.push({ mountPoint, version: 2, controllers: [] });
    if (type === 'cgroup')
      found.push({ mountPoint, version: 1, controllers: options.split(',').filter((option) => !MOUNT_OPTIONS.has(option)) });
  }
  return found;
}

export async function hierarchies(): Promise<Hierarchy[]> {
  return parseHierarchies(await readFile('/proc/mounts', 'utf8'));
}

/** Makes `<cgroup>` for the kubelet and `<cgroup>/system` for the node's own processes; returns the folders of the latter. */
export async function createCgroups(cgroup: string): Promise<string[]> {
  const folders: string[] = [];
  for (const hierarchy of await hierarchies()) {
    if (hierarchy.version === 2) await delegate(hierarchy.mountPoint, [CGROUP_ROOT, cgroup]);
    const system = join(hierarchy.mountPoint, cgroup, 'system');
    await mkdir(system, { recursive: true });
    if (hierarchy.controllers.includes('cpuset')) await inheritCpuset(hierarchy.mountPoint, system);
    folders.push(system);
  }
  return folders;
}

/** Without these the kubelet cannot limit pods. */
const REQUIRED_CONTROLLERS = new Set(['cpu', 'cpuset', 'memory', 'pids']);

/**
 * Version 2: a group's children have a controller only when the group enables it for them.
 * @throws Failure when the kernel refuses a controller that pods need; others may be missing
 */
export async function delegate(mountPoint: string, groups: readonly string[]): Promise<void> {
  for (const group of ['', ...groups]) {
    const folder = join(mountPoint, group);
    await mkdir(folder, { recursive: true });
    const available = (await readFile(join(folder, 'cgroup.controllers'), 'utf8')).split(/\s+/).filter((name) => name !== '');
    for (const controller of available) await enable(folder, controller);
  }
}

async function enable(folder: string, controller: string): Promise<void> {
  const file = join(folder, 'cgroup.subtree_control');
  try {
    await writeFile(file, `+${controller}`);
  } catch (error) {
    if (!REQUIRED_CONTROLLERS.has(controller)) {
      console.error(`cgroup controller ${controller} is not enabled: ${String(error)}`);
      return;
    }
    throw new Failure(`The cgroup controller "${controller}" cannot be enabled: writing +${controller} to ${file} failed.`, {
      log: [String(error)],
      tryNext: [
        `cat ${join(folder, 'cgroup.procs')}   (a group with processes of its own cannot enable a controller for its children)`,
        'inside a container, start it with --privileged --cgroupns=host',
      ],
      cause: error,
    });
  }
}

/** Version 1: a new cpuset is empty, and no process may enter it before it has processors and memory nodes. */
async function inheritCpuset(mountPoint: string, folder: string): Promise<void> {
  const parent = dirname(folder);
  if (parent !== mountPoint) await inheritCpuset(mountPoint, parent);
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    const own = (await readFile(join(folder, file), 'utf8')).trim();
    if (own === '') await writeFile(join(folder, file), await readFile(join(parent, file), 'utf8'));
  }
}

/** Existing folders of the cluster's groups, children before their parents. */
export async function cgroupFolders(cgroup: string): Promise<string[]> {
  const folders: string[] = [];
  for (const { mountPoint } of await hierarchies()) await collectFolders(join(mountPoint, cgroup), folders);
  return folders;
}

async function collectFolders(folder: string, into: string[]): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) if (entry.isDirectory()) await collectFolders(join(folder, entry.name), into);
  if (existsSync(folder)) into.push(folder);
}

/** Ids of all processes in the cluster's groups. */
export async function cgroupProcesses(cgroup: string): Promise<number[]> {
  const ids = new Set<number>();
  for (const folder of await cgroupFolders(cgroup)) {
    const text = await readFile(join(folder, 'cgroup.procs'), 'utf8').catch(() => '');
    for (const line of text.split('\n')) if (line !== '' && line !== '0') ids.add(Number(line));
  }
  return [...ids];
}

/** Kills every process in the cluster's groups and removes the groups; their common parent stays. */
export async function removeCgroups(cgroup: string): Promise<void> {
  await eventually(`the processes in ${cgroup} have ended`, 20_000, async () => {
    const ids = await cgroupProcesses(cgroup);
    for (const id of ids) kill(id);
    return ids.length === 0;
  });
  // The kernel lets a group go a moment after its last process.
  await eventually(`the groups ${cgroup} are removed`, 10_000, async () => {
    for (const folder of await cgroupFolders(cgroup)) await rmdir(folder).catch(() => undefined);
    return (await cgroupFolders(cgroup)).length === 0;
  });
}

function kill(id: number): void {
  try {
    process.kill(id, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
}

/** Bytes of memory in use by a group below the cluster's, page cache that can be dropped left out; undefined where it cannot be read. */
export async function memoryInUse(cgroup: string, child: string): Promise<number | undefined> {
  for (const { mountPoint, version, controllers } of await hierarchies()) {
    if (version === 1 && !controllers.includes('memory')) continue;
    const folder = join(mountPoint, cgroup, child);
    const used = await readNumber(join(folder, version === 1 ? 'memory.usage_in_bytes' : 'memory.current'));
    if (used === undefined) continue;
    const stat = await readFile(join(folder, 'memory.stat'), 'utf8').catch(() => '');
    const inactive = new RegExp(`^${version === 1 ? 'total_inactive_file' : 'inactive_file'} (\\d+)$`, 'm').exec(stat)?.[1];
    return used - Number(inactive ?? 0);
  }
  return undefined;
}

async function readNumber(file: string): Promise<number | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : Number(text.trim());
}
