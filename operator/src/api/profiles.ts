/**
 * The profiles: defaults that depend on `spec.profile`. The user's spec is merged over them, so that every field can be overridden alone. Each piece
 * of the spec brings its own.
 */
import type { Raw, SpecPiece } from './piece.ts';
import { quantityValue } from './rules.ts';

/** Defaults by profile, each in the shape of the spec. */
export type Profiles = Record<'small' | 'production', Raw>;

/** Resources as defaults: CPU request, memory request, CPU limit, memory limit. The CPU limit may be absent. */
export function amounts(cpu: string, memory: string, cpuLimit: string | undefined, memoryLimit: string): Raw {
  return { requests: { cpu, memory }, limits: { ...(cpuLimit ? { cpu: cpuLimit } : {}), memory: memoryLimit } };
}

/** The profiles, composed of what the pieces bring. */
export function profilesOf(pieces: readonly SpecPiece[]): Profiles {
  const profile = (name: keyof Profiles) =>
    pieces.reduce<Raw>((all, { at, profiles }) => (profiles?.[name] ? mergeObjects(all, nested(at, profiles[name])) : all), {});
  return { small: profile('small'), production: profile('production') };
}

/** `workloads.ledger` and a value become `{ workloads: { ledger: value } }`. */
function nested(at: string, value: Raw): Raw {
  return at.split('.').reduceRight<Raw>((inner, key) => ({ [key]: inner }), value);
}

/** The raw spec over the defaults of its profile. Returns a value that is not an object unchanged: the schema reports what is wrong with it. */
export function withProfile(raw: unknown, profiles: Profiles, pieces: readonly SpecPiece[]): unknown {
  if (!isObject(raw)) return raw;
  const merged = mergeObjects(raw['profile'] === 'production' ? profiles.production : profiles.small, raw);
  return pieces.reduce((spec, { at, settle }) => (settle ? settleAt(spec, raw, at.split('.'), settle) : spec), merged);
}

function settleAt(merged: Raw, given: unknown, [key = '', ...rest]: string[], settle: NonNullable<SpecPiece['settle']>): Raw {
  const [value, own] = [merged[key], isObject(given) ? given[key] : undefined];
  if (rest.length > 0) return isObject(value) ? { ...merged, [key]: settleAt(value, own, rest, settle) } : merged;
  const settled = settle(value, own);
  return settled === undefined ? merged : { ...merged, [key]: settled };
}

export function isObject(value: unknown): value is Raw {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * The user's object over the defaults. Objects merge key by key; all other values, lists included, replace the default. A null counts as
 * absent, as it does for the API server.
 */
export function merge(under: unknown, over: unknown): unknown {
  if (over === undefined || over === null) return under;
  return isObject(under) && isObject(over) ? mergeObjects(under, over) : over;
}

function mergeObjects(under: Raw, over: Raw): Raw {
  const result: Raw = { ...under };
  for (const [key, value] of Object.entries(over)) {
    const merged = key === 'resources' ? mergeResources(under[key], value) : merge(under[key], value);
    if (merged !== undefined) result[key] = merged;
  }
  return result;
}

/** A default request is never above a limit that the user wrote, nor a default limit below a request. */
function mergeResources(under: unknown, over: unknown): unknown {
  const merged = merge(under, over);
  if (!isObject(merged) || !isObject(over)) return merged;
  const [requests, limits] = [merged['requests'], merged['limits']];
  if (!isObject(requests) || !isObject(limits)) return merged;
  const given = (part: string, key: string) => isObject(over[part]) && over[part][key] !== undefined;
  const result = { ...merged, requests: { ...requests }, limits: { ...limits } };
  for (const key of ['cpu', 'memory']) {
    if (!above(requests[key], limits[key])) continue;
    if (!given('requests', key)) result.requests[key] = limits[key];
    else if (!given('limits', key)) result.limits[key] = requests[key];
  }
  return result;
}

function above(request: unknown, limit: unknown): boolean {
  const [asked, most] = [amount(request), amount(limit)];
  return asked !== undefined && most !== undefined && asked > most;
}

/** Undefined for text that is not a quantity, which the schema reports later. */
function amount(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value !== 'string') return undefined;
  try {
    return quantityValue(value);
  } catch {
    return undefined;
  }
}
