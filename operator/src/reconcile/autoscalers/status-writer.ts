/** Writes the status of ConsumerAutoscalers when it changed; writes that change only figures are at least ten seconds apart. */
import type { ConsumerAutoscalerStatus } from '../../api/index.ts';
import { keyOf, referenceOf, type KubeClient } from '../../runtime/index.ts';
import type { AutoscalerObject } from '../scaling/claims.ts';
import { FIGURES_INTERVAL_MS, removedFields } from '../status/status.ts';
import { autoscalerDifference, readAutoscalerStatus } from './status.ts';

interface Written {
  /** resourceVersion of the cached object at the time of the write: while the cache still has it, the cache has not seen the write. */
  basedOn: string | undefined;
  status: ConsumerAutoscalerStatus;
  at: number;
}

/** `throttled`: only figures differ, and they are written after `waitMs`. */
export type WriteResult = { type: 'unchanged' | 'written' } | { type: 'throttled'; waitMs: number };

export class AutoscalerStatusWriter {
  readonly #written = new Map<string, Written>();
  /** Fenced. */
  readonly #client: KubeClient;

  constructor(client: KubeClient) {
    this.#client = client;
  }

  /** The newest known status. */
  statusOf(resource: AutoscalerObject): ConsumerAutoscalerStatus | undefined {
    const written = this.#written.get(keyOf(resource.metadata));
    return written?.basedOn === resource.metadata.resourceVersion ? written?.status : readAutoscalerStatus(resource.status);
  }

  forget(key: string): void {
    this.#written.delete(key);
  }

  /** @param now epoch milliseconds */
  async write(resource: AutoscalerObject, next: ConsumerAutoscalerStatus, now: number, signal: AbortSignal): Promise<WriteResult> {
    const [key, old] = [keyOf(resource.metadata), this.statusOf(resource)];
    const kind = autoscalerDifference(old, next);
    if (kind === 'none') return { type: 'unchanged' };
    const waitMs = (this.#written.get(key)?.at ?? 0) + FIGURES_INTERVAL_MS - now;
    if (kind === 'figures' && waitMs > 0) return { type: 'throttled', waitMs };
    await this.#client.patch(referenceOf(resource), statusPatch(old, next), { subresource: 'status', signal });
    this.#written.set(key, { basedOn: resource.metadata.resourceVersion, status: next, at: now });
    return { type: 'written' };
  }
}

/** Merge patch that turns `old` into `next`. It merges nested objects: what is no longer known of `learned` is named too. */
function statusPatch(old: ConsumerAutoscalerStatus | undefined, next: ConsumerAutoscalerStatus): { status: Record<string, unknown> } {
  const learned = next.learned === undefined ? {} : { learned: { ...removedFields(old?.learned, next.learned), ...next.learned } };
  return { status: { ...removedFields(old, next), ...next, ...learned } };
}
