/** One text for one value, whatever the order of its keys. */
import { createHash } from 'node:crypto';

/** JSON with sorted keys; fields that are undefined are left out, as JSON does. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => (isRecord(part) ? Object.fromEntries(Object.entries(part).toSorted(byKey)) : part));
}

/** 32 hexadecimal digits (128 bits of SHA-256) of the canonical text. */
export function fingerprint(value: unknown): string {
  return createHash('sha256').update(canonical(value)).digest('hex').slice(0, 32);
}

/** The first 10 digits of the fingerprint, for names and annotations that a person reads. */
export function shortFingerprint(value: unknown): string {
  return fingerprint(value).slice(0, 10);
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function byKey([a]: [string, unknown], [b]: [string, unknown]): number {
  return a < b ? -1 : 1;
}
