/** Sentences for people: what was decided and from which figures. Stable while the situation is: figures are rounded, no times. */
import { windowSeconds } from './state.ts';
import type { State } from './state.ts';
import { forecast } from './season.ts';
import type { ScalePolicy } from './policy.ts';
import type { Size } from './size.ts';
import type { DecisionReason, UsableSample } from './types.ts';

/** The message of a decision. */
export function explain(
  reason: DecisionReason,
  replicas: number,
  size: Size,
  sample: UsableSample,
  policy: ScalePolicy,
  state: State,
): string {
  const from = sample.deployment.replicas;
  const step = replicas === from ? `holding at ${replicas}` : `${replicas > from ? 'up' : 'down'} from ${from} to ${replicas}`;
  return `${step}: ${because(reason, size, sample, policy, state)}`;
}

interface Facts {
  size: Size;
  sample: UsableSample;
  policy: ScalePolicy;
  state: State;
  /** "1,580/s arrive" */
  arrivals: string;
  /** "one replica does 200/s" */
  each: string;
}

function because(reason: DecisionReason, size: Size, sample: UsableSample, policy: ScalePolicy, state: State): string {
  const rate = state.estimate.learned?.ratePerReplica;
  const arrivals = `${round(state.estimate.arrival)}/s arrive`;
  const each = rate === undefined ? 'the rate of one replica is not known yet' : `one replica does ${round(rate)}/s`;
  return SENTENCES[reason]({ size, sample, policy, state, arrivals, each });
}

const SENTENCES: Record<DecisionReason, (facts: Facts) => string> = {
  Backlog: ({ arrivals, each, size, policy }) =>
    `${arrivals}, ${each}, and ${round(size.backlog)} waiting are to be gone well within ${policy.maxDelaySeconds} s: ${round(size.demand)}/s needed`,
  ArrivalRate: ({ state: { estimate }, each, size }) =>
    `${round(Math.max(estimate.arrival, estimate.arrivalNow))}/s arrive, ${each}: ${round(size.demand)}/s needed`,
  Trend: ({ arrivals, each, size, state }) =>
    `${arrivals} and grow by ${round(state.estimate.slope * 60)}/s every minute, ${each}: ${round(size.demand)}/s will be needed`,
  Season: ({ arrivals, each, size, sample, state: { estimate } }) =>
    `${arrivals}, and at this time of the ${periodOf(forecast(estimate.season, sample.at, SEASON_SHOWN_SECONDS)?.periodSeconds)} more has arrived before; ${each}: ${round(size.demand)}/s will be needed`,
  Exploring: ({ arrivals, each }) => `${arrivals}, ${each}`,
  LagPerReplica: ({ sample, policy }) => `lag is ${round(sample.totalLag)}, at ${policy.lagPerReplica} per replica`,
  ScaledDown: ({ arrivals, each, state, policy }) =>
    `${arrivals}, ${each}; this number carries all that arrived in the last ${round(windowSeconds(state, policy))} s`,
  WaitingForWindow: ({ size, state, policy }) =>
    `${size.sufficient} would do, and must carry all that arrives within ${round(windowSeconds(state, policy))} s`,
  Ineffective: ({ state: { ceiling } }) =>
    `${ceiling?.tried ?? 0} replicas did no more than ${round(ceiling?.throughput ?? 0)}/s in all: something that they share is the limit, and more would not help`,
  HotPartition: ({ size, sample, each }) =>
    `${size.hot.map((index) => sample.partitions[index]).join(', ')} alone receives more than one replica can do (${each}); more replicas would not help`,
  NoProgress: ({ sample }) =>
    `lag is ${round(sample.totalLag)} and none of ${sample.group.members} members commits anything: more of them would not help`,
  HeldRollout: () => 'a new version is being rolled out',
  HeldRebalance: ({ sample: { group, deployment } }) =>
    `${group.members} of ${deployment.replicas} replicas are members and the group is ${group.state}`,
  Idle: () => 'nothing to do',
  Activated: ({ sample }) => `lag is ${round(sample.totalLag)} and the group has no running consumer`,
  Bounds: ({ policy }) => `the policy allows ${policy.minReplicas} to ${policy.maxReplicas}`,
  NotManaged: ({ policy }) => `mode is ${policy.mode}`,
  Steady: ({ size, policy, arrivals, each }) =>
    size.wanted > policy.maxReplicas ? `${size.wanted} are needed and the policy allows ${policy.maxReplicas}` : `${arrivals}, ${each}`,
  Starting: () => 'not sampled yet',
  LagUnknown: () => 'the lag is not known',
  SafeReplicas: () => 'the lag is not known',
  ForeignScaler: () => 'another scaler manages it',
};

/** The forecast that is explained looks this far ahead, seconds. */
const SEASON_SHOWN_SECONDS = 300;

function periodOf(seconds: number | undefined): string {
  if (seconds === 3600) return 'hour';
  return seconds === 604_800 ? 'week' : 'day';
}

const FIGURE = new Intl.NumberFormat('en-US', { maximumSignificantDigits: 3 });

/** Three significant digits, with separators: 1,580 and 0.52. */
function round(value: number): string {
  return FIGURE.format(value);
}
