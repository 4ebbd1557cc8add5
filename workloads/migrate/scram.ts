/**
 * Passwords as Postgres stores them for SCRAM-SHA-256 (RFC 5802, RFC 7677). A statement with the verifier instead of the password shows nothing to
 * the server's log, to pg_stat_activity or to an extension.
 */
import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';

/** scram_iterations of Postgres, and the least that RFC 7677 allows. */
const ITERATIONS = 4096;
const SALT_BYTES = 16;
const HASH_BYTES = 32;

const hmac = (key: Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest();

/**
 * The verifier of a password for `PASSWORD '...'` in CREATE ROLE and ALTER ROLE:
 * `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, the last three in base64.
 * @throws Error when the password has other characters than printable ASCII: SASLprep (RFC 4013) changes them, and clients differ in whether they do
 */
export function scramVerifier(password: string, salt: Buffer = randomBytes(SALT_BYTES)): string {
  if (!/^[ -~]+$/.test(password)) throw new Error('the password is empty or has characters other than printable ASCII: set another one');
  const salted = pbkdf2Sync(password, salt, ITERATIONS, HASH_BYTES, 'sha256');
  const stored = createHash('sha256').update(hmac(salted, 'Client Key')).digest();
  const keys = [stored, hmac(salted, 'Server Key')].map((key) => key.toString('base64'));
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toString('base64')}$${keys.join(':')}`;
}
