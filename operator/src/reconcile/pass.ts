/** What one pass carries along: who is reconciled, and by what means. */
import type { Applier, KubeClient, Logger } from '../runtime/index.ts';
import type { Cache } from './watch/cache.ts';
import type { DriftGuard } from './apply/drift-guard.ts';
import type { Publish } from './status/events.ts';
import type { PlatformObject } from './ownership/ownership.ts';

export interface Pass {
  /** `namespace/name`. */
  key: string;
  platform: PlatformObject;
  cache: Cache;
  /** Fenced: writes only while this replica leads. */
  client: KubeClient;
  applier: Applier;
  guard: DriftGuard;
  /** Objects that somebody else changes as often as we take them back: `Kind name`. Filled by the pass. */
  contested: Set<string>;
  publish: Publish;
  logger: Logger;
  signal: AbortSignal;
  /** Epoch milliseconds. */
  now: number;
}
