/**
 * The age of the oldest unprocessed event, from the autoscaler's own record of when each partition's end passed which offset. That costs no
 * request and is exact to the time between two samples (interpolated within it). What is older than the record counts from its beginning.
 */
import type { LagMemory } from './lag.ts';

/** Marks kept per partition; beyond it every second one of the older half goes. */
const MAX_MARKS = 256;

interface Mark {
  at: number;
  end: number;
}

/** Keeps the marks of one group's partitions. Not pure, but without I/O or clock: time comes with the samples. */
export class DelayTracker {
  readonly #marks = new Map<string, Mark[]>();

  /** Takes in one readable observation and returns the age in seconds of the oldest event that the group has not processed; 0 without lag. */
  update(memory: LagMemory): number {
    let oldest = memory.at;
    for (const partition of memory.partitions) {
      const marks = this.#marksOf(partition.name, partition.end, memory.at);
      dropProcessed(marks, partition.position);
      const waiting = !partition.emptyAbove && partition.position < partition.end;
      if (waiting) oldest = Math.min(oldest, arrivalOf(marks, partition.position));
    }
    return (memory.at - oldest) / 1000;
  }

  /** Forgets everything: the offsets now belong to another topic or to a group that was reset. */
  reset(): void {
    this.#marks.clear();
  }

  #marksOf(name: string, end: number, at: number): Mark[] {
    const marks = this.#marks.get(name);
    if (marks === undefined) {
      const first = [{ at, end }];
      this.#marks.set(name, first);
      return first;
    }
    // With the end unmoved the newest mark slides along, so that the next arrival is placed after this moment.
    const last = marks.at(-1);
    const secondLast = marks.at(-2);
    if (last?.end === end && secondLast?.end === end) last.at = at;
    else marks.push({ at, end });
    if (marks.length > MAX_MARKS) thin(marks);
    return marks;
  }
}

/** Keeps the last mark at or below the position and all above it. */
function dropProcessed(marks: Mark[], position: number): void {
  let drop = 0;
  while (drop + 1 < marks.length && (marks[drop + 1]?.end ?? Infinity) <= position) drop++;
  if (drop > 0) marks.splice(0, drop);
}

/** When the event at `position` arrived: between the last mark at or below it and the first above it. */
function arrivalOf(marks: Mark[], position: number): number {
  const [before, after] = marks;
  if (before === undefined) return Infinity;
  if (before.end > position || after === undefined) return before.at;
  return before.at + ((after.at - before.at) * (position - before.end)) / Math.max(1, after.end - before.end);
}

function thin(marks: Mark[]): void {
  const half = marks.length >> 1;
  const older = marks.slice(0, half).filter((_, index) => index % 2 === 0);
  marks.splice(0, half, ...older);
}
