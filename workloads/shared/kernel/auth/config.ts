import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { ConfigError } from '../config.ts';
import type { Logger } from '../log.ts';
import { MIN_KEY_LENGTH, parseApiKeys, sha256, type ApiKey } from './api-keys.ts';
import { Authentication } from './authentication.ts';
import { EVERY_SCOPE, SCOPE_PATTERN } from './client.ts';
import { remoteKeys } from './issuer-keys.ts';
import { localKeys, type TokenIssuer } from './tokens.ts';

/** A key that the operator generates. */
export const generatedKey = z
  .string({ error: 'set it from the Secret of the platform' })
  .min(MIN_KEY_LENGTH, `use at least ${MIN_KEY_LENGTH} characters`);

const issuer = z
  .strictObject({
    issuer: z.string().min(1),
    audiences: z.array(z.string().min(1)).min(1),
    clockToleranceSeconds: z.number().min(0).max(300).default(5),
    jwksUrl: z.url({ protocol: /^https?$/ }).optional(),
    jwksFile: z.string().min(1).optional(),
    minRefetchSeconds: z.number().min(0).max(3_600).default(30),
  })
  .refine(({ jwksUrl, jwksFile }) => (jwksUrl === undefined) !== (jwksFile === undefined));

const ISSUERS_ADVICE = 'write a JSON list of {issuer, audiences, clockToleranceSeconds, and either jwksUrl or jwksFile}';

const issuers = z
  .string()
  .default('[]')
  .transform((text, context) => {
    const parsed = z.array(issuer).safeParse(jsonOrUndefined(text));
    if (parsed.success) return parsed.data;
    context.addIssue({ code: 'custom', message: ISSUERS_ADVICE });
    return z.NEVER;
  });

function jsonOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const scopeList = z
  .string()
  .default('')
  .transform((list) => list.split(',').filter((scope) => scope !== ''))
  .refine((list) => list.every((scope) => SCOPE_PATTERN.test(scope)), 'write a comma list of scopes, such as ledger:read');

/** Which credentials a service accepts. */
export const authEnv = {
  /** The platform's generated key, which has every scope; the other one is valid too while a rotation is in progress. */
  API_KEY: generatedKey,
  API_KEY_OTHER: generatedKey.optional(),
  /** A file with more keys: see {@link parseApiKeys}. */
  API_KEYS_FILE: z.string().min(1).optional(),
  JWT_ISSUERS: issuers,
  /** Scopes of requests without a credential. */
  ANONYMOUS_SCOPES: scopeList,
};

type AuthConfig = z.output<z.ZodObject<typeof authEnv>>;

/**
 * Reads keys and issuers.
 * @param keyId the client's name for the generated key
 * @throws ConfigError that names the file and the invalid field, and no value
 */
export async function openAuthentication(config: AuthConfig, keyId: string, log: Logger): Promise<Authentication> {
  const generated = [config.API_KEY, config.API_KEY_OTHER].filter((key) => key !== undefined);
  const keys = generated.map((key): ApiKey => ({ id: keyId, hash: sha256(key), scopes: [EVERY_SCOPE] }));
  const more = config.API_KEYS_FILE === undefined ? [] : await parsedFile('API_KEYS_FILE', config.API_KEYS_FILE, parseApiKeys);
  const tokenIssuers = await Promise.all(config.JWT_ISSUERS.map((one) => openIssuer(one, log)));
  return new Authentication({ keys: [...keys, ...more], issuers: tokenIssuers, anonymousScopes: config.ANONYMOUS_SCOPES });
}

async function openIssuer(one: z.output<typeof issuer>, log: Logger): Promise<TokenIssuer> {
  const { issuer: name, audiences, clockToleranceSeconds } = one;
  const failed = (error: unknown) => log.warn({ error, issuer: name }, 'the keys of the issuer cannot be fetched');
  const keys =
    one.jwksUrl === undefined
      ? await parsedFile('JWT_ISSUERS', one.jwksFile ?? '', localKeys)
      : remoteKeys(new URL(one.jwksUrl), one.minRefetchSeconds * 1000, failed);
  return { issuer: name, audiences, clockToleranceSeconds, keys };
}

async function parsedFile<T>(variable: string, path: string, parse: (text: string) => T): Promise<T> {
  try {
    return parse(await readFile(path, 'utf8'));
  } catch (error) {
    // A parser's message may quote the file: only parseApiKeys and the file system are known not to.
    const reason = error instanceof SyntaxError ? 'it is not JSON' : error instanceof Error ? error.message : String(error);
    throw new ConfigError(`The configuration is invalid:\n  ${variable} names ${path}: ${reason}`);
  }
}
