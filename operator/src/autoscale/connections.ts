/**
 * Samplers by what they connect to. Users in one namespace that name the same brokers with the same credentials share one, and with it its
 * connections. Namespaces share nothing: what one of them does to a connection must not reach another.
 */
import { Sampler } from './sampler.ts';
import type { KafkaConnection } from './types.ts';

/** One user's hold on a sampler. */
export interface Lease {
  readonly sampler: Sampler;
  /** Ends the hold. The connections of the sampler end with the last one. */
  release(): Promise<void>;
}

interface Held {
  sampler: Sampler;
  users: number;
}

export class Connections {
  readonly #held = new Map<string, Held>();

  lease(namespace: string, kafka: KafkaConnection): Lease {
    const key = JSON.stringify([namespace, kafka]);
    const held = this.#held.get(key) ?? { sampler: new Sampler(kafka), users: 0 };
    this.#held.set(key, held);
    held.users++;
    let released = false;
    return {
      sampler: held.sampler,
      release: async () => {
        if (released) return;
        released = true;
        held.users--;
        if (held.users > 0) return;
        this.#held.delete(key);
        await held.sampler.close();
      },
    };
  }
}
