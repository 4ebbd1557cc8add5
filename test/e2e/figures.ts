/** Figures of a load test from what was seen: delay, pauses of rebalances, pod-seconds. Pure. Instants are epoch milliseconds. */

/** One sample of the group; the arrays have an entry for each partition. */
export interface GroupSample {
  readonly at: number;
  readonly end: readonly number[];
  readonly committed: readonly number[];
  /** No rebalance is under way. */
  readonly stable: boolean;
  /** Ids of the members, sorted. */
  readonly members: readonly string[];
}

/** The number of replicas asked for, from an instant on. */
export interface ReplicaChange {
  readonly at: number;
  readonly replicas: number;
}

/** The longest that an event was seen to wait for its commit, seconds; accurate to the time between two samples, and never too small. */
export function worstDelay(samples: readonly GroupSample[]): number {
  let worst = 0;
  const partitions = samples[0]?.end.length ?? 0;
  for (let partition = 0; partition < partitions; partition++) {
    let arrival = 0;
    for (const sample of samples) {
      const position = sample.committed[partition] ?? 0;
      if (position >= (sample.end[partition] ?? 0)) continue;
      // The oldest unprocessed event arrived between the first sample that contains it and the sample before that.
      while ((samples[arrival]?.end[partition] ?? Infinity) <= position) arrival++;
      worst = Math.max(worst, sample.at - (samples[Math.max(0, arrival - 1)]?.at ?? sample.at));
    }
  }
  return worst / 1000;
}

/**
 * For each rebalance and each partition with events waiting, seconds: the longest that it stood still around the rebalance, from its last
 * progress before to its first after. The time between two commits of a busy consumer is a part of it.
 */
export function rebalancePauses(samples: readonly GroupSample[]): number[] {
  const rebalances = rebalancesOf(samples);
  const pauses: number[] = [];
  for (let partition = 0; partition < (samples[0]?.end.length ?? 0); partition++) {
    const still = standstills(samples, partition);
    for (const rebalance of rebalances) {
      const around = still.filter(({ from, to }) => rebalance.from < to && rebalance.to > from);
      if (around.length > 0) pauses.push(Math.max(...around.map(({ from, to }) => to - from)) / 1000);
    }
  }
  return pauses;
}

interface Span {
  readonly from: number;
  readonly to: number;
}

/** Times in which the group was not stable, or its members became others. */
export function rebalancesOf(samples: readonly GroupSample[]): Span[] {
  const spans: Span[] = [];
  let from: number | undefined;
  for (const [index, sample] of samples.entries()) {
    const before = samples[index - 1];
    const changed = before !== undefined && before.members.join() !== sample.members.join();
    const unsettled = !sample.stable || changed;
    if (unsettled) from ??= before?.at ?? sample.at;
    else if (from !== undefined) {
      spans.push({ from, to: sample.at });
      from = undefined;
    }
  }
  return spans;
}

/** Times between two commits of a partition, events waiting all the while. */
function standstills(samples: readonly GroupSample[], partition: number): Span[] {
  const spans: Span[] = [];
  let since: number | undefined;
  let position = -1;
  for (const { at, end, committed } of samples) {
    const now = committed[partition] ?? 0;
    if (now !== position) {
      if (since !== undefined) spans.push({ from: since, to: at });
      since = at;
      position = now;
    }
    if (now >= (end[partition] ?? 0)) since = undefined;
    else since ??= at;
  }
  return spans;
}

/** The value that `share` of the values do not exceed; 0 of none. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}

/** Replicas asked for, summed over the time from `from` to `to`, seconds. */
export function podSeconds(changes: readonly ReplicaChange[], from: number, to: number): number {
  return changes.reduce((sum, { at, replicas }, index) => {
    const begin = Math.max(from, at);
    const end = Math.min(to, changes[index + 1]?.at ?? to);
    return sum + (replicas * Math.max(0, end - begin)) / 1000;
  }, 0);
}

/**
 * The fewest pod-seconds that could have carried a load: the work itself, shared out over replicas that are there exactly when they are
 * needed and start in no time, and never fewer than one replica.
 * @param events how many arrived, over `seconds`
 * @param rate events that one replica does, per second
 * @param rest seconds without a load that counts, for one replica each
 */
export function fewestPodSeconds(events: number, seconds: number, rate: number, rest: number): number {
  return Math.max(seconds, events / rate) + rest;
}
