/** Patterns of cache keys: `*` matches any text, `?` one character, and a backslash makes the next character literal, as in Redis. Pure. */

/** A function that is true for the keys that match the whole pattern. */
export function matcher(pattern: string): (key: string) => boolean {
  const expression = pattern.replaceAll(/\\(.)|./gs, (token: string, literal?: string) => {
    if (literal === undefined && token === '*') return '.*';
    if (literal === undefined && token === '?') return '.';
    return (literal ?? token).replace(/[.*+?^${}()|[\]\\/]/, String.raw`\$&`);
  });
  const compiled = new RegExp(`^${expression}$`, 's');
  return (key) => compiled.test(key);
}

/** The text that every key which matches the pattern begins with. */
export function literalHead(pattern: string): string {
  const end = pattern.search(/[*?\\]/);
  return end === -1 ? pattern : pattern.slice(0, end);
}

/** The pattern of the keys that begin with a text. */
export function prefixPattern(prefix: string): string {
  return `${prefix.replaceAll(/[*?\\]/g, String.raw`\$&`)}*`;
}

/** True when a key that begins with `prefix` can match a pattern that begins with `head`. */
export function mayMatch(head: string, prefix: string): boolean {
  return head.startsWith(prefix) || prefix.startsWith(head);
}
