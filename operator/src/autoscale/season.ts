/**
 * What repeats every hour, day or week: for each five minutes of the period the highest arrival rate that was seen there, as an exponentially
 * weighted mean over the periods (a seasonal profile, the seasonal part of Holt and Winters' method without its trend). A period counts only
 * after it was seen whole twice and while its profile foretells what comes: one that expects too much costs pods for nothing. Pure.
 */

/** One period's profile. Rates are messages per second. */
export interface Profile {
  readonly periodSeconds: number;
  /** Highest rate in each bin of the period; NaN where none was seen yet. */
  readonly peaks: Float32Array;
  /** Bins that were foretold so far, and how much too high and too low that was on average, as a share of the peak that came. */
  readonly judged: number;
  readonly tooHigh: number;
  readonly tooLow: number;
}

/** What is remembered of all periods. */
export interface Season {
  readonly profiles: readonly Profile[];
  /** Number of the bin that is being filled, counted from the epoch, and the highest rate in it so far. */
  readonly bin: number | null;
  readonly peak: number;
}

/** A forecast, and the period that it comes from. */
export interface Forecast {
  rate: number;
  periodSeconds: number;
}

const BIN_SECONDS = 300;
const PERIODS = [3600, 86_400, 604_800];
/** Weight of the newest period in the profile. */
const WEIGHT = 0.4;
/** Whole periods that must have been foretold before the profile counts; the first one only fills it. */
const JUDGED_PERIODS = 1;
/** A profile counts while it is, on average, no more than this too high or too low. */
const MOST_TOO_HIGH = 0.15;
const MOST_TOO_LOW = 0.3;
/** Below this rate shares mean nothing, messages per second. */
const LEAST_RATE = 1;

/** Nothing is known yet. */
export function initialSeason(): Season {
  const profiles = PERIODS.map((periodSeconds) => ({
    periodSeconds,
    peaks: new Float32Array(periodSeconds / BIN_SECONDS).fill(NaN),
    judged: 0,
    tooHigh: 0,
    tooLow: 0,
  }));
  return { profiles, bin: null, peak: 0 };
}

/** Takes in the arrival rate at `at` (epoch milliseconds). Copies a profile only when a bin is full. */
export function observeSeason(season: Season, at: number, rate: number): Season {
  const bin = binOf(at);
  if (season.bin === null) return { ...season, bin, peak: rate };
  if (bin === season.bin) return rate > season.peak ? { ...season, peak: rate } : season;
  const { bin: full, peak } = season;
  // After a gap (brokers away, operator stopped) the bins between were not seen.
  return { profiles: season.profiles.map((profile) => learnBin(profile, full, peak)), bin, peak: rate };
}

/** Number of the last full bin; null before the first. */
export function lastBin({ bin }: Season): number | null {
  return bin === null ? null : bin - 1;
}

/** The highest rate that is expected within the next `seconds`; null while no period repeats. */
export function forecast({ profiles }: Season, at: number, seconds: number): Forecast | null {
  let best: { forecast: Forecast; error: number } | null = null;
  for (const profile of profiles) {
    if (!isTrusted(profile)) continue;
    const rate = highest(profile, binOf(at), binOf(at + seconds * 1000));
    const error = profile.tooHigh + profile.tooLow;
    if (rate !== null && (best === null || error < best.error)) best = { forecast: { rate, periodSeconds: profile.periodSeconds }, error };
  }
  return best?.forecast ?? null;
}

function binOf(at: number): number {
  return Math.floor(at / (BIN_SECONDS * 1000));
}

function learnBin(profile: Profile, bin: number, peak: number): Profile {
  const { periodSeconds, judged, tooHigh, tooLow } = profile;
  const index = bin % profile.peaks.length;
  const expected = profile.peaks[index] ?? NaN;
  const peaks = profile.peaks.slice();
  if (Number.isNaN(expected)) {
    peaks[index] = peak;
    return { ...profile, peaks };
  }
  peaks[index] = expected + (peak - expected) * WEIGHT;
  const error = (expected - peak) / Math.max(LEAST_RATE, peak, expected);
  const weight = Math.max(1 / peaks.length, 1 / (judged + 1));
  return {
    periodSeconds,
    peaks,
    judged: judged + 1,
    tooHigh: tooHigh + (Math.max(0, error) - tooHigh) * weight,
    tooLow: tooLow + (Math.max(0, -error) - tooLow) * weight,
  };
}

function isTrusted({ peaks, judged, tooHigh, tooLow }: Profile): boolean {
  return judged >= JUDGED_PERIODS * peaks.length && tooHigh <= MOST_TOO_HIGH && tooLow <= MOST_TOO_LOW;
}

function highest({ peaks }: Profile, from: number, to: number): number | null {
  let most: number | null = null;
  for (let bin = from; bin <= to; bin++) {
    const peak = peaks[bin % peaks.length] ?? NaN;
    if (!Number.isNaN(peak) && (most === null || peak > most)) most = peak;
  }
  return most;
}
