/**
 * Reports changes of Secrets that users own and platforms use, such as a new password of an external store. Such Secrets have no label of the
 * operator, so it watches all Secrets of the watched namespaces, but only their metadata: the values never reach this process. The watch starts with the first platform that
 * needs it. It needs no further permission, because the operator manages credentials Secrets in every watched namespace.
 */
import { Reflectors, type KubeClient, type KubernetesObject, type Logger, type Metrics } from '../../runtime/index.ts';

export interface SecretWatchOptions {
  client: KubeClient;
  /** Empty: all of the cluster. */
  namespaces: readonly string[];
  metrics: Metrics;
  logger: Logger;
  onChange: (platformKey: string) => void;
}

/** Excludes the many Secrets that never hold a store's password: Helm releases and service account tokens. */
const FIELD_SELECTOR = ['helm.sh/release.v1', 'kubernetes.io/service-account-token'].map((type) => `type!=${type}`).join(',');

export class SecretWatch {
  readonly #options: SecretWatchOptions;
  /** Keys of Secrets, by the key of the platform that uses them. */
  readonly #used = new Map<string, ReadonlySet<string>>();
  #reflector: Reflectors | undefined;

  constructor(options: SecretWatchOptions) {
    this.#options = options;
  }

  /** @param secretKeys `namespace/name` of every Secret that the platform uses and a user owns; replaces the earlier list */
  track(platformKey: string, secretKeys: string[]): void {
    if (secretKeys.length === 0) return this.forget(platformKey);
    this.#used.set(platformKey, new Set(secretKeys));
    this.#reflector ??= this.#begin();
  }

  forget(platformKey: string): void {
    this.#used.delete(platformKey);
  }

  async stop(): Promise<void> {
    await this.#reflector?.stop();
  }

  #begin(): Reflectors {
    const { client, metrics, logger, namespaces } = this.#options;
    const selection = { metadataOnly: true, fieldSelector: FIELD_SELECTOR };
    const kind = { apiVersion: 'v1', kind: 'Secret' };
    const reflector = new Reflectors({ client, metrics, logger, ...selection, kind, transform: nameOnly }, namespaces);
    reflector.subscribe(({ key }) => this.#changed(key));
    reflector.start();
    return reflector;
  }

  #changed(secretKey: string): void {
    for (const [platformKey, secrets] of this.#used) if (secrets.has(secretKey)) this.#options.onChange(platformKey);
  }
}

/** Keeps only the name and version. */
function nameOnly({ apiVersion, kind, metadata: { name, namespace, resourceVersion } }: KubernetesObject): KubernetesObject {
  return { apiVersion, kind, metadata: { name, ...(namespace && { namespace }), ...(resourceVersion && { resourceVersion }) } };
}
