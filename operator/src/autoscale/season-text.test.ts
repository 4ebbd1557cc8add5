import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { deflateRawSync } from 'node:zlib';
import { Group } from './group.ts';
import { withDefaults } from './policy.ts';
import { forecast, initialSeason, lastBin, observeSeason } from './season.ts';
import type { Season } from './season.ts';
import { isNewerSeason, seasonOf, seasonText } from './season-text.ts';

const [HOUR, DAY, WEEK] = [3600, 86_400, 604_800];
const BIN = 300;

/** One observation for each five minutes of a load. */
function feed(seconds: number, load: (t: number) => number, season: Season = initialSeason(), from = 0): Season {
  let held = season;
  for (let t = from; t <= from + seconds; t += BIN) held = observeSeason(held, t * 1000, load(t));
  return held;
}

function textOf(season: Season): string {
  return seasonText(season, lastBin(season) ?? assert.fail('no bin was filled')) ?? assert.fail('nothing to write');
}

const restored = (season: Season) => seasonOf(textOf(season)) ?? assert.fail('not valid');

/** 1,500/s for half an hour from nine o'clock on, else 100/s. */
const daily = (t: number) => (t % DAY >= 9 * HOUR && t % DAY < 9.5 * HOUR ? 1500 : 100);
const at = (days: number, hours: number) => (days * DAY + hours * HOUR) * 1000;

/** The same numbers on every run. */
function noise(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}

describe('season as text', () => {
  it('foretells the same as before, to the step of its scale', () => {
    const season = feed(3 * DAY, daily);
    for (const hours of [8.99, 12]) {
      const [expected, read] = [season, restored(season)].map((one) => forecast(one, at(3, hours), 60));
      assert.equal(read?.periodSeconds, expected?.periodSeconds);
      assert.ok(Math.abs((read?.rate ?? 0) / (expected?.rate ?? 1) - 1) < 0.04, `${read?.rate} in place of ${expected?.rate}`);
    }
  });

  it('goes on learning where it stopped, without the bins between', () => {
    const halfway = feed(1.5 * DAY, daily);
    const whole = feed(DAY, daily, restored(halfway), 1.5 * DAY + HOUR);
    assert.equal(Math.round((forecast(whole, at(2.5, 20.99), 60)?.rate ?? 0) / 100), 15, 'nine o’clock of the fourth day');
  });

  it('keeps zero and what was never seen apart', () => {
    const [hour, day] = restored(feed(2 * HOUR, () => 0)).profiles;
    assert.deepEqual(new Set(hour?.peaks), new Set([0]));
    assert.ok(day?.peaks.some((peak) => Number.isNaN(peak)) && day.peaks.some((peak) => peak === 0));
  });

  it('is null until an hour was seen whole', () => {
    const young = feed(HOUR - BIN, () => 5);
    assert.equal(seasonText(young, lastBin(young) ?? 0), null);
    assert.notEqual(textOf(feed(HOUR, () => 5)), null);
  });

  it('has at most 3.3 KB, whatever the load', () => {
    const random = noise(7);
    const text = textOf(feed(3 * WEEK, () => 10 ** (7 * random())));
    assert.ok(text.length <= 3300, `${text.length} characters`);
    assert.ok(textOf(feed(3 * WEEK, daily)).length < 300, 'a load that repeats is short');
  });

  it('is null for a text that is not valid', () => {
    const valid = textOf(feed(DAY, daily));
    const bomb = deflateRawSync(Buffer.alloc(10_000_000)).toString('base64url');
    for (const text of [
      '',
      'x',
      valid.replace('1.', '2.'),
      `${valid}.x`,
      valid.slice(0, -20),
      valid.replace(/\.\d+\./, '.x.'),
      `1.5.${bomb}`,
    ])
      assert.equal(seasonOf(text), null, text.slice(0, 40));
  });

  it('is worth a write once an hour', () => {
    const first = textOf(feed(DAY, daily));
    const later = (seconds: number) => textOf(feed(DAY + seconds, daily));
    assert.equal(isNewerSeason(undefined, first), true);
    assert.equal(isNewerSeason(first, first), false);
    assert.equal(isNewerSeason(first, later(HOUR - BIN)), false);
    assert.equal(isNewerSeason(first, later(HOUR)), true);
    assert.equal(isNewerSeason('garbage', first), true);
  });

  it('is what a group gives and takes', () => {
    const target = { group: 'g', topics: ['t'], namespace: 'n', deployment: 'd', policy: withDefaults({}) };
    const group = new Group(target);
    const cluster = { deployment: { replicas: 1, ready: 1, rollingOut: false }, rivals: [] };
    const step = (one: Group, from: number, to: number) => {
      for (let t = from; t <= to; t += 10) {
        const offsets = [{ topic: 't', partition: 0, logStart: 0, end: t * 50, committed: t * 50 }];
        one.step(t * 1000, { ok: true, offsets, group: { state: 'Stable', members: 1 }, owners: [0] }, cluster);
      }
    };
    step(group, 0, HOUR - 10);
    assert.equal(group.status().season, null);
    step(group, HOUR, 3 * HOUR);
    const { season } = group.status();
    assert.ok(season !== null);
    const restarted = new Group({ ...target, season });
    assert.equal(restarted.status().season, season, 'nothing is lost before the first sample');
    step(restarted, 3 * HOUR + 10, 3 * HOUR + BIN);
    const later = restarted.status().season ?? assert.fail('nothing was kept');
    assert.notEqual(later, season, 'it goes on learning');
    const read = seasonOf(later) ?? assert.fail('not valid');
    assert.ok(Math.abs((forecast(read, 3 * HOUR * 1000, 60)?.rate ?? 0) - 50) < 2);
    assert.equal(new Group({ ...target, season: 'garbage' }).status().season, null);
  });
});
