import { createLocalJWKSet, createRemoteJWKSet, errors, jwksCache } from 'jose';
import type { JWKSCacheInput, JWTVerifyGetKey } from 'jose';
import { IssuerUnavailableError } from './client.ts';

const FETCH_TIMEOUT_MS = 3_000;
/** Keys are fetched again after this time, so that a key which the issuer has withdrawn is not accepted for long. */
const MAX_AGE_MS = 10 * 60_000;
/** While the issuer cannot be reached, keys up to this age are used. */
const MAX_STALE_MS = 24 * 60 * 60_000;

/** Errors that are about the token, not about the fetch. */
const OF_TOKEN = [errors.JWKSNoMatchingKey, errors.JWKSMultipleMatchingKeys, errors.JOSENotSupported];

/**
 * The keys of an issuer from its JWKS address: fetched with the first token, again after ten minutes, and again when a token names an unknown
 * key. Two fetches are at least `minRefetchMs` apart, whatever tokens arrive and whether or not the first one succeeded. When a fetch fails,
 * the keys of the last one stay in use for a day.
 * @param onFailure reports a failed fetch
 * @returns a function that rejects with IssuerUnavailableError when there are no keys to decide with
 */
export function remoteKeys(url: URL, minRefetchMs: number, onFailure: (error: unknown) => void): JWTVerifyGetKey {
  const cache: JWKSCacheInput = {};
  const options = { timeoutDuration: FETCH_TIMEOUT_MS, cooldownDuration: minRefetchMs, cacheMaxAge: MAX_AGE_MS, [jwksCache]: cache };
  const remote = createRemoteJWKSet(url, options);
  let failedAt = -Infinity;

  const lastKnown: JWTVerifyGetKey = async (header, token) => {
    const jwks = remote.jwks();
    if (!jwks || Date.now() - (cache.uat ?? 0) > MAX_STALE_MS) throw new IssuerUnavailableError(`no keys from ${url.host}`);
    try {
      return await createLocalJWKSet(jwks)(header, token);
    } catch (error) {
      // It may be a new key.
      if (error instanceof errors.JWKSNoMatchingKey) throw new IssuerUnavailableError(`no new keys from ${url.host}`, { cause: error });
      throw error;
    }
  };

  return async (header, token) => {
    if (performance.now() - failedAt < minRefetchMs) return lastKnown(header, token);
    try {
      return await remote(header, token);
    } catch (error) {
      if (OF_TOKEN.some((type) => error instanceof type)) throw error;
      failedAt = performance.now();
      onFailure(error);
      return lastKnown(header, token);
    }
  };
}
