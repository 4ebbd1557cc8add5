/** The Gateway API's HTTPRoute without a controller: the API server validates and stores what the operator writes, and no controller acts on it. */
import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import type { KubeClient, KubernetesObject } from '../../runtime/index.ts';

const DEFINITION = new URL('../../platform/testdata/httproute-crd.yaml', import.meta.url);

/** Resolves when the kind is defined; it is served a moment later. */
export async function installGatewayApi(client: KubeClient): Promise<void> {
  const definition: KubernetesObject = parse(await readFile(DEFINITION, 'utf8'));
  await client.create(definition);
}
