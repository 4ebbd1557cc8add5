/** Versions of the programs that a measurement used. */
import { availableParallelism, loadavg } from 'node:os';
import { NAMESPACE, PLATFORM } from '../environment.ts';
import type { Bench } from './bench.ts';
import type { Versions } from './page.ts';

export async function versionsOf({ env, prometheus }: Bench): Promise<Versions> {
  const alertmanager = await env.target.forward(NAMESPACE, `${PLATFORM}-alertmanager`, 9093);
  const [built, status, cluster, platform] = await Promise.all([
    read<{ data: { version: string } }>(`${prometheus}/api/v1/status/buildinfo`),
    read<{ versionInfo: { version: string } }>(`${alertmanager}/api/v2/status`),
    env.kubectl.json<{ serverVersion: { gitVersion: string } }>(['version']),
    env.kubectl.json<{ status: { version?: string } }>(['get', 'bss', PLATFORM, '-n', NAMESPACE]),
  ]);
  return {
    platform: platform.status.version ?? 'unknown',
    kubernetes: cluster.serverVersion.gitVersion,
    prometheus: built.data.version,
    alertmanager: status.versionInfo.version,
    machine: `${availableParallelism()} processors, load ${loadavg()[0]?.toFixed(1)}`,
  };
}

async function read<T>(url: string): Promise<T> {
  const response = await fetch(url);
  return (await response.json()) as T;
}
