/** How many replicas a load needs, given that a partition has one owner at a time. Pure arithmetic; loads count in replicas' worth of work. */

/** A partition that receives more than this share of one replica's rate cannot be helped by more replicas. */
const HOT_SHARE = 0.95;

/**
 * How many fully busy replicas `replicas` members are worth when the load is spread evenly over the partitions: the most loaded member has
 * ceil(P/n) partitions and sets the pace, so n members carry P / ceil(P/n). Five members on twelve partitions carry no more than four.
 */
export function worth(replicas: number, partitions: number): number {
  if (replicas <= 0 || partitions <= 0) return 0;
  return partitions / Math.ceil(partitions / replicas);
}

/** The smallest count with the same most loaded member: the others would only stand by. */
export function useful(replicas: number, partitions: number): number {
  if (replicas <= 0 || partitions <= 0) return 0;
  return Math.ceil(partitions / Math.ceil(partitions / replicas));
}

/** The fewest replicas that carry `load` replicas' worth of work; the number of partitions when none do. */
export function needed(load: number, partitions: number): number {
  if (load <= 0) return 0;
  const perMember = Math.floor(partitions / load + 1e-9);
  return perMember < 1 ? partitions : Math.ceil(partitions / perMember);
}

/** How arrivals and backlog lie in the partitions, and what one replica does with them. */
export interface Load {
  /** Messages per second; only the proportions count. */
  partitionArrival: readonly number[];
  /** Messages; only the proportions count. */
  lag: readonly number[];
  /** Messages per second of one replica. */
  rate: number;
}

/**
 * Messages per second that can be worked on when `arrival` and `drain` (messages per second) come as they are spread now. A partition counts
 * for one replica's rate at most, since it has one owner: a backlog in one partition is not drained faster by twelve replicas.
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

/** Partitions whose own arrivals keep, or nearly keep, one whole replica busy while the others are far from it. */
export function hotPartitions(partitionArrival: readonly number[], ratePerReplica: number): number[] {
  const mean = total(partitionArrival) / Math.max(1, partitionArrival.length);
  return partitionArrival.flatMap((rate, index) => (rate > HOT_SHARE * ratePerReplica && rate > 2 * mean ? [index] : []));
}

function total(values: readonly number[]): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}
