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

/** Partitions whose own arrivals keep, or nearly keep, one whole replica busy while the others are far from it. */
export function hotPartitions(partitionArrival: readonly number[], ratePerReplica: number): number[] {
  const total = partitionArrival.reduce((sum, rate) => sum + rate, 0);
  const mean = total / Math.max(1, partitionArrival.length);
  return partitionArrival.flatMap((rate, index) => (rate > HOT_SHARE * ratePerReplica && rate > 2 * mean ? [index] : []));
}
