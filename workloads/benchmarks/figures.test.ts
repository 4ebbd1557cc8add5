import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bucketQuantile, bucketsOf, countOf, since } from './exposition.ts';
import { closedLoop, openLoop, quantile } from './load.ts';
import { programOf } from './processor-time.ts';

const exposition = (counts: readonly number[]): string => `# TYPE age_seconds histogram
age_seconds_bucket{le="0.1",service="relay"} ${counts[0]}
age_seconds_bucket{le="0.2",service="relay"} ${counts[1]}
age_seconds_bucket{le="+Inf",service="relay"} ${counts[2]}
age_seconds_sum{service="relay"} 5
age_seconds_count{service="relay"} ${counts[2]}
age_seconds_other_bucket{le="0.1"} 99
`;

test('a quantile of a histogram is that of Prometheus, between two expositions', () => {
  const before = bucketsOf(exposition([10, 10, 10]), 'age_seconds');
  const after = bucketsOf(exposition([60, 110, 111]), 'age_seconds');
  const observed = since(before, after);
  assert.equal(countOf(observed), 101);
  // 50 of 101 are at or below 0.1, 100 of 101 at or below 0.2.
  assert.ok(Math.abs(bucketQuantile(observed, 0.75) - (0.1 + 0.1 * ((0.75 * 101 - 50) / 50))) < 1e-9);
  assert.equal(bucketQuantile(observed, 0.999), 0.2, 'beyond the highest bound it is that bound');
  assert.ok(Number.isNaN(bucketQuantile(since(after, after), 0.5)));
});

test('series of one histogram are added up', () => {
  const text =
    'a_bucket{route="/x",le="1"} 2\na_bucket{route="/y",le="1"} 3\na_bucket{route="/x",le="+Inf"} 4\na_bucket{route="/y",le="+Inf"} 3\n';
  assert.deepEqual(
    [...bucketsOf(text, 'a')],
    [
      [1, 5],
      [Infinity, 7],
    ],
  );
});

test('a quantile of values is the nearest rank', () => {
  const values = Array.from({ length: 100 }, (_value, index) => index + 1);
  assert.deepEqual([quantile(values, 0.5), quantile(values, 0.95), quantile(values, 0.99), quantile([7], 0.99)], [50, 95, 99, 7]);
});

test('a closed loop has no more requests in progress than clients, and counts wrong answers', async () => {
  let inProgress = 0;
  let most = 0;
  let sent = 0;
  const { latencies, failed } = await closedLoop(3, 0.1, async () => {
    most = Math.max(most, (inProgress += 1));
    await new Promise((resolve) => setTimeout(resolve, 2));
    inProgress -= 1;
    return (sent += 1) % 5 !== 0;
  });
  assert.equal(most, 3);
  assert.equal(failed, Math.floor(sent / 5));
  assert.ok(latencies.length > 0 && latencies.length <= sent - failed);
  assert.ok(latencies.every((ms, index) => ms >= (latencies[index - 1] ?? 0)));
});

test('an open loop sends every request, and the time of one that is sent late begins when it was due', async () => {
  let first = true;
  const { latencies, failed } = await openLoop(100, 0.2, () => {
    // Nothing else runs meanwhile: the requests that are due are sent afterwards.
    const until = performance.now() + (first ? 100 : 0);
    first = false;
    while (performance.now() < until);
    return Promise.resolve(true);
  });
  assert.deepEqual([latencies.length, failed], [20, 0]);
  assert.ok(latencies.filter((ms) => ms > 20).length >= 6, latencies.join(' '));
});

test('processes are assigned to programs by their command lines', () => {
  const rows: [string[], string | undefined][] = [
    [['/node/bin/node', 'workloads/outbox-relay/main.ts', ''], 'outbox-relay'],
    [['java', '-Xmx512m', '-cp', '/opt/kafka/libs/*', 'kafka.Kafka', '/data/server.properties'], 'Kafka'],
    [['pgbouncer', '/data/pgbouncer.ini'], 'PgBouncer'],
    [['postgres', '-D', '/data/pgdata'], 'Postgres'],
    [['postgres: ledger ledger 127.0.0.1(4711) idle'], 'Postgres'],
    [['/usr/bin/redis-server 127.0.0.1:6379'], 'Redis'],
    [['unshare', '--mount', 'postgres'], undefined],
    [['setpriv', 'node'], undefined],
  ];
  for (const [command, expected] of rows) assert.equal(programOf(command), expected, command.join(' '));
});
