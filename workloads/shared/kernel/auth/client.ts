/** A right that a route asks for and a credential grants: `<domain>:<action>`. */
export type Scope = `${string}:${string}`;

/** A scope as configuration and tokens write it. */
export const SCOPE_PATTERN = /^[a-z][a-z0-9-]*:[a-z][a-z0-9-]*$/;

/** Grants every scope. Only API keys have it: an issuer's tokens name their scopes. */
export const EVERY_SCOPE = '*';

/** Who sends a request, once its credential has been verified. */
export interface Client {
  /** `key:<id of the API key>`, or `jwt:<issuer> <subject>`. */
  id: string;
  scopes: readonly string[];
}

/** The scopes that are required and not granted. */
export function missingScopes(granted: readonly string[], required: readonly Scope[]): Scope[] {
  return granted.includes(EVERY_SCOPE) ? [] : required.filter((scope) => !granted.includes(scope));
}

/** A credential that is not accepted. The message goes to the client: it never contains the credential. */
export class CredentialError extends Error {
  override readonly name = 'CredentialError';
}

/** The keys of an issuer cannot be fetched, so its tokens can be neither accepted nor rejected. */
export class IssuerUnavailableError extends Error {
  override readonly name = 'IssuerUnavailableError';
}
