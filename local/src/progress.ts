/**
 * Progress of a longer task on the terminal: step n of m, elapsed time, an estimate from the last run.
 * On a terminal the running steps are repainted on one line; elsewhere each step is a plain line when it starts and when it ends.
 */
import { readFileSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import process from 'node:process';
import { cacheDir, cachePath } from './paths.ts';

/** Shows one more piece of news about the running step. */
export type Note = (text: string) => void;

interface RunningStep {
  readonly label: string;
  readonly startedAt: number;
  readonly expectedMs: number | undefined;
  readonly live: boolean;
  note: string;
}

export interface StepOptions {
  /** False for a step that paints the terminal itself. */
  readonly live?: boolean;
}

/** Running steps of all Progress objects of this process: they share one terminal line. */
const running = new Set<RunningStep>();
let painter: NodeJS.Timeout | undefined;
let painted = false;

export class Progress {
  readonly #title: string;
  readonly #steps: number;
  #started = 0;

  /**
   * @param title names the work; estimates are kept under it
   * @param steps how many calls of `step` are to come
   */
  constructor(title: string, steps: number) {
    this.#title = title;
    this.#steps = steps;
  }

  /** Runs `work` as the next step and passes on its result or error. Steps may overlap. */
  async step<T>(name: string, work: (note: Note) => Promise<T>, options: StepOptions = {}): Promise<T> {
    this.#started += 1;
    const key = `${this.#title}: ${name}`;
    const label = `${this.#title} ${this.#started}/${this.#steps} ${name}`;
    const step: RunningStep = { label, startedAt: Date.now(), expectedMs: estimates()[key], live: options.live !== false, note: '' };
    begin(step);
    try {
      const result = await work((text) => {
        step.note = text;
        if (!isTerminal()) console.log(`${step.label}: ${text}`);
      });
      end(step, 'done in');
      await remember(key, Date.now() - step.startedAt);
      return result;
    } catch (error) {
      end(step, 'FAILED after');
      throw error;
    }
  }
}

/** `4.2 s`, `1 min 05 s`. */
export function formatDuration(ms: number): string {
  const seconds = ms / 1000;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, '0')} s`;
}

/** The text of a running step. Pure, for the terminal line and its test. */
export function formatRunning(step: Pick<RunningStep, 'label' | 'expectedMs' | 'note'>, elapsedMs: number): string {
  const expected = step.expectedMs === undefined ? '' : ` of about ${formatDuration(step.expectedMs)}`;
  const note = step.note === '' ? '' : ` (${step.note})`;
  return `${step.label}${note} … ${formatDuration(elapsedMs)}${expected}`;
}

function begin(step: RunningStep): void {
  running.add(step);
  if (!isTerminal()) {
    const expected = step.expectedMs === undefined ? '' : ` (last time ${formatDuration(step.expectedMs)})`;
    console.log(`${step.label}${expected}`);
    return;
  }
  painter ??= setInterval(paint, 200).unref();
}

function end(step: RunningStep, how: string): void {
  running.delete(step);
  erase();
  console.log(`${step.label}: ${how} ${formatDuration(Date.now() - step.startedAt)}`);
  if (running.size === 0 && painter !== undefined) {
    clearInterval(painter);
    painter = undefined;
  }
}

function paint(): void {
  const live = [...running].filter((step) => step.live);
  // While a step prints to the terminal itself, no progress line is painted.
  if (live.length < running.size) return;
  const text = live.map((step) => formatRunning(step, Date.now() - step.startedAt)).join(' · ');
  const width = process.stdout.columns ?? 120;
  process.stdout.write(`\r\x1b[K${text.length >= width ? `${text.slice(0, width - 2)}…` : text}`);
  painted = true;
}

function erase(): void {
  if (painted) process.stdout.write('\r\x1b[K');
  painted = false;
}

function isTerminal(): boolean {
  return process.stdout.isTTY;
}

let known: Record<string, number> | undefined;

function estimates(): Record<string, number> {
  known ??= readEstimates();
  return known;
}

function readEstimates(): Record<string, number> {
  try {
    const kept: Record<string, number> = JSON.parse(readFileSync(cachePath('estimates.json'), 'utf8'));
    return kept;
  } catch {
    // No run so far, or a file that was cut short: there is no estimate then.
    return {};
  }
}

/** Estimates are a convenience: a cache that cannot be written must not fail the work itself. */
async function remember(key: string, ms: number): Promise<void> {
  const merged = { ...readEstimates(), [key]: Math.round(ms) };
  known = merged;
  const draft = cachePath(`estimates.${process.pid}.json`);
  try {
    await mkdir(cacheDir(), { recursive: true });
    await writeFile(draft, `${JSON.stringify(merged, undefined, 1)}\n`);
    await rename(draft, cachePath('estimates.json'));
  } catch {
    return;
  }
}
