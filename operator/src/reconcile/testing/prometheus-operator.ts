/** The kinds of prometheus-operator without the operator: the API server validates and stores what is written, and nothing acts on it. */
import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import type { KubeClient, KubernetesObject } from '../../runtime/index.ts';

const FOLDER = new URL('../../platform/testdata/prometheus-operator/', import.meta.url);

/** Resolves when the kinds are defined; they are served a moment later. */
export async function installPrometheusOperator(client: KubeClient): Promise<void> {
  for (const file of ['podmonitors.yaml', 'prometheusrules.yaml']) {
    const definition: KubernetesObject = parse(await readFile(new URL(file, FOLDER), 'utf8'));
    await client.create(definition);
  }
}
