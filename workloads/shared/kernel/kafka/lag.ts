import type { Metrics } from '../metrics.ts';

/**
 * How far a member is behind in time, by partition: the age of the oldest record that it knows of and has not applied; 0 when it has applied
 * all that its last fetch knew of. The lag in records, also of partitions without a member, comes from the exporter of Kafka.
 */
export class LagSeconds {
  readonly #now: () => number;
  /** By partition: time at which that record was produced, in milliseconds since the epoch; undefined: nothing waits. */
  #waiting = new Map<number, number | undefined>();

  constructor(metrics: Metrics, topic: string, now: () => number = Date.now) {
    this.#now = now;
    metrics.gauge('consumer_lag_seconds', 'Age of the oldest record that this member has yet to apply', ['topic', 'partition'], (gauge) => {
      gauge.reset();
      for (const [partition, seconds] of this.read()) gauge.set({ topic, partition: String(partition) }, seconds);
    });
  }

  /** The partitions that the member has from now on. Those that it keeps keep their lag. */
  assigned(partitions: readonly number[]): void {
    this.#waiting = new Map(partitions.map((partition) => [partition, this.#waiting.get(partition)]));
  }

  /** Records were fetched. @param oldest timestamp of the first one */
  fetched(partition: number, oldest: string | undefined): void {
    if (oldest === undefined || !this.#waiting.has(partition)) return;
    this.#waiting.set(partition, this.#waiting.get(partition) ?? Number(oldest));
  }

  /** What was fetched is applied. @param last timestamp of its last record @param behind true when the partition had more records then */
  applied(partition: number, last: string | undefined, behind: boolean): void {
    if (!this.#waiting.has(partition)) return;
    // The next record is not known yet; it is not older than the last one.
    this.#waiting.set(partition, behind && last !== undefined ? Number(last) : undefined);
  }

  /** Seconds by partition. */
  read(): Map<number, number> {
    const now = this.#now();
    const age = (since: number | undefined): number => (since === undefined ? 0 : Math.max(0, now - since) / 1000);
    return new Map([...this.#waiting].map(([partition, since]) => [partition, age(since)]));
  }
}
