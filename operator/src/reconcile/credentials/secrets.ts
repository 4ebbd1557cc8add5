/** Values of the Secrets that a platform uses, and their hashes for the builders. The values never leave this process. */
import { hash, type Credentials, type SecretHashes, type SecretUse } from '../../platform/index.ts';
import { decode, type SecretObject } from './credentials.ts';
import type { KubeClient } from '../../runtime/index.ts';
import { settleAll } from '../settle-all.ts';

export class SecretValues {
  readonly #values: ReadonlyMap<string, Credentials>;

  constructor(values: ReadonlyMap<string, Credentials>) {
    this.#values = values;
  }

  /** Undefined when the Secret or key does not exist. */
  get(name: string, key: string): string | undefined {
    return this.#values.get(name)?.[key];
  }

  /** Hash of each used value that exists. */
  hashes(uses: SecretUse[]): SecretHashes {
    return Object.fromEntries(uses.map(({ name, keys }) => [name, this.#hashesOf(name, keys)]));
  }

  /** What is missing of the used Secrets and keys: one entry for each Secret, with its remedy. */
  missing(uses: SecretUse[]): { what: string; remedy: string }[] {
    return uses.flatMap(({ name, keys }) => {
      const values = this.#values.get(name);
      if (values === undefined) return [{ what: `Secret ${name} does not exist`, remedy: `create it with ${named(keys)}` }];
      const absent = keys.filter((key) => values[key] === undefined);
      return absent.length > 0
        ? [{ what: `Secret ${name} has no ${named(absent)}`, remedy: 'add it, or name another key in the spec' }]
        : [];
    });
  }

  #hashesOf(name: string, keys: string[]): Record<string, string> {
    const values = this.#values.get(name) ?? {};
    return Object.fromEntries(keys.flatMap((key) => (values[key] === undefined ? [] : [[key, hash(values[key])]])));
  }
}

function named(keys: string[]): string {
  return `${keys.length === 1 ? 'key' : 'keys'} ${keys.join(', ')}`;
}

/** Reads Secrets of one namespace. */
interface Reader {
  client: KubeClient;
  namespace: string;
  signal: AbortSignal;
}

/** Reads the Secrets that users own; the values of the operator's own are passed in. @throws KubeError when a retry may succeed */
export async function readSecrets(
  reader: Reader,
  foreign: string[],
  own: { name: string; values: Credentials }[] = [],
): Promise<SecretValues> {
  const { client, namespace, signal } = reader;
  const read = await settleAll(
    foreign.map(async (name): Promise<[string, Credentials][]> => {
      const reference = { apiVersion: 'v1', kind: 'Secret', name, namespace };
      const secret = await client.find<SecretObject>(reference, { signal });
      return secret === undefined ? [] : [[name, decode(secret.data ?? {})]];
    }),
  );
  return new SecretValues(new Map([...read.flat(), ...own.map(({ name, values }): [string, Credentials] => [name, values])]));
}
