/** Which of many settings are worth choosing, and how another policy compares with the best of them. Pure. */

/** What one setting costs and what it leaves waiting. */
export interface Cost {
  lag: number;
  pods: number;
}

/** The costs that no other one beats in both, cheapest first. */
export function frontierOf<T extends Cost>(costs: readonly T[]): T[] {
  const sorted = costs.toSorted((a, b) => a.pods - b.pods || a.lag - b.lag);
  const kept: T[] = [];
  for (const cost of sorted) if (cost.lag < (kept.at(-1)?.lag ?? Infinity)) kept.push(cost);
  return kept;
}

/** Whether `cost` is no worse than `other` in both, and better in one. */
export function dominates(cost: Cost, other: Cost): boolean {
  return cost.lag <= other.lag && cost.pods <= other.pods && (cost.lag < other.lag || cost.pods < other.pods);
}

/**
 * Pods of the frontier at this lag. Between two settings the frontier is a straight line in logarithms, as if there were settings between them;
 * below its least lag it is at the pods of that.
 */
export function podsAt(frontier: readonly Cost[], lag: number): number {
  return Math.exp(interpolate(frontier.map((one) => [Math.log(one.lag), Math.log(one.pods)] as const).toReversed(), Math.log(lag)));
}

/** Lag of the frontier at these pods; below its fewest pods it is at the lag of those. */
export function lagAt(frontier: readonly Cost[], pods: number): number {
  return Math.exp(
    interpolate(
      frontier.map((one) => [Math.log(one.pods), Math.log(one.lag)] as const),
      Math.log(pods),
    ),
  );
}

/** @param points ascending in x */
function interpolate(points: readonly (readonly [x: number, y: number])[], x: number): number {
  let before = points[0] ?? [0, 0];
  for (const point of points) {
    if (point[0] >= x) {
      const span = point[0] - before[0];
      return span <= 0 ? point[1] : before[1] + ((point[1] - before[1]) * (x - before[0])) / span;
    }
    before = point;
  }
  return before[1];
}

export function geometricMean(values: readonly number[]): number {
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}
