/** Finds what a cluster has on this machine: everything while it runs, nothing after `down`. */
import { existsSync } from 'node:fs';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { CGROUP_ROOT, clusterPaths, RUN_ROOT, STATE_ROOT } from '../paths.ts';
import { cgroupFolders, cgroupProcesses, hierarchies } from './cgroups.ts';
import { agentProcesses } from './remove.ts';

/** One line per thing that is there, such as `process 4711 etcd` or `cgroup /sys/fs/cgroup/memory/bss-platform/bss`. */
export async function leftovers(name: string): Promise<string[]> {
  const paths = clusterPaths(name);
  const ids = [...(await agentProcesses(name)), ...(await cgroupProcesses(paths.cgroup))];
  const commands = await Promise.all(ids.map((id) => readFile(`/proc/${id}/comm`, 'utf8').catch(() => '')));
  return [
    ...ids.map((id, index) => `process ${id} ${commands[index]?.trim()}`),
    ...(await listeningPorts(ids)).map((port) => `listening port ${port}`),
    ...(await cgroupFolders(paths.cgroup)).map((folder) => `cgroup ${folder}`),
    ...mountsBelow(await readFile('/proc/self/mounts', 'utf8'), [paths.state, paths.run]).map((mount) => `mount ${mount}`),
    ...interfacesOfNodes().map((device) => `interface ${device}`),
    ...[paths.state, paths.run].filter((folder) => existsSync(folder)).map((folder) => `folder ${folder}`),
  ];
}

/** Names of all clusters that have anything on this machine, sorted. */
export async function knownClusters(): Promise<string[]> {
  const groups = (await hierarchies()).map(({ mountPoint }) => join(mountPoint, CGROUP_ROOT));
  const lists = await Promise.all([STATE_ROOT, RUN_ROOT, ...groups].map(foldersIn));
  return [...new Set(lists.flat())].toSorted();
}

async function foldersIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  return entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.')).map((entry) => entry.name);
}

/** Mount points at or below the folders. Parses /proc/mounts. */
export function mountsBelow(mounts: string, folders: readonly string[]): string[] {
  const points = mounts.split('\n').map((line) => line.split(' ')[1] ?? '');
  return points.filter((point) => folders.some((folder) => point === folder || point.startsWith(`${folder}/`)));
}

/** A node's interfaces are in its own network; one of that name on the host has escaped. */
function interfacesOfNodes(): string[] {
  return Object.keys(networkInterfaces()).filter((name) => name === 'bss-node' || name === 'bss-pods');
}

/** TCP ports of the host's network that one of the processes listens on. */
async function listeningPorts(ids: readonly number[]): Promise<number[]> {
  const sockets = new Set((await Promise.all(ids.map(socketsOf))).flat());
  const tables = await Promise.all(['/proc/self/net/tcp', '/proc/self/net/tcp6'].map((file) => readFile(file, 'utf8').catch(() => '')));
  return parseListening(tables.join('\n'))
    .filter(({ inode }) => sockets.has(inode))
    .map(({ port }) => port);
}

/** Listening sockets of /proc/net/tcp. */
export function parseListening(table: string): { port: number; inode: string }[] {
  const rows = table.split('\n').map((line) => line.trim().split(/\s+/));
  return rows
    .filter((row) => row[3] === '0A')
    .map((row) => ({ port: Number.parseInt(row[1]?.split(':')[1] ?? '', 16), inode: row[9] ?? '' }));
}

async function socketsOf(id: number): Promise<string[]> {
  const folder = `/proc/${id}/fd`;
  const names = await readdir(folder).catch(() => []);
  const links = await Promise.all(names.map((name) => readlink(`${folder}/${name}`).catch(() => '')));
  return links.map((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? '').filter((inode) => inode !== '');
}
