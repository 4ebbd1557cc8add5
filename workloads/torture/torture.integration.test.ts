/**
 * The whole event path under random load and random faults, with real processes and servers: docs/event-path.md names the faults and what must
 * hold. SEED=… runs one seed again. The load and the faults follow from the seed; how they meet does not, so a seed may need several runs to fail again.
 * `make torture RUNS=…` runs more and longer rounds.
 */
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { Torture, type RoundOptions } from './testing/round.ts';

const RUNS = Number(process.env['RUNS'] || 1);
const LONG = Boolean(process.env['RUNS'] || process.env['SEED']);
const FIRST_SEED = Number(process.env['SEED'] || randomInt(2 ** 31));
/** On demand, a fault lasts longer than sessions and deadlines do. */
const OPTIONS: RoundOptions = LONG ? { faults: 14, longestMs: 20_000 } : { faults: 6, longestMs: 1_000 };
/** Rounds of one platform: its topics are read from their beginning after each. */
const ROUNDS = 20;
const ROUND_LIMIT_MS = 600_000;

test(
  'random rounds: what was promised is there once, whatever has failed',
  { timeout: 180_000 + RUNS * ROUND_LIMIT_MS },
  async (context) => {
    // A diagnostic appears at the end of the test.
    const report = (line: string): void => (LONG ? console.log(line) : context.diagnostic(line));
    for (let run = 0; run < RUNS; run += ROUNDS) {
      await rounds(run, Math.min(RUNS, run + ROUNDS), report).catch((error: unknown) => {
        // Requests that still wait keep the process alive for minutes: the reason does not wait for its end.
        report(error instanceof Error ? error.message : String(error));
        throw error;
      });
    }
  },
);

/** Rounds of one platform. */
async function rounds(first: number, end: number, report: (line: string) => void): Promise<void> {
  const torture = await Torture.start();
  try {
    for (let round = first; round < end; round++) {
      const figures = await torture.round(FIRST_SEED + round, OPTIONS);
      report(`round ${round + 1} of ${RUNS}: ${JSON.stringify(figures)}`);
    }
  } finally {
    await torture.stop();
  }
}
