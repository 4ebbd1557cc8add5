/** The autoscaler itself, fed by the model: the same code that runs in the operator, from offsets to replicas. */
import { decide } from '../decide.ts';
import { DelayTracker } from '../delay.ts';
import { toSample, unusable } from '../lag.ts';
import type { LagMemory } from '../lag.ts';
import { SAMPLE_SECONDS, withDefaults } from '../policy.ts';
import type { ScalePolicy } from '../policy.ts';
import { initialState } from '../state.ts';
import type { Decision, LearnedRate, PartitionOffsets, Sample } from '../types.ts';
import type { GroupModel } from './model.ts';
import type { Scaler } from './run.ts';
import type { Trace } from './traces.ts';

export interface OursOptions {
  /** Changes to the defaults; bounds and goal come from the trace. */
  policy?: Partial<ScalePolicy>;
  /** What the group's status already knows; null for a group that was never seen. */
  learned?: LearnedRate | null;
  /** Sees every sample and decision. */
  watch?: (sample: Sample, decision: Decision) => void;
}

/** A scaler that samples in the phase `phase` (seconds) of its 5 s cycle. */
export function ourScaler(trace: Trace, phase: number, options: OursOptions = {}): Scaler {
  const { minReplicas, maxReplicas, maxDelay } = trace;
  const policy = withDefaults({ minReplicas, maxReplicas, maxDelaySeconds: maxDelay, scaleToZero: minReplicas === 0, ...options.policy });
  const delay = new DelayTracker();
  const names = namesOf(trace);
  let memory: LagMemory | null = null;
  let state = initialState(options.learned ?? null);
  const look = (group: GroupModel): Sample => {
    const at = group.time * 1000;
    const deployment = { replicas: group.replicas, ready: group.ready, rollingOut: group.rollingOut, version: String(group.version) };
    if (group.brokerDown) return unusable({ at, deployment }, 'BrokerAway', 'the brokers do not answer');
    const groupState = group.ready === 0 ? 'Empty' : group.rebalancing ? 'PreparingRebalance' : 'Stable';
    const observation = {
      at,
      offsets: offsetsOf(group, names),
      group: { state: groupState, members: group.members, ...(trace.range === true ? { assignor: 'range' } : {}) } as const,
      owners: group.owners(),
      deployment,
    };
    const judged = toSample(memory, observation);
    ({ memory } = judged);
    return judged.sample.usable && memory !== null ? { ...judged.sample, delaySeconds: delay.update(memory) } : judged.sample;
  };
  let nextAt = phase % SAMPLE_SECONDS;
  return {
    step(group) {
      if (group.time < nextAt) return;
      const sample = look(group);
      const step = decide(state, sample, policy);
      ({ state } = step);
      nextAt = group.time + (step.decision.next ?? SAMPLE_SECONDS);
      options.watch?.(sample, step.decision);
      if (step.decision.replicas !== group.replicas) group.scale(step.decision.replicas);
    },
  };
}

type Name = Pick<PartitionOffsets, 'topic' | 'partition'>;

function namesOf({ partitions, topics = [partitions] }: Trace): Name[] {
  return topics.flatMap((count, topic) => Array.from({ length: count }, (_, partition) => ({ topic: `t${topic}`, partition })));
}

function offsetsOf(group: GroupModel, names: readonly Name[]): PartitionOffsets[] {
  return names.map((name, index) => ({
    ...name,
    logStart: Math.floor(group.logStart[index] ?? 0),
    end: Math.floor(group.end[index] ?? 0),
    committed: Math.floor(group.committed[index] ?? 0),
  }));
}
