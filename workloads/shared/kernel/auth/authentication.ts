import type { IncomingHttpHeaders } from 'node:http';
import { clientOfKey, type ApiKey } from './api-keys.ts';
import { CredentialError, type Client } from './client.ts';
import { presentedCredential } from './presented.ts';
import { clientOfToken, isToken, type TokenIssuer } from './tokens.ts';

interface Accepted {
  keys?: readonly ApiKey[];
  issuers?: readonly TokenIssuer[];
  /** Scopes of requests without a credential; none by default. */
  anonymousScopes?: readonly string[];
}

/** The credentials that a service accepts. */
export class Authentication {
  readonly anonymousScopes: readonly string[];
  readonly #keys: readonly ApiKey[];
  readonly #issuers: readonly TokenIssuer[];

  constructor({ keys = [], issuers = [], anonymousScopes = [] }: Accepted) {
    this.#keys = keys;
    this.#issuers = issuers;
    this.anonymousScopes = anonymousScopes;
  }

  /**
   * The client of a request; undefined when the request has no credential.
   * @throws CredentialError when the credential is not accepted, IssuerUnavailableError when that cannot be decided now
   */
  async identify(headers: IncomingHttpHeaders, now = new Date()): Promise<Client | undefined> {
    const credential = presentedCredential(headers);
    if (credential === undefined) return undefined;
    const client = clientOfKey(this.#keys, credential, now);
    if (client) return client;
    if (this.#issuers.length > 0 && isToken(credential)) return clientOfToken(this.#issuers, credential, now);
    throw new CredentialError('The credential is not accepted.');
  }
}
