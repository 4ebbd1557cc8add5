import type { ConsumerGroupStatus, DecisionRecord, KafkaConnection, ScaleClient, ScaleEvent, ScaleTarget } from './types.ts';

export interface AutoscalerDeps {
  scale: ScaleClient;
  /** Called after a sample changed what `snapshot` returns in more than figures (replicas, reason, problems). */
  onChange?: (platformKey: string) => void;
  /** Called when something happened that is worth a Kubernetes event. */
  onEvent?: (platformKey: string, event: ScaleEvent) => void;
  log?: (level: 'debug' | 'info' | 'warn' | 'error', message: string, fields: Record<string, unknown>) => void;
}

/** Samples and scales the consumer groups of any number of platforms. Not one of its methods throws. */
export class Autoscaler {
  constructor(deps: AutoscalerDeps) {
    void deps;
  }

  /** Begins sampling at once; platforms may be set before or after. */
  start(): void {}

  /** Ends all sampling and closes every connection. */
  async stop(): Promise<void> {}

  /** Replaces the groups of a platform. Groups that stay keep what was learnt; calling it again with the same values changes nothing. */
  setTargets(platformKey: string, targets: ScaleTarget[], kafka: KafkaConnection): void {
    void platformKey;
    void targets;
    void kafka;
  }

  /** Forgets a platform and closes its connection. */
  remove(platformKey: string): void {
    void platformKey;
  }

  /** The groups of a platform as last seen, in the order of `setTargets`; empty for an unknown platform. */
  snapshot(platformKey: string): ConsumerGroupStatus[] {
    void platformKey;
    return [];
  }

  /** The last hour's decisions of a group, oldest first. */
  history(platformKey: string, group: string): DecisionRecord[] {
    void platformKey;
    void group;
    return [];
  }
}
