/** helm install of the operator on any target. */
import { fileURLToPath } from 'node:url';
import type { Target } from './target.ts';

const CHART = fileURLToPath(new URL('../../../charts/bss-operator', import.meta.url));

/** Installs or upgrades the operator and waits until it is available. Throws with helm's words. */
export async function installOperator(target: Target): Promise<void> {
  const kubectl = await target.kubectl();
  // helm installs the CRDs of a chart once and never again, so an upgrade of the CRD is applied here, before the operator that needs it.
  await kubectl.run(['apply', '--server-side', '--force-conflicts', '-f', `${CHART}/crds`]);
  const revision = await target.imageRevision();
  const sets = revision === undefined ? [] : ['--set-string', `podAnnotations.image-revision=${revision}`];
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
