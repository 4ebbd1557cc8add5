/** Samples for tests: a group of some partitions, evenly loaded unless said otherwise. */
import type { DeploymentView, UsableSample } from './types.ts';

export interface SampleOptions {
  at?: number;
  seconds?: number;
  partitions?: number;
  /** Messages, all partitions together. */
  lag?: number;
  arrived?: number;
  progress?: number;
  /** Replicas that are asked for, ready and members. */
  replicas?: number;
  delaySeconds?: number | null;
  deployment?: Partial<DeploymentView>;
  group?: Partial<UsableSample['group']>;
}

/** A settled group in which every partition has its share. */
export function sampleOf(options: SampleOptions = {}): UsableSample {
  const { at = 0, seconds = 5, partitions = 12, lag = 0, arrived = 0, progress = 0, replicas = 1, delaySeconds = 0 } = options;
  const each = (total: number) => Array.from({ length: partitions }, () => total / partitions);
  return {
    usable: true,
    at,
    seconds,
    partitions: Array.from({ length: partitions }, (_, index) => `t/${index}`),
    lag: each(lag),
    totalLag: lag,
    arrived: each(arrived),
    progress: each(progress),
    delaySeconds,
    group: { state: 'Stable', members: replicas, ...options.group },
    owners: replicas === 0 ? null : Array.from({ length: partitions }, (_, index) => index % replicas),
    deployment: { replicas, ready: replicas, rollingOut: false, ...options.deployment },
  };
}
