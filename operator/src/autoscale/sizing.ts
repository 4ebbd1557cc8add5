/** How many replicas a load needs, given that a partition has one owner at a time. Pure arithmetic; loads count in replicas' worth of work. */

/** A partition that receives more than this share of one member's rate cannot be helped by more replicas. */
const HOT_SHARE = 0.95;
const ROUNDING = 1e-9;

/** How the partitions of a group are dealt out to the members of its replicas. */
export interface Layout {
  partitions: number;
  /** Members of the group in each replica. */
  perReplica: number;
  /** The topics when each is assigned by itself (the range assignor): the first members get the larger piece of every topic. */
  topics?: readonly { partitions: number; share: number }[];
}

/** One member in each replica, and partitions assigned in turn. */
export function evenLayout(partitions: number): Layout {
  return { partitions, perReplica: 1 };
}

/** Share of the whole load that the most loaded of so many members carries. It sets the pace: a partition has one owner. */
function peakShare(members: number, { partitions, topics }: Layout): number {
  if (topics === undefined) return Math.ceil(partitions / members) / partitions;
  return topics.reduce((whole, topic) => whole + (topic.share * Math.ceil(topic.partitions / members)) / topic.partitions, 0);
}

/** Members beyond this number own nothing. */
function mostMembers({ partitions, topics }: Layout): number {
  return topics === undefined ? partitions : Math.max(1, ...topics.map((topic) => topic.partitions));
}

/** Replicas beyond this number own nothing. */
export function most(layout: Layout): number {
  return Math.ceil(mostMembers(layout) / layout.perReplica);
}

/**
 * How many fully busy replicas `replicas` of them are worth when the load is spread evenly over the partitions: the most loaded member has
 * ceil(P/n) partitions and sets the pace, so n members carry P / ceil(P/n). Five members on twelve partitions carry no more than four.
 */
export function worth(replicas: number, layout: Layout): number {
  if (replicas <= 0 || layout.partitions <= 0) return 0;
  const members = Math.min(replicas * layout.perReplica, mostMembers(layout));
  return 1 / (peakShare(members, layout) * layout.perReplica);
}

/** The smallest count that is worth as much: the others would only stand by. */
export function useful(replicas: number, layout: Layout): number {
  if (replicas <= 0 || layout.partitions <= 0) return 0;
  return needed(worth(replicas, layout), layout);
}

/** The fewest replicas that carry `load` replicas' worth of work; as many as own anything when none do. */
export function needed(load: number, layout: Layout): number {
  if (load <= 0 || layout.partitions <= 0) return 0;
  const { partitions, perReplica, topics } = layout;
  const members = load * perReplica;
  if (topics === undefined) {
    const perMember = Math.floor(partitions / members + ROUNDING);
    return perMember < 1 ? most(layout) : Math.ceil(Math.ceil(partitions / perMember) / perReplica);
  }
  const last = most(layout);
  for (let replicas = 1; replicas < last; replicas++) if (worth(replicas, layout) >= load - ROUNDING) return replicas;
  return last;
}

/** How arrivals and backlog lie in the partitions, and what one member does with them. */
export interface Load {
  /** Messages per second; only the proportions count. */
  partitionArrival: readonly number[];
  /** Messages; only the proportions count. */
  lag: readonly number[];
  /** Messages per second of one member. */
  rate: number;
}

/**
 * Messages per second that can be worked on when `arrival` and `drain` (messages per second) come as they are spread now. A partition counts
 * for one member's rate at most, since it has one owner: a backlog in one partition is not drained faster by twelve members.
 */
export function demandOf({ partitionArrival, lag, rate }: Load, arrival: number, drain: number): number {
  const byArrival = arrival / Math.max(1e-9, total(partitionArrival));
  const byLag = drain / Math.max(1e-9, total(lag));
  let demand = 0;
  for (let index = 0; index < lag.length; index++) {
    demand += Math.min(rate, (partitionArrival[index] ?? 0) * byArrival + (lag[index] ?? 0) * byLag);
  }
  return demand;
}

/** Partitions whose own arrivals keep, or nearly keep, one whole member busy while the others are far from it. */
export function hotPartitions(partitionArrival: readonly number[], memberRate: number): number[] {
  const mean = total(partitionArrival) / Math.max(1, partitionArrival.length);
  return partitionArrival.flatMap((rate, index) => (rate > HOT_SHARE * memberRate && rate > 2 * mean ? [index] : []));
}

function total(values: readonly number[]): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}
