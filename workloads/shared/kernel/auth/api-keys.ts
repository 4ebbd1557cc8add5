import { createHash, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { CredentialError, EVERY_SCOPE, SCOPE_PATTERN, type Client } from './client.ts';

/** An API key. Two keys with one id belong to one client: that is how a client changes its key without an interruption. */
export interface ApiKey {
  id: string;
  /** SHA-256 of the key. Keys are random, so a slow hash would add cost and no protection. */
  hash: Buffer;
  scopes: readonly string[];
  expiresAt?: Date;
}

export const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();

/** Shorter keys could be guessed. */
export const MIN_KEY_LENGTH = 32;

const isGrant = (text: string): boolean => text === EVERY_SCOPE || SCOPE_PATTERN.test(text);

const entry = z
  .strictObject(
    {
      id: z
        .string('must be the name of the client')
        .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'must be 1 to 63 letters, digits, ".", "_" or "-"'),
      key: z.string('must be a string').min(MIN_KEY_LENGTH, `must have at least ${MIN_KEY_LENGTH} characters`).optional(),
      sha256: z
        .string('must be a string')
        .regex(/^[0-9a-f]{64}$/, 'must be the SHA-256 of the key in 64 lower-case hexadecimal digits')
        .optional(),
      scopes: z
        .array(z.string('must be a string').refine(isGrant, 'must be a scope such as ledger:read, or *'), 'must be a list')
        .min(1, 'must have at least one scope'),
      expires: z.iso.datetime({ offset: true, error: 'must be a time such as 2027-01-31T00:00:00Z' }).optional(),
    },
    'must have the fields id, key or sha256, scopes, and optionally expires',
  )
  .refine(({ key, sha256: hash }) => (key === undefined) !== (hash === undefined), 'must have either key or sha256');

const file = z.strictObject({ keys: z.array(entry, 'must be a list') }, 'must be an object with the list "keys"');

/**
 * The keys of a file: `{"keys": [{"id", "key" or "sha256", "scopes", "expires"?}]}`.
 * @throws Error that names the invalid field, without any value of the file
 */
export function parseApiKeys(text: string): ApiKey[] {
  const parsed = file.safeParse(jsonOf(text));
  if (!parsed.success) throw new Error(parsed.error.issues.map(({ path, message }) => `${['$', ...path].join('.')} ${message}`).join('; '));
  return parsed.data.keys.map(({ id, key, sha256: hash, scopes, expires }) => ({
    id,
    hash: key === undefined ? Buffer.from(hash ?? '', 'hex') : sha256(key),
    scopes,
    ...(expires === undefined ? {} : { expiresAt: new Date(expires) }),
  }));
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's message quotes the text.
    throw new Error('$ must be JSON');
  }
}

/**
 * The client of a key; undefined when no key matches. Every key is compared in constant time, whichever one matches, so the time does not
 * depend on how much of the credential is right.
 * @param equal compares two hashes of 32 bytes
 * @throws CredentialError when the key has expired
 */
export function clientOfKey(keys: readonly ApiKey[], credential: string, now: Date, equal = timingSafeEqual): Client | undefined {
  const hash = sha256(credential);
  const matching = keys.filter((key) => equal(key.hash, hash));
  if (matching.length === 0) return undefined;
  const valid = matching.find(({ expiresAt }) => expiresAt === undefined || expiresAt > now);
  if (!valid) throw new CredentialError('The API key has expired.');
  return { id: `key:${valid.id}`, scopes: valid.scopes };
}
