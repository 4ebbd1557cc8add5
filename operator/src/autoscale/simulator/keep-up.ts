/**
 * The fewest pod-seconds that carry a load: in every second the fewest useful replicas that process what arrives and what is left over, started
 * and stopped in no time by somebody who knows the future. No autoscaler reaches it; how far one is from it is comparable between loads.
 */
import { demandOf, needed, worth } from '../sizing.ts';
import type { Layout } from '../sizing.ts';
import { DRAIN_SECONDS } from './model.ts';
import type { Trace } from './traces.ts';

/** Pod-seconds until the load is drained. Noise is left out: it is zero on average. */
export function keepUp(trace: Trace): number {
  const { partitions, weight, minReplicas, maxReplicas } = trace;
  const weights = Array.from({ length: partitions }, (_, partition) => weight?.(partition) ?? 1);
  const total = weights.reduce((sum, one) => sum + one, 0);
  const shares = weights.map((one) => one / total);
  const layout = layoutOf(trace);
  const left = Array.from({ length: partitions }, () => (trace.backlog ?? 0) / partitions);
  let held = 0;
  let podSeconds = 0;
  let last = minReplicas;
  for (let second = 1; second <= trace.seconds + DRAIN_SECONDS; second++) {
    const offered = second > trace.seconds ? 0 : trace.arrivals(second);
    if (second > trace.seconds && left.every((waiting) => waiting * partitions < 1)) break;
    if (trace.brokerDown?.(second) === true) {
      // With the lag unknown nothing may be taken away.
      held += offered;
      podSeconds += last;
      continue;
    }
    for (const [partition, share] of shares.entries()) left[partition] = (left[partition] ?? 0) + (offered + held) * share;
    held = 0;
    const replicas = Math.min(maxReplicas, Math.max(minReplicas, replicasFor(trace, second, left, layout)));
    process(trace, second, left, worth(replicas, layout));
    podSeconds += replicas;
    last = replicas;
  }
  return podSeconds;
}

/** Messages per second of one replica; a release takes effect at once. */
function rateAt({ rate, ratePerReplica, rolloutAt = Infinity }: Trace, second: number): number {
  return rate?.(second >= rolloutAt ? 1 : 0, second) ?? ratePerReplica;
}

function replicasFor(trace: Trace, second: number, left: readonly number[], layout: Layout): number {
  const rate = rateAt(trace, second);
  const waiting = left.reduce((sum, one) => sum + one, 0);
  const demand = demandOf({ partitionArrival: left, lag: left, rate: rate / layout.perReplica }, waiting, 0);
  return needed(Math.min(demand, trace.sharedLimit?.(second) ?? Infinity) / rate, layout);
}

function process(trace: Trace, second: number, left: number[], replicas: number): void {
  const rate = rateAt(trace, second);
  const memberRate = rate / (trace.membersPerReplica ?? 1);
  const wanted = left.map((waiting) => Math.min(waiting, memberRate));
  const capacity = Math.min(replicas * rate, trace.sharedLimit?.(second) ?? Infinity);
  const share = Math.min(
    1,
    capacity /
      Math.max(
        1e-9,
        wanted.reduce((sum, one) => sum + one, 0),
      ),
  );
  for (const [partition, count] of wanted.entries()) left[partition] = (left[partition] ?? 0) - count * share;
}

function layoutOf({ partitions, membersPerReplica: perReplica = 1, topics, range }: Trace): Layout {
  if (range !== true || topics === undefined) return { partitions, perReplica };
  return { partitions, perReplica, topics: topics.map((count) => ({ partitions: count, share: count / partitions })) };
}
