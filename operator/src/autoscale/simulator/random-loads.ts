/** Loads that nothing was tuned on: everything about them comes from a seed. */
import { CALIBRATED } from './model.ts';
import type { GroupOptions } from './model.ts';
import { randomFrom } from './random.ts';
import type { Random } from './random.ts';
import { evenLayout, worth } from '../sizing.ts';
import type { Trace } from './traces.ts';

/** A load and the consumers that process it. */
export interface RandomLoad {
  trace: Trace;
  group: GroupOptions;
}

/** The highest load is so much of what all useful replicas carry at their slowest: more could be carried by nobody. */
const PEAK = [0.3, 0.85] as const;

/** The load of a seed, always the same one. */
export function randomLoad(seed: number): RandomLoad {
  const random = randomFrom(seed);
  const pick = <T>(values: readonly [T, ...T[]]): T => values[Math.floor(random.uniform() * values.length)] ?? values[0];
  const between = (least: number, most: number) => least + random.uniform() * (most - least);
  const partitions = pick([6, 12, 24, 48]);
  const membersPerReplica = pick([1, 1, 1, 2, 3]);
  const maxReplicas = Math.min(pick([6, 12, 24]), Math.floor(partitions / membersPerReplica));
  const rate = between(50, 400);
  const change = pick([1, 1, between(0.4, 0.9), between(1.2, 2)]);
  const least = rate * Math.min(1, change);
  const layout = { ...evenLayout(partitions), perReplica: membersPerReplica };
  const peak = worth(maxReplicas, layout) * least * between(...PEAK);
  const seconds = pick([900, 1500, 1800]);
  const commitSeconds = pick([undefined, 1, 2, 5, 10]);
  const start = pick([2, 2, 5, 10, 20]);
  const pause = pick([CALIBRATED.pause, [3.7, 5.4] as const]);
  const { shape, about } = shapeOf(random, seconds);
  const noise = pick([0, 0.05, 0.1, 0.2]);
  return {
    trace: {
      name: `random ${seed}`,
      about: `${about}; ${partitions} partitions, ${Math.round(rate)}/s a pod, ${membersPerReplica} members each`,
      seconds,
      partitions,
      ratePerReplica: rate,
      minReplicas: 1,
      maxReplicas,
      maxDelay: pick([30, 60, 120]) + 2 * (commitSeconds ?? 0),
      arrivals: (t) => peak * shape(t),
      noise,
      membersPerReplica,
      ...(change === 1
        ? {}
        : { rolloutAt: Math.round(between(0.3, 0.6) * seconds), rate: (version: number) => (version === 0 ? rate : rate * change) }),
    },
    group: { ...CALIBRATED, startup: [start, start + 2], pause, ...(commitSeconds === undefined ? {} : { commitSeconds }) },
  };
}

/** A shape between 0 and 1 over the time. */
function shapeOf(random: Random, seconds: number): { shape: (t: number) => number; about: string } {
  const levels = Array.from({ length: 8 }, () => 0.05 + 0.95 * random.uniform());
  const length = seconds / levels.length;
  const level = (index: number) => levels[Math.min(levels.length - 1, Math.max(0, index))] ?? 0;
  const period = 120 + random.uniform() * 600;
  const shapes = [
    { about: 'steps', shape: (t: number) => level(Math.floor(t / length)) },
    {
      about: 'ramps',
      shape: (t: number) => {
        const index = Math.floor(t / length);
        return level(index) + (level(index + 1) - level(index)) * (t / length - index);
      },
    },
    { about: 'a season', shape: (t: number) => 0.1 + 0.9 * ((1 - Math.cos((2 * Math.PI * t) / period)) / 2) },
    { about: 'a sawtooth', shape: (t: number) => 0.05 + (0.95 * (t % period)) / period },
    { about: 'bursts', shape: (t: number) => (t % period > 60 && t % period < 60 + 40 * level(Math.floor(t / period) % 8) ? 1 : 0.1) },
    { about: 'steady', shape: () => level(0) },
  ];
  return shapes[Math.floor(random.uniform() * shapes.length)] ?? { about: 'steady', shape: () => 1 };
}
