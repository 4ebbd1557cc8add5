import { createHash } from 'node:crypto';

/** Short hash of any JSON value, the same whatever the order of its keys. */
export function hash(value: unknown): string {
  return createHash('sha256').update(stable(value)).digest('hex').slice(0, 10);
}

/** JSON with sorted keys. */
function stable(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
