import { setTimeout as pause } from 'node:timers/promises';
import { recordOf } from './platform.ts';
import type { TestPlatform } from './platform.ts';

const CHUNK = 200;

/** Events that are produced while a test causes faults. Acknowledged events are accepted; others may be in Kafka nevertheless. */
export class Traffic {
  readonly sent = new Set<string>();
  readonly accepted = new Set<string>();
  readonly #platform: TestPlatform;
  #running = false;
  #loop: Promise<void> = Promise.resolve();

  constructor(platform: TestPlatform) {
    this.#platform = platform;
  }

  /** Sends `count` events. */
  async burst(count: number): Promise<void> {
    for (let left = count; left > 0; left -= CHUNK) await this.#chunk(Math.min(CHUNK, left));
  }

  /** Sends about `perSecond` events per second until `stop`. */
  start(perSecond: number): void {
    this.#running = true;
    this.#loop = this.#flow((CHUNK / perSecond) * 1000);
  }

  async stop(): Promise<void> {
    this.#running = false;
    await this.#loop;
  }

  async #flow(intervalMs: number): Promise<void> {
    while (this.#running) {
      // While Kafka is unavailable, a chunk that it does not acknowledge is not accepted, and not sent again.
      await Promise.all([this.#chunk(CHUNK).catch(() => undefined), pause(intervalMs)]);
    }
  }

  async #chunk(size: number): Promise<void> {
    const events = Array.from({ length: size }, (_value, index) => this.#platform.event(this.sent.size + index));
    for (const { id } of events) this.sent.add(id);
    await this.#platform.produce(events.map((event) => recordOf(event)));
    for (const { id } of events) this.accepted.add(id);
  }
}
