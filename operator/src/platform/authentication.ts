/** Credentials of clients from outside the platform: API keys of a Secret, and JWTs of issuers. */
import { z } from 'zod';
import { httpUrl, secretKey } from '../api/common.ts';
import { rule } from '../api/rules.ts';
import type { Connection } from './definition.ts';
import { urlPort } from './names.ts';
import { secretVolume, value, type Requirements } from './pods.ts';

/** As in workloads/shared/kernel/auth. */
const SCOPE = '^[a-z][a-z0-9-]*:[a-z][a-z0-9-]*$';

const scope = rule(z.string().max(63), {
  cel: `self.matches('${SCOPE}')`,
  message: 'write a scope such as ledger:read',
  check: (text) => new RegExp(SCOPE).test(text),
});

const text = (what: string) => z.string().min(1).max(512).describe(what);

const issuer = rule(
  z.strictObject({
    issuer: text('The claim `iss` of its tokens, to the letter.'),
    audiences: z
      .array(z.string().min(1).max(256))
      .min(1)
      .max(8)
      .meta({ 'x-kubernetes-list-type': 'set' })
      .describe('Accepted values of the claim `aud`: a token must have one of them.'),
    jwksUrl: httpUrl('Address of its JSON Web Key Set.', 'write a URL such as https://login.example.com/jwks.json').optional(),
    jwksSecret: secretKey('Its JSON Web Key Set, where the gateway cannot reach the issuer.', 'jwks.json').optional(),
    clockToleranceSeconds: z.int().min(0).max(300).default(5).describe('Tolerated difference between the clocks.'),
  }),
  {
    cel: 'has(self.jwksUrl) != has(self.jwksSecret)',
    message: 'an issuer needs either jwksUrl or jwksSecret: write the address of its keys, or the Secret that holds them',
    check: ({ jwksUrl, jwksSecret }) => (jwksUrl === undefined) !== (jwksSecret === undefined),
  },
);

export const authSchema = z
  .strictObject({
    apiKeys: secretKey(
      'API keys of clients: JSON of the form {"keys": [{"id", "key" or "sha256", "scopes", "expires"}]}. The generated api-key of the credentials Secret is accepted too.',
      'api-keys.json',
    ).optional(),
    issuers: z
      .array(issuer)
      .max(8)
      .refine((all) => new Set(all.map((one) => one.issuer)).size === all.length, 'each issuer may occur once: remove the duplicate')
      .default([])
      .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['issuer'] })
      .describe('Issuers whose JWTs are accepted. The scopes of a client are in the claim `scope` or `scp`.'),
    anonymousScopes: z
      .array(scope)
      .max(16)
      .default([])
      .meta({ 'x-kubernetes-list-type': 'set' })
      .describe('Scopes of requests without a credential. Not for production.'),
  })
  .prefault({})
  .describe('Authentication of the clients.');

type Auth = z.output<typeof authSchema>;

const DIRECTORY = '/etc/authentication';

/** A key of a Secret as a file. */
function file(volume: string, { name, key }: { name: string; key: string }, fileName: string) {
  const directory = `${DIRECTORY}/${volume}`;
  return {
    path: `${directory}/${fileName}`,
    volume: secretVolume(volume, name, { [key]: fileName }),
    mount: [directory, volume] as const,
    secret: { name, keys: [key] },
  };
}

/** What a pod needs that authenticates clients from outside the platform. */
export function publicAuthentication({ apiKeys, issuers, anonymousScopes }: Auth): Requirements {
  const keys = apiKeys && file('api-keys', apiKeys, 'api-keys.json');
  const sources = issuers.map((one, index) => ({ ...one, jwks: one.jwksSecret && file(`jwks-${index}`, one.jwksSecret, 'jwks.json') }));
  const accepted = sources.map(({ issuer: name, audiences, clockToleranceSeconds, jwksUrl, jwks }) => ({
    issuer: name,
    audiences,
    clockToleranceSeconds,
    ...(jwks ? { jwksFile: jwks.path } : { jwksUrl }),
  }));
  const files = [keys, ...sources.map(({ jwks }) => jwks)].filter((one) => one !== undefined);
  return {
    env: [
      ...(keys ? [value('API_KEYS_FILE', keys.path)] : []),
      // The kubelet expands $(NAME); $$( stands for itself.
      ...(accepted.length > 0 ? [value('JWT_ISSUERS', JSON.stringify(accepted).replaceAll('$(', '$$$$('))] : []),
      ...(anonymousScopes.length > 0 ? [value('ANONYMOUS_SCOPES', anonymousScopes.join(','))] : []),
    ],
    volumes: files.map(({ volume }) => volume),
    mounts: Object.fromEntries(files.map(({ mount }) => mount)),
    secrets: files.map(({ secret }) => secret),
  };
}

/** The ports at which the issuers' keys are fetched. */
export function issuerPorts({ issuers }: Auth): Connection[] {
  const ports = new Set(issuers.flatMap(({ jwksUrl }) => (jwksUrl === undefined ? [] : [urlPort(jwksUrl)])));
  return ports.size === 0 ? [] : [{ outside: [...ports].toSorted((a, b) => a - b) }];
}
