/** helm install of the operator on any target. */
import { fileURLToPath } from 'node:url';
import type { Target } from './target.ts';

const CHART = fileURLToPath(new URL('../../../charts/bss-operator', import.meta.url));

/**
 * Installs or upgrades the operator and waits until it is available. An image of changed code has another tag, so its pods are replaced.
 * @throws Failure with the output of helm or kubectl
 */
export async function installOperator(target: Target): Promise<void> {
  const kubectl = await target.kubectl();
  // helm installs the CRDs of a chart once and never upgrades them: the CRD is applied here, before the operator that needs it.
  await kubectl.run(['apply', '--server-side', '--force-conflicts', '-f', `${CHART}/crds`]);
  const tag = await target.imageTag();
  const sets = tag === undefined ? [] : ['--set-string', `image.tag=${tag}`];
  await target.helm([
    'upgrade',
    '--install',
    'bss-operator',
    CHART,
    '--namespace',
    'bss-system',
    '--create-namespace',
    '--wait',
    '--timeout',
    '120s',
    ...sets,
  ]);
}
