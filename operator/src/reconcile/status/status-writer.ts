/** Writes status when it changed; writes that change only figures are at least ten seconds apart. */
import type { BssPlatformStatus } from '../../api/index.ts';
import { referenceOf } from '../../runtime/index.ts';
import { conditionOf } from './conditions.ts';
import type { Outcome } from './outcome.ts';
import type { PlatformObject } from '../ownership/ownership.ts';
import type { Pass } from '../pass.ts';
import { difference, FIGURES_INTERVAL_MS, nextStatus, readStatus, statusPatch, withPlan } from './status.ts';
import { transitions } from './transitions.ts';

interface Written {
  /** resourceVersion of the cached platform at the time of the write: while the cache still has it, the cache has not seen the write. */
  basedOn: string | undefined;
  status: BssPlatformStatus;
  at: number;
}

export class StatusWriter {
  readonly #written = new Map<string, Written>();
  readonly #onReady: (platformKey: string, ready: boolean | undefined) => void;

  /** @param onReady called after each pass with the readiness of a platform; undefined when the platform no longer exists */
  constructor(onReady: (platformKey: string, ready: boolean | undefined) => void) {
    this.#onReady = onReady;
  }

  /** The platform with its newest known status; invalid fields are dropped. */
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
   * Writes the outcome of a pass, and publishes the transitions as events.
   * @param plan the changes of a proposed spec, if one was requested
   * @returns milliseconds after which to retry, when the write is throttled
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
