import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { commitsSlowly, follow, initialMembers, uncommitted } from './members.ts';
import type { Members, Work } from './members.ts';
import { sampleOf } from './testing.ts';
import type { SampleOptions } from './testing.ts';

/** Feeds samples five seconds apart; the members at the end and what each sample showed. */
function feed(samples: readonly SampleOptions[], from: Members = initialMembers(null), at = 0): { members: Members; works: Work[] } {
  const works: Work[] = [];
  let members = from;
  for (const [index, options] of samples.entries()) {
    const step = follow(members, sampleOf({ ...options, at: at + (index + 1) * 5000 }), true, true);
    ({ members } = step);
    works.push(step.work);
  }
  return { members, works };
}

/** One member that does 200/s with work to spare, and commits with every `every`th sample. */
function committing(every: number, count: number): SampleOptions[] {
  return Array.from({ length: count }, (_, index) => {
    const commits = index % every === every - 1;
    return { arrived: 2000, progress: commits ? every * 1000 : 0, lag: 50_000 + index * 1000 };
  });
}

const ratesOf = (works: readonly Work[]) => works.flatMap(({ rates }) => rates);

describe('members', () => {
  for (const every of [1, 2, 4, 6]) {
    it(`counts a rate over whole intervals when a member commits every ${every * 5} s`, () => {
      const { members, works } = feed(committing(every, 40));
      const rates = ratesOf(works);
      assert.ok(rates.length > 2);
      for (const rate of rates.slice(1)) assert.equal(Math.round(rate), 200);
      assert.equal(Math.round(members.commitSeconds), every * 5);
      assert.equal(commitsSlowly(members), every > 1);
    });
  }

  it('does not take the lag between two commits for saturation', () => {
    const idle = Array.from({ length: 60 }, (_, index) => {
      const since = index % 4;
      return { arrived: 500, progress: since === 3 ? 2000 : 0, lag: since === 3 ? 0 : 500 * (since + 1) };
    });
    assert.deepEqual(ratesOf(feed(idle).works), []);
  });

  it('leaves out the interval that follows a change of the group', () => {
    const busy = { arrived: 5000, progress: 1000, lag: 20_000 };
    const first = follow(initialMembers(null), sampleOf({ ...busy, at: 5000 }), false, true);
    const second = follow(first.members, sampleOf({ ...busy, progress: 300, at: 10_000 }), true, true);
    assert.equal(second.work.saturatedShare, null);
    const third = follow(second.members, sampleOf({ ...busy, at: 15_000 }), true, true);
    assert.deepEqual(third.work.rates.map(Math.round), [200]);
  });

  it('counts the members of a replica, and another count only when it lasts', () => {
    const pair = (replicas: number, members: number): SampleOptions => ({ replicas, group: { members }, arrived: 100, progress: 100 });
    const { members } = feed(Array.from({ length: 4 }, () => pair(2, 4)));
    assert.equal(members.perReplica, 2);
    const leaving = feed(
      Array.from({ length: 8 }, () => pair(1, 4)),
      members,
      20_000,
    );
    assert.equal(leaving.members.perReplica, 2, 'members of pods that are about to go');
    const changed = feed(
      Array.from({ length: 20 }, () => pair(1, 4)),
      members,
      20_000,
    );
    assert.equal(changed.members.perReplica, 4);
  });

  it('estimates what is processed and not committed yet', () => {
    const { members } = feed(committing(4, 41));
    const messages = uncommitted(members, 41 * 5000, 200);
    assert.ok(messages >= 1000 && messages <= 2000, `${messages}`);
    assert.equal(uncommitted(feed(committing(1, 20)).members, 100_000, 200), 0);
  });
});
