/** Writes status, and only when it changed: figures alone no more often than every ten seconds. */
import type { BssPlatformStatus } from '../../api/index.ts';
import { referenceOf } from '../../runtime/index.ts';
import { conditionOf } from './conditions.ts';
import type { Outcome } from './outcome.ts';
import type { PlatformObject } from '../ownership/ownership.ts';
import type { Pass } from '../pass.ts';
import { difference, FIGURES_INTERVAL_MS, nextStatus, readStatus, statusPatch, withPlan } from './status.ts';
import { transitions } from './transitions.ts';

interface Written {
  /** Version of the cached platform at the time of the write: while it is the cached one, the cache has not seen the write yet. */
  basedOn: string | undefined;
  status: BssPlatformStatus;
  at: number;
}

export class StatusWriter {
  readonly #written = new Map<string, Written>();
  readonly #onReady: (platformKey: string, ready: boolean | undefined) => void;

  /** @param onReady told after each pass whether a platform is ready; undefined when it is gone */
  constructor(onReady: (platformKey: string, ready: boolean | undefined) => void) {
    this.#onReady = onReady;
  }

  /** The platform with the newest status that is known of it, as far as that can be understood. */
  withStatus(platform: PlatformObject): PlatformObject {
    const written = this.#written.get(keyOfPlatform(platform));
    const { status: raw, ...rest } = platform;
    const status = written?.basedOn === platform.metadata.resourceVersion ? written?.status : readStatus(raw);
    return status === undefined ? rest : { ...rest, status };
  }

  forget(platformKey: string): void {
    this.#written.delete(platformKey);
    this.#onReady(platformKey, undefined);
  }

  /**
   * Writes what a pass found out, and publishes what changed by it.
   * @param plan what a proposed spec would change, when there is a proposal
   * @returns milliseconds after which to try again, when the write has to wait
   */
  async write(pass: Pass, outcome: Outcome, plan?: BssPlatformStatus['plan']): Promise<number | undefined> {
    const { platform, now, key } = pass;
    const next = withPlan(nextStatus(platform.status, outcome, now), plan);
    this.#onReady(key, conditionOf(next, 'Ready')?.status === 'True');
    const kind = difference(platform.status, next);
    if (kind === 'none') return undefined;
    const waitMs = (this.#written.get(key)?.at ?? 0) + FIGURES_INTERVAL_MS - now;
    if (kind === 'figures' && waitMs > 0) return waitMs;
    await pass.client.patch(referenceOf(platform), statusPatch(platform.status, next), { subresource: 'status', signal: pass.signal });
    this.#written.set(key, { basedOn: platform.metadata.resourceVersion, status: next, at: now });
    for (const { type, reason, message } of transitions(platform.status, next)) pass.publish(type, reason, message);
    return undefined;
  }
}

function keyOfPlatform({ metadata }: PlatformObject): string {
  return `${metadata.namespace}/${metadata.name}`;
}
