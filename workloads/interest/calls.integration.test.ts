/** Database calls of a batch, as Postgres itself counts them. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { TestPlatform } from '../shared/testing/platform.ts';
import { countStatementTimes, resetStatementTimes, statementTimes } from '../shared/testing/statement-times.ts';

const LIMIT = { timeout: 180_000 };
const EVENTS = 5_000;
let platform: TestPlatform;

before(async () => {
  platform = await TestPlatform.start(1_000);
  await countStatementTimes(platform);
}, LIMIT);
after(() => platform?.stop(), LIMIT);

test('a batch is two database calls in one transaction', LIMIT, async () => {
  await platform.produceEvents(EVENTS);
  const consumer = await platform.consumer();
  await consumer.ready();
  await platform.drained();
  assert.equal((await platform.appliedIds()).size, EVENTS);
  // By now the consumer has its partitions and rates: what follows is batches alone.
  await resetStatementTimes(platform);
  const batches = await consumer.metric('interest_batch_size_count');
  await platform.produceEvents(EVENTS);
  await platform.drained();
  const applied = (await consumer.metric('interest_batch_size_count')) - batches;
  // PgBouncer itself sets the name of the client on a connection that another client had.
  const calls = (await statementTimes(platform)).filter(({ topLevel, text }) => topLevel && !text.startsWith('SET application_name'));
  const counted = Object.fromEntries(calls.map(({ text, calls: count }) => [text.split(' ').slice(0, 2).join(' '), count]));
  assert.ok(applied > 0);
  assert.deepEqual(counted, { BEGIN: applied, 'WITH position': applied, 'WITH event': applied, COMMIT: applied });
});
