/**
 * The last decisions of one group, packed: an hour of them takes some 40 KiB instead of 300, and an operator keeps those of hundreds of groups.
 * Instants and lag are kept exactly, other figures to seven digits.
 */
import type { DecisionReason, DecisionRecord } from './types.ts';

const FIRST_CAPACITY = 90;
const EXACT = ['at', 'lag'] as const;
const FIGURES = ['delaySeconds', 'arrivalRate', 'arrivalNow', 'throughput', 'ratePerReplica', 'wanted', 'members', 'from', 'to'] as const;

/** A ring of the newest records, at most `limit` of them. */
export class History {
  readonly #limit: number;
  #capacity = 0;
  #count = 0;
  /** Where the oldest record is. */
  #first = 0;
  #exact = new Float64Array(0);
  #figures = new Float32Array(0);
  #usable = new Uint8Array(0);
  #reasons: DecisionReason[] = [];
  /** Most records share the string of the one before. */
  #messages: string[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  get length(): number {
    return this.#count;
  }

  push(record: DecisionRecord): void {
    if (this.#count === this.#capacity && this.#capacity < this.#limit) this.#grow();
    const full = this.#count === this.#capacity;
    const slot = full ? this.#first : (this.#first + this.#count) % this.#capacity;
    if (full) this.#first = (this.#first + 1) % this.#capacity;
    else this.#count++;
    for (const [index, field] of EXACT.entries()) this.#exact[slot * EXACT.length + index] = record[field];
    for (const [index, field] of FIGURES.entries()) this.#figures[slot * FIGURES.length + index] = record[field] ?? NaN;
    this.#usable[slot] = record.usable ? 1 : 0;
    this.#messages[slot] = record.message;
    this.#reasons[slot] = record.reason;
  }

  /** Oldest first. */
  all(): DecisionRecord[] {
    return Array.from({ length: this.#count }, (_, index) => this.#read((this.#first + index) % this.#capacity));
  }

  /** The newest record; undefined when there is none. */
  last(): DecisionRecord | undefined {
    return this.#count === 0 ? undefined : this.#read(this.#lastSlot());
  }

  #lastSlot(): number {
    return (this.#first + this.#count - 1) % this.#capacity;
  }

  #read(slot: number): DecisionRecord {
    const figure = (field: (typeof FIGURES)[number]) => this.#figure(slot, field);
    const known = (value: number) => (Number.isNaN(value) ? null : value);
    const [at = 0, lag = 0] = this.#exact.subarray(slot * EXACT.length);
    return {
      at,
      usable: this.#usable[slot] === 1,
      lag,
      delaySeconds: known(figure('delaySeconds')),
      arrivalRate: figure('arrivalRate'),
      arrivalNow: known(figure('arrivalNow')),
      throughput: figure('throughput'),
      ratePerReplica: known(figure('ratePerReplica')),
      wanted: figure('wanted'),
      members: figure('members'),
      from: figure('from'),
      to: figure('to'),
      reason: this.#reasons[slot] ?? 'Starting',
      message: this.#messages[slot] ?? '',
    };
  }

  #figure(slot: number, field: (typeof FIGURES)[number]): number {
    return this.#figures[slot * FIGURES.length + FIGURES.indexOf(field)] ?? NaN;
  }

  /** Only a ring that is not full grows, so its records begin at slot 0. */
  #grow(): void {
    this.#capacity = Math.min(this.#limit, Math.max(FIRST_CAPACITY, this.#capacity * 2));
    const exact = new Float64Array(this.#capacity * EXACT.length);
    const figures = new Float32Array(this.#capacity * FIGURES.length);
    const usable = new Uint8Array(this.#capacity);
    exact.set(this.#exact);
    figures.set(this.#figures);
    usable.set(this.#usable);
    [this.#exact, this.#figures, this.#usable] = [exact, figures, usable];
  }
}
