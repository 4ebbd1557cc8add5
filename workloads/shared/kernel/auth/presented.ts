import type { IncomingHttpHeaders } from 'node:http';
import { CredentialError } from './client.ts';

/** Header of an API key, for clients that cannot set `Authorization`. */
const KEY_HEADER = 'x-api-key';
/** RFC 6750: the characters of a bearer token. */
const TOKEN = /^[A-Za-z0-9\-._~+/]+=*$/;
const BEARER = /^Bearer +(\S+)$/i;
const MAX_LENGTH = 8_192;

export const HOW_TO_AUTHENTICATE = 'Send an API key or a JWT as "Authorization: Bearer <credential>", or an API key as "X-API-Key: <key>".';

/**
 * The credential of a request; undefined when it has none.
 * @throws CredentialError when the headers are malformed, or when there are two credentials
 */
export function presentedCredential(headers: IncomingHttpHeaders): string | undefined {
  const { authorization, [KEY_HEADER]: key } = headers;
  if (authorization !== undefined && key !== undefined)
    throw new CredentialError('Send one credential, not both Authorization and X-API-Key.');
  if (authorization !== undefined) return checked(BEARER.exec(authorization)?.[1]);
  return key === undefined ? undefined : checked(String(key));
}

function checked(credential: string | undefined): string {
  if (credential === undefined || credential.length > MAX_LENGTH || !TOKEN.test(credential)) throw new CredentialError(HOW_TO_AUTHENTICATE);
  return credential;
}
