/** What a node is made of, as plain values: written by `up`, read by the agent on the host and by the supervisor inside. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDir, clusterPaths, type ClusterPaths } from '../paths.ts';
import type { ProgramName } from '../build/programs.ts';

/** Addresses inside the node's own network. They may be the same in every cluster, because nothing connects the networks. */
export const NODE_IP = '10.244.255.1';
export const POD_CIDR = '10.244.0.0/24';
export const CLUSTER_CIDR = '10.244.0.0/16';
export const SERVICE_CIDR = '10.96.0.0/16';
export const API_SERVICE_IP = '10.96.0.1';
export const DNS_SERVICE_IP = '10.96.0.10';
export const CLUSTER_DOMAIN = 'cluster.local';
export const API_PORT = 6443;
export const PAUSE_IMAGE = 'localhost/bss-platform/pause:0.1.0';

export interface NodeConfig {
  readonly paths: ClusterPaths;
  readonly nodeName: string;
  /** The programs are found through links in this folder. */
  readonly bin: string;
  readonly cache: string;
  /** Whether the API server writes every request's metadata to `logs/audit.log`. */
  readonly audit: boolean;
}

export function nodeConfig(name: string, audit: boolean): NodeConfig {
  const paths = clusterPaths(name);
  return { paths, nodeName: `${name}-node`, bin: join(paths.state, 'bin'), cache: cacheDir(), audit };
}

export function nodeConfigFile(paths: ClusterPaths): string {
  return join(paths.config, 'node.json');
}

export function readNodeConfig(file: string): NodeConfig {
  const config: NodeConfig = JSON.parse(readFileSync(file, 'utf8'));
  return config;
}

/** The programs that run on a node; kubectl and helm are for its user. */
export const NODE_PROGRAMS = [
  'etcd',
  'kube-apiserver',
  'kube-controller-manager',
  'kube-scheduler',
  'kube-proxy',
  'kubelet',
  'coredns',
  'containerd',
  'containerd-shim-runc-v2',
  'ctr',
  'runc',
  'bridge',
  'loopback',
  'host-local',
  'portmap',
  'pause',
  'kubectl',
  'helm',
] as const satisfies readonly ProgramName[];
