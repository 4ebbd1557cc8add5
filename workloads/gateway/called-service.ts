import { ConfigError } from '../shared/kernel/config.ts';

/**
 * Makes the client of a service that the platform may leave out: it is called where `<PREFIX>_URL` is set, with the key `<PREFIX>_API_KEY`.
 * @throws ConfigError when there is an address without a key
 */
export function calledService<P extends string, T>(
  config: { [N in `${P}_URL` | `${P}_API_KEY`]?: string | undefined },
  prefix: P,
  make: (service: { url: string; apiKey: string }) => T,
): T | undefined {
  const { [`${prefix}_URL`]: url, [`${prefix}_API_KEY`]: apiKey } = config as Record<string, string | undefined>;
  if (url === undefined) return undefined;
  if (apiKey === undefined)
    throw new ConfigError(`The configuration is invalid:\n  ${prefix}_API_KEY is missing: set it from the Secret of the platform`);
  return make({ url, apiKey });
}
