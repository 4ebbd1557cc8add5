/** Input of the golden files, for tests. */
import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import type { V1PodTemplateSpec } from '@kubernetes/client-node';
import { FIRST_SLOT } from './logins.ts';
import { parseSpec, type BssPlatformSpec } from './spec.ts';
import type { KubernetesObject, PlatformInput } from './types.ts';

/** A spec that must be right. */
export function specOf(raw: unknown): BssPlatformSpec {
  const parsed = parseSpec(raw);
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.spec;
}

/** A platform `demo` in namespace `bss`, as on a cluster, with the raw spec. */
export function inputOf(raw: unknown): PlatformInput {
  return {
    name: 'demo',
    namespace: 'bss',
    uid: '00000000-0000-0000-0000-000000000001',
    spec: specOf(raw),
    operatorNamespace: 'bss-system',
    secretHashes: {},
    slots: FIRST_SLOT,
  };
}

/** Input of `golden/<name>.spec.yaml`. */
export async function goldenInput(name: string): Promise<PlatformInput> {
  return inputOf(parse(await readFile(new URL(`golden/${name}.spec.yaml`, import.meta.url), 'utf8')));
}

/** The fields of `spec` that tests look at. */
interface Spec {
  template?: V1PodTemplateSpec;
  replicas?: number;
  suspend?: boolean;
}

function hasSpec(object: KubernetesObject): object is KubernetesObject & { spec: Spec } {
  return typeof object['spec'] === 'object' && object['spec'] !== null;
}

export function fieldsOf(object: KubernetesObject): Spec {
  return hasSpec(object) ? object.spec : {};
}

/** The pod template of a Deployment, StatefulSet or Job. */
export function podTemplateOf(object: KubernetesObject): V1PodTemplateSpec | undefined {
  return fieldsOf(object).template;
}
