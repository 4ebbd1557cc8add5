import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { startTrial } from './effect.ts';
import { initialEstimate } from './estimator.ts';
import { sampleOf } from './testing.ts';

const LEARNED = { ratePerReplica: 100, startupSeconds: 3, observations: 20 };
const KNOWN = initialEstimate(LEARNED);
const SPREAD = sampleOf({ lag: 1200, replicas: 2 });
const HOT = { ...SPREAD, lag: SPREAD.lag.map((_lag, partition) => (partition === 3 ? 700 : 500 / 11)) };
const CARRIED = { members: 2, version: null, throughput: 190, intervals: 5, saturated: true };

const cases: [
  what: string,
  parts: Parameters<typeof startTrial>[1],
  estimate: typeof KNOWN,
  sample: typeof SPREAD,
  before: number | null,
][] = [
  ['is compared with what the present members did', { carried: CARRIED, ceiling: null }, KNOWN, SPREAD, 190],
  ['so too when one partition has most of the backlog', { carried: CARRIED, ceiling: null }, KNOWN, HOT, 190],
  ['is compared with the learnt rate when nothing is known of them', { carried: null, ceiling: null }, KNOWN, SPREAD, 0],
  ['so too when another number of members is known', { carried: { ...CARRIED, members: 3 }, ceiling: null }, KNOWN, SPREAD, 0],
  ['is not judged by that rate when one partition has most of the backlog', { carried: null, ceiling: null }, KNOWN, HOT, null],
  [
    'nor when the rate was not observed on this version',
    { carried: null, ceiling: null },
    initialEstimate({ ...LEARNED, observations: 0 }),
    SPREAD,
    null,
  ],
  ['nor when another version has just begun', { carried: null, ceiling: null }, { ...KNOWN, distrusted: true }, SPREAD, null],
  ['nor when no rate is learnt', { carried: null, ceiling: null }, initialEstimate(null), SPREAD, null],
];

describe('a scale-up', () => {
  for (const [what, parts, estimate, sample, before] of cases) {
    it(what, () => {
      const trial = startTrial(null, parts, estimate, sample, 4);
      const want = before === null ? null : { from: 2, to: 4, throughputBefore: before, saturated: before > 0, rateBefore: 100, seen: [] };
      assert.deepEqual(trial, want);
    });
  }
});
