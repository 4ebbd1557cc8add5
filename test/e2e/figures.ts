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

/** Seconds between two commits of a partition with events waiting, where no rebalance came between them: what a batch takes on this machine. */
export function commitIntervals(samples: readonly GroupSample[]): number[] {
  const rebalances = rebalancesOf(samples);
  const partitions = samples[0]?.end.map((_, partition) => partition) ?? [];
  return partitions
    .flatMap((partition) => standstills(samples, partition))
    .filter(({ from, to }) => !rebalances.some((rebalance) => rebalance.from < to && rebalance.to > from))
    .map(({ from, to }) => (to - from) / 1000);
}

/** The highest number of events per second and member that was committed over `seconds`; 0 when the samples are fewer. */
export function ratePerMember(samples: readonly GroupSample[], seconds: number): number {
  let best = 0;
  let from = 0;
  for (const [index, last] of samples.entries()) {
    while ((samples[from + 1]?.at ?? Infinity) <= last.at - seconds * 1000) from++;
    const first = samples[from];
    if (first === undefined || last.at - first.at < seconds * 1000) continue;
    const members = Math.max(1, ...samples.slice(from, index + 1).map((sample) => sample.members.length));
    best = Math.max(best, ((totalOf(last.committed) - totalOf(first.committed)) * 1000) / (last.at - first.at) / members);
  }
  return best;
}

/** The instant from which on more than `perSecond` events a second arrived for a second, at or after `since`; undefined: they never did. */
export function surgeAt(samples: readonly GroupSample[], perSecond: number, since: number): number | undefined {
  const seen = samples.filter(({ at }) => at >= since);
  return seen.find((first) => {
    const last = seen.find(({ at }) => at >= first.at + 1000);
    return last !== undefined && ((totalOf(last.end) - totalOf(first.end)) * 1000) / (last.at - first.at) > perSecond;
  })?.at;
}

/** The longest that an event waits, seconds, where `perSecond` events a second are processed from the first moment on. */
export function unavoidableDelay(samples: readonly GroupSample[], perSecond: number): number {
  let [backlog, most] = [0, 0];
  for (const [index, { at, end }] of samples.entries()) {
    const before = samples[index - 1];
    if (before === undefined) continue;
    backlog = Math.max(0, backlog + totalOf(end) - totalOf(before.end) - (perSecond * (at - before.at)) / 1000);
    most = Math.max(most, backlog);
  }
  return most === 0 ? 0 : most / perSecond;
}

/** The longest time between two samples from one instant to another, seconds: a machine that stalls shows here. */
export function longestGap(samples: readonly GroupSample[], from = -Infinity, to = Infinity): number {
  const gaps = samples.flatMap(({ at }, index) => {
    const before = samples[index - 1]?.at ?? at;
    return at >= from && before <= to ? [at - before] : [];
  });
  return Math.max(0, ...gaps) / 1000;
}

function totalOf(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
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

/** Events that wait, summed over the time in which they do: message-seconds. */
export function lagIntegral(samples: readonly GroupSample[]): number {
  return samples.reduce((sum, { at, end, committed }, index) => {
    const next = samples[index + 1]?.at ?? at;
    return sum + (Math.max(0, totalOf(end) - totalOf(committed)) * (next - at)) / 1000;
  }, 0);
}

/** Seconds over which arrivals are averaged. */
const KEEP_UP_SECONDS = 10;

export interface KeepUp {
  /** Events that one replica does, per second. */
  readonly rate: number;
  /** Replicas at most. */
  readonly most: number;
  /** The last replica counts until then, epoch milliseconds. */
  readonly until: number;
}

/**
 * Pod-seconds of the fewest replicas that carry what arrives in every ten seconds, and what was left before, where replicas are there exactly when they
 * are needed; never fewer than one.
 */
export function keepUpPodSeconds(samples: readonly GroupSample[], { rate, most, until }: KeepUp): number {
  let [used, left] = [0, 0];
  let first = samples[0];
  for (const last of samples) {
    const seconds = first === undefined ? 0 : (last.at - first.at) / 1000;
    if (first === undefined || seconds < KEEP_UP_SECONDS) continue;
    const due = left + totalOf(last.end) - totalOf(first.end);
    const replicas = Math.min(most, Math.max(1, Math.ceil(due / (rate * seconds))));
    left = Math.max(0, due - replicas * rate * seconds);
    used += replicas * seconds;
    first = last;
  }
  return used + (first === undefined ? 0 : Math.max(0, until - first.at) / 1000);
}
