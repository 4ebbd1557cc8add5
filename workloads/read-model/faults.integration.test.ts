/** Two replicas of the read model, of which one is killed again and again; and reads of partitions that the other replica has. */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { after, before, test } from 'node:test';
import { waitFor } from '../shared/testing/wait.ts';
import { get, ReadModelPlatform, type Answer, type Replica } from './testing/platform.ts';

const LIMIT = { timeout: 300_000 };
const SEED = Number(process.env['READ_MODEL_SEED'] ?? randomInt(2 ** 31));
const KILLS = 4;
/** Of one reader: each waits up to the deadline of 5 s. */
const MOST_REQUESTS = 10;

let platform: ReadModelPlatform;
let first: Replica;
let second: Replica;

before(async () => {
  platform = await ReadModelPlatform.start(200, SEED);
  [first, second] = await Promise.all([platform.replica(), platform.replica()]);
}, LIMIT);
after(() => platform?.stop(), LIMIT);

async function partitionsOf({ workload }: Replica): Promise<number> {
  const text = await (await fetch(`${workload.metricsUrl}/metrics`)).text();
  return text.split('\n').filter((line) => line.startsWith('consumer_lag_seconds{')).length;
}

test('each replica answers for the partitions of the other, also a reader that waits', LIMIT, async () => {
  await waitFor('both replicas to have partitions', async () => {
    const shares = await Promise.all([first, second].map(partitionsOf));
    return shares.every((share) => share > 0) && shares.reduce((sum, share) => sum + share) === 12;
  });
  const atOnce = new Map([first, second].map(({ url }) => [url, 0]));
  for (let round = 0; round < 3; round++) {
    await platform.transfers(20);
    const entries = await platform.unpublished();
    const last = new Map(entries.map(({ accountId, sequence }) => [accountId, sequence]));
    const answers = [...last].flatMap(([id, sequence]) =>
      [first, second].map(async ({ url }) => {
        const { answer, requests } = await readUntilIncluded(`${url}/api/v1/accounts/${id}/balance?minSequence=${sequence}`);
        if (requests === 1) atOnce.set(url, (atOnce.get(url) ?? 0) + 1);
        return answer;
      }),
    );
    await platform.sendEntries(entries);
    for (const { status, body } of await Promise.all(answers)) {
      assert.equal(status, 200, JSON.stringify(body));
      assert.ok(Number(body['sequence']) >= (last.get(String(body['accountId'])) ?? Infinity));
    }
  }
  for (const [url, count] of atOnce) assert.ok(count > 0, `${url} answered no reader that waited within its deadline`);
});

/** Requests again after a 503: a busy machine can take longer to project than the deadline of one request. */
async function readUntilIncluded(url: string): Promise<{ answer: Answer; requests: number }> {
  for (let requests = 1; ; requests++) {
    const answer = await get(url);
    if (answer.status !== 503 || requests === MOST_REQUESTS) return { answer, requests };
  }
}

test('SIGKILL in the middle loses nothing and projects nothing twice', LIMIT, async () => {
  let publishing = true;
  const traffic = (async () => {
    while (publishing) {
      await platform.transfers(200);
      await platform.publish();
    }
  })();
  for (let kill = 0; kill < KILLS; kill++) {
    const projected = await second.workload.metric('events_processed_total');
    await waitFor('the replica to project', async () => (await second.workload.metric('events_processed_total')) > projected + 200);
    assert.equal(await second.workload.end('SIGKILL'), 'SIGKILL');
    second = await platform.replica();
  }
  publishing = false;
  await traffic;
  await platform.publish();
  await platform.drained();
  assert.deepEqual(await platform.differences(), [], `READ_MODEL_SEED=${SEED}`);
  const refused = /cannot continue/;
  for (const { workload } of [first, second]) assert.doesNotMatch(workload.log, refused);
});
