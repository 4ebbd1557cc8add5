/** Context of one pass: the platform, and the clients that act on it. */
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
  /** Objects whose drift corrections are rate limited, because another client keeps changing them: `Kind name`. Filled by the pass. */
  contested: Set<string>;
  /** Warnings about live objects, one sentence each. Filled by the pass. */
  remarks: Set<string>;
  publish: Publish;
  logger: Logger;
  signal: AbortSignal;
  /** Epoch milliseconds. */
  now: number;
}
