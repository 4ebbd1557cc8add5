/** Where the API server is and who we are to it. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import type { KubeConfig as Config } from '@kubernetes/client-node';
import { KubeConfig } from './kubeconfig-library.ts';

const SERVICE_ACCOUNT_TOKEN = '/var/run/secrets/kubernetes.io/serviceaccount/token';

/**
 * The given file; else what KUBECONFIG names; else, in a pod, its service account; else ~/.kube/config.
 * @throws Error when there is none, or when it has no such context. The library alone would go to http://localhost:8080.
 */
export function loadKubeConfig({ path, context }: { path?: string; context?: string } = {}): Config {
  const config = new KubeConfig();
  if (path !== undefined) config.loadFromFile(path);
  else if (process.env['KUBECONFIG']) config.loadFromDefault();
  else if (process.env['KUBERNETES_SERVICE_HOST'] && existsSync(SERVICE_ACCOUNT_TOKEN)) config.loadFromCluster();
  else if (existsSync(join(homedir(), '.kube', 'config'))) config.loadFromDefault();
  else throw new Error('no cluster is configured: set KUBECONFIG, create ~/.kube/config, or run in a pod with a service account');
  if (context !== undefined) selectContext(config, context);
  if (!config.getCurrentCluster()) throw new Error(`the kubeconfig's current context "${config.currentContext}" names no cluster`);
  return config;
}

function selectContext(config: Config, context: string): void {
  const names = config.getContexts().map(({ name }) => name);
  if (!names.includes(context)) throw new Error(`the kubeconfig has no context "${context}"; it has: ${names.join(', ') || 'none'}`);
  config.setCurrentContext(context);
}
