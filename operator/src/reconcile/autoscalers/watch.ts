/** Cache of the ConsumerAutoscalers. */
import { API_VERSION, AUTOSCALER_KIND } from '../../api/index.ts';
import { Reflectors, systemClock, type Clock, type KubeClient, type Logger, type Metrics } from '../../runtime/index.ts';
import type { AutoscalerObject } from '../scaling/claims.ts';

const RESOURCE = { apiVersion: API_VERSION, kind: AUTOSCALER_KIND };
/** Discovery interval while the definition is missing: helm does not install it with an upgrade. */
const DISCOVERY_MS = 20_000;

interface WatchOptions {
  client: KubeClient;
  /** Empty: all of the cluster. */
  namespaces: readonly string[];
  metrics: Metrics;
  logger: Logger;
  clock?: Clock;
}

export class AutoscalerWatch {
  readonly all: Reflectors<AutoscalerObject>;
  readonly #options: WatchOptions;
  #begun = false;
  #stopped = false;
  #cancel: () => void = () => undefined;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.all = new Reflectors<AutoscalerObject>({ ...options, kind: RESOURCE, transform: withoutManagedFields }, options.namespaces);
  }

  /**
   * Starts to watch, and waits for the first list. Where the cluster does not serve the kind yet, it resolves at once and watches later.
   * @throws Error when the first list takes longer than `timeoutMs`
   */
  async start(timeoutMs: number): Promise<void> {
    if (await this.#begin()) return this.all.waitForSync(timeoutMs);
    const { logger } = this.#options;
    logger.warn({ kind: AUTOSCALER_KIND }, 'the cluster does not serve the kind: install its CustomResourceDefinition to use it (bss crd)');
    this.#discoverLater();
  }

  /** @returns false while the cluster does not serve the kind */
  async #begin(): Promise<boolean> {
    if (!(await this.#options.client.serves(RESOURCE)) || this.#stopped) return false;
    this.#begun = true;
    this.all.start();
    return true;
  }

  #discoverLater(): void {
    if (this.#stopped) return;
    const { clock = systemClock, logger } = this.#options;
    this.#cancel = clock.after(DISCOVERY_MS, () => {
      this.#begin()
        .catch((error: unknown) => logger.warn({ error, kind: AUTOSCALER_KIND }, 'discovery of an optional kind failed'))
        .then((begun) => (begun === true ? logger.info({ kind: AUTOSCALER_KIND }, 'watching a newly served kind') : this.#discoverLater()))
        .catch(() => undefined);
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancel();
    if (this.#begun) await this.all.stop();
  }
}

/** The operator writes nothing but the status. */
function withoutManagedFields(object: AutoscalerObject): AutoscalerObject {
  const { managedFields: _dropped, ...metadata } = object.metadata;
  return { ...object, metadata };
}
