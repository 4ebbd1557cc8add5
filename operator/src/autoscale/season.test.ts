import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ourScaler } from './simulator/ours.ts';
import { run } from './simulator/run.ts';
import { CHANGING_TRACES } from './simulator/traces.ts';
import { forecast, initialSeason, observeSeason } from './season.ts';
import type { Season } from './season.ts';

const DAY = 86_400;

/** Samples every minute of so many seconds of a load. */
function feed(seconds: number, load: (t: number) => number, from = 0, season: Season = initialSeason()): Season {
  let held = season;
  for (let t = from; t < from + seconds; t += 60) held = observeSeason(held, t * 1000, load(t));
  return held;
}

/** 1,500/s for half an hour from nine o'clock on, else 100/s. */
const daily = (t: number) => (t % DAY >= 9 * 3600 && t % DAY < 9.5 * 3600 ? 1500 : 100);
/** The same on the first five days of a week. */
const weekly = (t: number) => (t % (7 * DAY) < 5 * DAY ? daily(t) : 100);

const at = (days: number, hours: number) => (days * DAY + hours * 3600) * 1000;

describe('season', () => {
  it('expects nothing before a period has been seen and foretold whole', () => {
    assert.equal(forecast(initialSeason(), 0, 60), null);
    assert.equal(forecast(feed(1.9 * DAY, daily), at(2, 8.99), 60)?.periodSeconds === DAY, false);
  });

  it('expects the daily rise shortly before it', () => {
    const season = feed(2 * DAY + 8 * 3600, daily);
    assert.equal(Math.round(forecast(season, at(2, 8.99), 60)?.rate ?? 0), 1500);
    assert.equal(Math.round(forecast(season, at(2, 12), 60)?.rate ?? 0), 100);
  });

  it('knows a weekend after two weeks', () => {
    const season = feed(15 * DAY, weekly);
    assert.equal(Math.round(forecast(season, at(14 + 1, 8.99), 60)?.rate ?? 0), 1500);
    const saturday = forecast(feed(5 * DAY, weekly, 15 * DAY, season), at(14 + 5, 8.99), 60);
    assert.deepEqual([saturday?.periodSeconds, Math.round(saturday?.rate ?? 0)], [7 * DAY, 100]);
  });

  it('expects nothing of a load that does not repeat', () => {
    let state = 7;
    const random = () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
    const levels = Array.from({ length: 2000 }, () => 100 + 1900 * random());
    assert.equal(
      forecast(
        feed(4 * DAY, (t) => levels[Math.floor(t / 300)] ?? 0),
        at(4, 1),
        60,
      ),
      null,
    );
  });

  it('gives up a season that has ended', () => {
    const season = feed(4 * DAY, daily);
    const rises = (t: number) => (daily(t) > 100 ? 100 : 1500);
    assert.notEqual(forecast(season, at(4, 0), 60), null);
    assert.equal(forecast(feed(DAY, rises, 4 * DAY, season), at(5, 0), 60)?.periodSeconds === DAY, false);
  });

  it('has the replicas there before an hourly burst, from the third hour on', () => {
    const trace = CHANGING_TRACES.find(({ name }) => name === 'hourly bursts') ?? assert.fail();
    for (const seed of [1, 2, 3]) {
      const late = { before: 0, after: 0 };
      const reasons = new Set<string>();
      const watch = ({ time, delay }: { time: number; delay: number }) => {
        if (delay > trace.maxDelay) late[time < 2 * 3600 + 600 ? 'before' : 'after']++;
      };
      const scaler = ourScaler(trace, seed, { watch: (_, decision) => reasons.add(decision.reason) });
      run(trace, scaler, seed, { watch, group: { startup: [10, 12], pause: [3.7, 5.4], inFlight: 0.05 } });
      assert.ok(reasons.has('Season'));
      assert.ok(late.before > 0, 'the first bursts come unforeseen');
      assert.equal(late.after, 0, `seed ${seed}`);
    }
  });
});
