/**
 * Tells when a Secret changes that a platform uses and that is not ours: a user has exchanged the password of an external store. Such Secrets bear no
 * label, so all are watched, but their metadata alone: what is in the Secrets of others never comes to this process. The watch begins with the
 * first platform that needs it. The operator has the right for it in any case, as it looks after the Secrets that it makes in every namespace.
 */
import { Reflector, type KubeClient, type KubernetesObject, type Logger, type Metrics } from '../../runtime/index.ts';

export interface SecretWatchOptions {
  client: KubeClient;
  metrics: Metrics;
  logger: Logger;
  onChange: (platformKey: string) => void;
}

/** Nobody keeps a store's password in these, and there are many: revisions of helm's releases, tokens of service accounts. */
const FIELD_SELECTOR = ['helm.sh/release.v1', 'kubernetes.io/service-account-token'].map((type) => `type!=${type}`).join(',');

export class SecretWatch {
  readonly #options: SecretWatchOptions;
  /** Keys of Secrets by the key of the platform that uses them. */
  readonly #used = new Map<string, ReadonlySet<string>>();
  #reflector: Reflector | undefined;

  constructor(options: SecretWatchOptions) {
    this.#options = options;
  }

  /** @param secretKeys `namespace/name` of every Secret of others that the platform uses, in place of what was said before */
  use(platformKey: string, secretKeys: string[]): void {
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

  #begin(): Reflector {
    const { client, metrics, logger } = this.#options;
    const selection = { metadataOnly: true, fieldSelector: FIELD_SELECTOR };
    const reflector = new Reflector({
      client,
      metrics,
      logger,
      ...selection,
      kind: { apiVersion: 'v1', kind: 'Secret' },
      transform: nameOnly,
    });
    reflector.subscribe(({ key }) => this.#changed(key));
    reflector.start();
    return reflector;
  }

  #changed(secretKey: string): void {
    for (const [platformKey, secrets] of this.#used) if (secrets.has(secretKey)) this.#options.onChange(platformKey);
  }
}

/** That it has changed is all that matters. */
function nameOnly({ apiVersion, kind, metadata: { name, namespace, resourceVersion } }: KubernetesObject): KubernetesObject {
  return { apiVersion, kind, metadata: { name, ...(namespace && { namespace }), ...(resourceVersion && { resourceVersion }) } };
}
