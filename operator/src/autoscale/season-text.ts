/**
 * A season as text, for the status of a resource: it survives a restart of the operator. Each bin is one byte, the logarithm of its rate in steps of
 * 7 %; all periods together have 2,316 of them, and compressed and in base64 no more than 3.3 KB. Pure.
 */
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import { initialSeason } from './season.ts';
import type { Profile, Season } from './season.ts';

const VERSION = '1';
/** Rates from the least to the most have the bytes from 2 to 255, messages per second. */
const LEAST = 0.1;
const MOST = 1e7;
const STEPS = 253;
const STEP = Math.log(MOST / LEAST) / STEPS;
const [UNSEEN, NOTHING, FIRST] = [0, 1, 2];
/** Of a profile, before its bins: how often it was judged, 16 bits, and its two errors, 8 bits each. */
const HEAD_BYTES = 4;
const MOST_JUDGED = 65_535;

/** Bins between two texts that are worth a write: an hour. */
const BINS_APART = 12;

/** The season; null until an hour was seen whole, because nothing can be foretold from less. @param bin number of the last full bin */
export function seasonText({ profiles }: Season, bin: number): string | null {
  const [hour] = profiles;
  if (hour === undefined || hour.peaks.some((peak) => Number.isNaN(peak))) return null;
  const bytes = Buffer.concat(profiles.map((profile) => bytesOf(profile)));
  return [VERSION, bin, deflateRawSync(bytes, { level: 9 }).toString('base64url')].join('.');
}

/** Null when the text is of another version, or not valid. */
export function seasonOf(text: string): Season | null {
  const [version, bin, content, ...rest] = text.split('.');
  const empty = initialSeason();
  const length = empty.profiles.reduce((sum, { peaks }) => sum + HEAD_BYTES + peaks.length, 0);
  if (version !== VERSION || !/^\d+$/.test(bin ?? '') || rest.length > 0) return null;
  const bytes = inflated(content ?? '', length);
  if (bytes?.length !== length) return null;
  let offset = 0;
  const profiles = empty.profiles.map((profile) => {
    const part = bytes.subarray(offset, (offset += HEAD_BYTES + profile.peaks.length));
    return profileOf(profile.periodSeconds, part);
  });
  return { ...empty, profiles };
}

/** Whether `next` has so much that `old` has not that it is worth a write. */
export function isNewerSeason(old: string | undefined, next: string): boolean {
  return old === undefined || binOf(next) - binOf(old) >= BINS_APART || binOf(next) < binOf(old);
}

/** Number of the last bin in the text; of an invalid text one before every other. */
function binOf(text: string): number {
  const bin = Number(text.split('.')[1]);
  return Number.isSafeInteger(bin) ? bin : -Infinity;
}

function bytesOf({ peaks, judged, tooHigh, tooLow }: Profile): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt16BE(Math.min(MOST_JUDGED, judged), 0);
  // Rounded up: what is nearly too wrong must not become trusted.
  head.writeUInt8(Math.min(255, Math.ceil(tooHigh * 255)), 2);
  head.writeUInt8(Math.min(255, Math.ceil(tooLow * 255)), 3);
  return Buffer.concat([head, Uint8Array.from(peaks, (peak) => byteOf(peak))]);
}

function profileOf(periodSeconds: number, bytes: Buffer): Profile {
  return {
    periodSeconds,
    peaks: Float32Array.from(bytes.subarray(HEAD_BYTES), (byte) => rateOf(byte)),
    judged: bytes.readUInt16BE(0),
    tooHigh: bytes.readUInt8(2) / 255,
    tooLow: bytes.readUInt8(3) / 255,
  };
}

function byteOf(rate: number): number {
  if (Number.isNaN(rate)) return UNSEEN;
  if (rate < LEAST) return NOTHING;
  return Math.min(255, FIRST + Math.round(Math.log(rate / LEAST) / STEP));
}

function rateOf(byte: number): number {
  if (byte === UNSEEN) return NaN;
  return byte === NOTHING ? 0 : LEAST * Math.exp((byte - FIRST) * STEP);
}

function inflated(content: string, length: number): Buffer | null {
  try {
    return inflateRawSync(Buffer.from(content, 'base64url'), { maxOutputLength: length });
  } catch {
    return null;
  }
}
