/** The consumers that every load is compared with: how often they commit, and how long a rebalance stops them. */
import { CALIBRATED } from './model.ts';
import type { GroupOptions } from './model.ts';

export interface World {
  name: string;
  about: string;
  group: GroupOptions;
}

/** Standstill of a partition around an eager rebalance as measured in a cluster with consumers that process batches; seconds. */
const MEASURED_PAUSE = [3.7, 5.4] as const;

/** The mean time from arrival to commit is half of the commit interval. */
function committing(seconds: number, about: string): World {
  return { name: `${seconds / 2} s`, about, group: { ...CALIBRATED, pause: MEASURED_PAUSE, commitSeconds: seconds } };
}

export const WORLDS: readonly World[] = [
  {
    name: '0.05 s',
    about: 'commits after each record; a rebalance stops the group for 0.5 to 1 s (the calibrated model)',
    group: CALIBRATED,
  },
  committing(1, 'commits every second; a rebalance stops the group for 3.7 to 5.4 s'),
  committing(2, 'commits every 2 s; a rebalance stops the group for 3.7 to 5.4 s'),
  committing(10, 'commits every 10 s; a rebalance stops the group for 3.7 to 5.4 s'),
];
