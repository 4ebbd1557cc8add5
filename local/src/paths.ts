/** Where things are kept: what can be made again under the user's cache directory, what belongs to a cluster under /var/lib and /run. */
import { homedir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { Failure } from './failure.ts';

/** The root of this repository. */
export const PROJECT_DIR = fileURLToPath(new URL('../../', import.meta.url)).replace(/\/$/, '');

/** `${XDG_CACHE_HOME:-~/.cache}/bss-platform`: everything in it can be made again. */
export function cacheDir(env: NodeJS.ProcessEnv = process.env): string {
  const base = env['XDG_CACHE_HOME'];
  return join(base === undefined || base === '' ? join(homedir(), '.cache') : base, 'bss-platform');
}

/** A file or folder in the cache. */
export function cachePath(...parts: string[]): string {
  return join(cacheDir(), ...parts);
}

/** Files and folders of one cluster. All are removed by `down`. */
export interface ClusterPaths {
  readonly name: string;
  /** Data, certificates, configuration, logs: on disk, because container layers and volumes are in it. */
  readonly state: string;
  readonly pki: string;
  readonly config: string;
  readonly logs: string;
  /** Sockets: a short path, because a Unix socket's may have 107 bytes at most. */
  readonly run: string;
  readonly containerdSocket: string;
  readonly tunnelSocket: string;
  readonly agentSocket: string;
  /** For clients on the host: the API server through the forwarder on loopback. */
  readonly kubeconfig: string;
  /** Holds the path of the user's kubeconfig, where the cluster was added to it. */
  readonly mergedInto: string;
  /** Path below every cgroup hierarchy. */
  readonly cgroup: string;
}

export const STATE_ROOT = '/var/lib/bss-platform';
export const RUN_ROOT = '/run/bss-platform';
export const CGROUP_ROOT = '/bss-platform';

/** Lock on these three: the last cluster to go removes them while another may be making them. */
export const SHARED_FOLDERS = 'shared-folders';

const NAME = /^[a-z]([a-z0-9-]{0,18}[a-z0-9])?$/;

/** @throws Failure for a name that cannot be part of host names and socket paths */
export function clusterPaths(name: string): ClusterPaths {
  if (!NAME.test(name)) {
    throw new Failure(
      `"${name}" cannot be a cluster's name: 1 to 20 characters, small letters, digits and "-", a letter first, no "-" last.`,
    );
  }
  const state = join(STATE_ROOT, name);
  const runDir = join(RUN_ROOT, name);
  return {
    name,
    state,
    pki: join(state, 'pki'),
    config: join(state, 'config'),
    logs: join(state, 'logs'),
    run: runDir,
    containerdSocket: join(runDir, 'containerd.sock'),
    tunnelSocket: join(runDir, 'tunnel.sock'),
    agentSocket: join(runDir, 'agent.sock'),
    kubeconfig: join(state, 'kubeconfig'),
    mergedInto: join(state, 'merged-into'),
    cgroup: join(CGROUP_ROOT, name),
  };
}
