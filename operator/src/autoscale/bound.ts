/** What kept a decision from being exactly what was wanted. Pure. */
import type { ScalePolicy } from './policy.ts';
import type { DecisionReason, DecisionRecord } from './types.ts';

type Decided = Pick<DecisionRecord, 'from' | 'to' | 'wanted' | 'reason'>;

/** In words for a table; undefined when nothing bound the decision. */
export function boundBy({ from, to, wanted, reason }: Decided, policy: ScalePolicy): string | undefined {
  if (reason === 'WaitingForWindow') return `window ${policy.scaleDownWindowSeconds} s`;
  if (reason === 'NotManaged') return `mode ${policy.mode}`;
  return BOUNDS[reason] ?? byNumbers(from, to, wanted, policy);
}

const BOUNDS: Partial<Record<DecisionReason, string>> = {
  HeldRollout: 'rollout',
  HeldRebalance: 'rebalance',
  Ineffective: 'a shared limit',
  HotPartition: 'hot partition',
  NoProgress: 'nothing is processed',
  LagUnknown: 'unknown lag',
  SafeReplicas: 'unknown lag',
  ForeignScaler: 'another scaler',
  Exploring: 'rate not known',
};

function byNumbers(from: number, to: number, wanted: number, policy: ScalePolicy): string | undefined {
  if (wanted > to && to >= policy.maxReplicas) return `maxReplicas ${policy.maxReplicas}`;
  if (wanted > to && to > from) return 'step limit';
  if (to === policy.minReplicas && to > Math.max(1, wanted) && policy.minReplicas > 1) return `minReplicas ${policy.minReplicas}`;
  return undefined;
}
