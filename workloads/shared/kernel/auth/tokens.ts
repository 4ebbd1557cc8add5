import { createLocalJWKSet, decodeJwt, errors, jwtVerify } from 'jose';
import type { JSONWebKeySet, JWTPayload, JWTVerifyGetKey } from 'jose';
import { CredentialError, SCOPE_PATTERN, type Client } from './client.ts';

/** Signatures with public keys only: with HS256 the public key of an issuer would be a secret that everyone knows. */
const ALGORITHMS = ['RS256', 'ES256', 'EdDSA', 'Ed25519'];

/** An issuer whose tokens are accepted. */
export interface TokenIssuer {
  issuer: string;
  /** A token must name one of them. */
  audiences: readonly string[];
  /** Tolerated difference between the clocks, for `exp` and `nbf`. */
  clockToleranceSeconds: number;
  keys: JWTVerifyGetKey;
}

/** Keys that are known from the start. @throws Error when it is not a JSON Web Key Set */
export function localKeys(text: string): JWTVerifyGetKey {
  return createLocalJWKSet(JSON.parse(text) as JSONWebKeySet);
}

/** Whether a credential has the form of a JWT in compact serialization. */
export function isToken(credential: string): boolean {
  return /^[\w-]+\.[\w-]+\.[\w-]*$/.test(credential);
}

/**
 * Verifies a token: signature, algorithm, issuer, audience, `exp`, `nbf`, and that it names a subject.
 * @throws CredentialError when it is not accepted, IssuerUnavailableError when the issuer's keys cannot be fetched
 */
export async function clientOfToken(issuers: readonly TokenIssuer[], token: string, now: Date): Promise<Client> {
  const issuer = issuers.find(({ issuer: name }) => name === claimedIssuer(token));
  if (!issuer) throw new CredentialError("The token's issuer is not accepted.");
  try {
    const { payload } = await jwtVerify(token, issuer.keys, {
      issuer: issuer.issuer,
      audience: [...issuer.audiences],
      algorithms: ALGORITHMS,
      clockTolerance: issuer.clockToleranceSeconds,
      currentDate: now,
      requiredClaims: ['exp', 'sub'],
    });
    return { id: `jwt:${issuer.issuer} ${payload.sub}`, scopes: scopesOf(payload) };
  } catch (error) {
    if (error instanceof errors.JOSEError) throw new CredentialError(adviceFor(error));
    throw error;
  }
}

function claimedIssuer(token: string): string | undefined {
  try {
    return decodeJwt(token).iss;
  } catch {
    throw new CredentialError('The token is not a valid JWT.');
  }
}

/** `scope` is a list with spaces (RFC 9068); `scp` is a list with spaces or an array, as Okta and Entra write it. */
export function scopesOf({ scope, scp }: JWTPayload): string[] {
  const listed = [scope, scp].flatMap((claim: unknown) =>
    typeof claim === 'string' ? claim.split(' ') : Array.isArray(claim) ? claim : [],
  );
  return listed.filter((one): one is string => typeof one === 'string' && SCOPE_PATTERN.test(one));
}

/** The library's errors carry the claims of the token: only the kind of error goes to the client. */
function adviceFor(error: errors.JOSEError): string {
  if (error instanceof errors.JWTExpired) return 'The token has expired.';
  if (error instanceof errors.JWTClaimValidationFailed) return `The token's claim "${error.claim}" is missing or not accepted.`;
  if (error instanceof errors.JOSEAlgNotAllowed) return `The token must be signed with one of ${ALGORITHMS.join(', ')}.`;
  if (error instanceof errors.JWKSNoMatchingKey || error instanceof errors.JWKSMultipleMatchingKeys)
    return "The issuer has no key for the token's key id.";
  if (error instanceof errors.JWSSignatureVerificationFailed) return "The token's signature is not valid.";
  return 'The token is not a valid JWT.';
}
