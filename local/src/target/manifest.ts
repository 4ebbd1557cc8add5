/** A manifest with platforms, adapted to a cluster: the images that were built for it, and without what it cannot run. Pure. */
import { parseAllDocuments } from 'yaml';
import { DEFINITIONS } from '../../../operator/src/platform/components/index.ts';
import { presentIn } from '../../../operator/src/platform/definition.ts';
import { parseSpec } from '../../../operator/src/platform/index.ts';
import type { Unavailable } from '../build/stack.ts';

interface KubernetesObject {
  readonly kind: string;
  readonly spec?: Readonly<Record<string, unknown>>;
}

export interface Adaptation {
  /** Tag of the workloads' image; undefined: that of the spec's version. */
  readonly tag: string | undefined;
  readonly unavailable: readonly Unavailable[];
}

export interface AdaptedManifest {
  /** JSON of a List. */
  readonly text: string;
  /** What a platform of the manifest would have, and is switched off in its spec. */
  readonly switchedOff: readonly Unavailable[];
}

/**
 * @param manifest YAML documents
 * @throws Error when the spec of a platform is invalid
 */
export function adaptManifest(manifest: string, { tag, unavailable }: Adaptation): AdaptedManifest {
  const switchedOff = new Set<Unavailable>();
  const items = parseAllDocuments(manifest).map((document) => {
    const object = document.toJS() as KubernetesObject;
    if (object.kind !== 'BssPlatform') return object;
    const wanted = wantedOf(object.spec ?? {});
    const off = unavailable.filter(({ component }) => wanted.has(component));
    for (const each of off) switchedOff.add(each);
    return { ...object, spec: { ...object.spec, ...images(object.spec, tag), ...disabled(object.spec, off) } };
  });
  return { text: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }), switchedOff: [...switchedOff] };
}

/** Names of the components that a platform of this spec has. */
function wantedOf(spec: Readonly<Record<string, unknown>>): Set<string> {
  const parsed = parseSpec(spec);
  if (!parsed.ok) throw new Error(`invalid platform: ${parsed.problems.map(({ path, message }) => `${path}: ${message}`).join('; ')}`);
  return new Set(presentIn(DEFINITIONS, parsed.spec).map(({ name }) => name));
}

function images(spec: KubernetesObject['spec'], tag: string | undefined): object {
  return tag === undefined ? {} : { images: { ...objectAt(spec, 'images'), workloads: `bss-platform/workloads:${tag}` } };
}

function disabled(spec: KubernetesObject['spec'], off: readonly Unavailable[]): object {
  return Object.fromEntries(off.map(({ field }) => [field, { ...objectAt(spec, field), enabled: false }]));
}

function objectAt(spec: KubernetesObject['spec'], field: string): object {
  const value = spec?.[field];
  return typeof value === 'object' && value !== null ? value : {};
}

/** A line for people about each component that is switched off. */
export function describeSwitchedOff(switchedOff: readonly Unavailable[]): string[] {
  return switchedOff.map(({ component, reason }) => `${component} is switched off: ${reason}`);
}
