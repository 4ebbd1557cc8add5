/** Input of the golden files, for tests. */
import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { parseSpec, type BssPlatformSpec } from '../api/index.ts';
import type { PlatformInput } from './types.ts';

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
  };
}

/** Input of `golden/<name>.spec.yaml`. */
export async function goldenInput(name: string): Promise<PlatformInput> {
  return inputOf(parse(await readFile(new URL(`golden/${name}.spec.yaml`, import.meta.url), 'utf8')));
}
