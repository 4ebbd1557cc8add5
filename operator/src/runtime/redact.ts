/** Removes passwords and keys from text that leaves the cluster. Pure. */

const REDACTED = '<redacted>';
/** A shorter value, such as the letter of a password slot, would occur in any text; it protects nothing. */
const SHORTEST = 4;

/** Replaces what looks like a credential, whatever Secret it is from. */
const PATTERNS: readonly [RegExp, string][] = [
  [/-----BEGIN ([A-Z ]*PRIVATE KEY)-----[^]*?(?:-----END \1-----|$)/g, REDACTED],
  [/\b(bearer|basic) [\w.~+/=-]{8,}/gi, `$1 ${REDACTED}`],
  [/(\b[a-z][a-z0-9+.-]*:\/\/[^\s:/@"']*):[^\s/@"']+@/gi, `$1:${REDACTED}@`],
  [/SCRAM-SHA-256\$[\w+/=:$]+/g, REDACTED],
  [
    /((?:password|passwd|secret|token|api[_-]?key)["']?[ \t]*[=:][ \t]*["']?)(?!<redacted>|true\b|false\b|null\b)[^\s"',;}{]{4,}/gi,
    `$1${REDACTED}`,
  ],
];

export type Redact = (text: string) => string;

/**
 * @param values contents of Secrets, decoded; each is removed as it is, line by line, in base64, percent-encoded and as JSON escapes it
 */
export function redactor(values: Iterable<string>): Redact {
  const forms = new Set([...values].flatMap(formsOf).filter((form) => form.length >= SHORTEST));
  // The longest first: a value may contain another one.
  const literals = [...forms].toSorted((a, b) => b.length - a.length);
  return (text) => {
    const bare = literals.reduce((rest, literal) => rest.replaceAll(literal, REDACTED), text);
    return PATTERNS.reduce((rest, [pattern, replacement]) => rest.replace(pattern, replacement), bare);
  };
}

/** The forms in which a value occurs in logs, URLs and objects. */
function formsOf(value: string): string[] {
  const parts = value.split('\n').flatMap((line) => [line.trim(), ...passwordOf(line)]);
  return [value, value.trim(), ...parts].flatMap((text) => [
    text,
    Buffer.from(text).toString('base64'),
    encodeURIComponent(text),
    JSON.stringify(text).slice(1, -1),
  ]);
}

/** Of a line of PgBouncer's list of users: `"user" "password"`. */
function passwordOf(line: string): string[] {
  const password = /^"[^"]*" "([^"]*)"/.exec(line)?.[1];
  return password === undefined ? [] : [password];
}

/** A Secret with its keys and without its values. kubectl keeps a copy of the whole object in an annotation. */
export function withoutValues<T extends { kind: string; metadata: { annotations?: Record<string, string> }; [field: string]: unknown }>(
  object: T,
): T {
  const { 'kubectl.kubernetes.io/last-applied-configuration': _copy, ...annotations } = object.metadata.annotations ?? {};
  const bare = { ...object, metadata: { ...object.metadata, ...(object.metadata.annotations ? { annotations } : {}) } };
  if (object.kind !== 'Secret') return bare;
  return { ...bare, ...hidden(object, 'data'), ...hidden(object, 'stringData') };
}

function hidden(object: Record<string, unknown>, field: string): Record<string, unknown> {
  const values = object[field];
  if (typeof values !== 'object' || values === null) return {};
  return { [field]: Object.fromEntries(Object.keys(values).map((key) => [key, REDACTED])) };
}
