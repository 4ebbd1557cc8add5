/** A clock that stands still until a test turns it. */
import type { Clock } from '../clock.ts';

interface Timer {
  due: number;
  callback: () => void;
}

export class FakeClock implements Clock {
  #now: number;
  #monotonic = 0;
  readonly #timers = new Set<Timer>();

  constructor(now = Date.UTC(2026, 0, 1)) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  after(ms: number, callback: () => void): () => void {
    const timer = { due: this.#monotonic + ms, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Timers that wait. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Lets `ms` milliseconds pass, running each timer at its time, and what became runnable by it before the next one. */
  async advance(ms: number): Promise<void> {
    await settle();
    const end = this.#monotonic + ms;
    for (let next = this.#next(end); next; next = this.#next(end)) {
      this.#timers.delete(next);
      this.#set(next.due);
      next.callback();
      await settle();
    }
    this.#set(end);
    await settle();
  }

  /** The process was stopped for `ms` milliseconds: time has passed and no timer ran. */
  freeze(ms: number): void {
    this.#set(this.#monotonic + ms);
  }

  /** Someone sets the wall clock; the monotonic one does not care. */
  setWallClock(now: number): void {
    this.#now = now;
  }

  #next(end: number): Timer | undefined {
    return [...this.#timers].filter(({ due }) => due <= end).toSorted((a, b) => a.due - b.due)[0];
  }

  #set(monotonic: number): void {
    const passed = Math.max(0, monotonic - this.#monotonic);
    this.#monotonic += passed;
    this.#now += passed;
  }
}

/** Runs everything that is ready to run: promises, and callbacks that they queue. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}
