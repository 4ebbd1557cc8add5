import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withDeadline } from './deadline.ts';
import { ExpiredInQueue, GroupCommit } from './group-commit.ts';

/** Calls that the test completes one by one. */
function calls() {
  const open: { items: number[]; finish: () => void; fail: (error: Error) => void }[] = [];
  const execute = (items: number[]): Promise<number[]> => {
    const { promise, resolve, reject } = Promise.withResolvers<number[]>();
    open.push({ items, finish: () => resolve(items.map((item) => item * 10)), fail: reject });
    return promise;
  };
  return { open, execute };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

test('an item that finds no call in flight is executed at once; those that arrive meanwhile go together, in order', async () => {
  const { open, execute } = calls();
  const group = new GroupCommit(execute, { maxItems: 3, maxInFlight: 1 });
  const first = group.submit(1);
  assert.deepEqual(open[0]?.items, [1], 'in the same tick');
  const later = [2, 3, 4, 5].map((item) => group.submit(item));
  assert.equal(open.length, 1);
  assert.equal(group.waiting, 4);
  open[0]?.finish();
  assert.equal(await first, 10);
  await settle();
  assert.deepEqual(open[1]?.items, [2, 3, 4], 'at most three');
  open[1]?.finish();
  await settle();
  assert.deepEqual(open[2]?.items, [5]);
  open[2]?.finish();
  assert.deepEqual(await Promise.all(later), [20, 30, 40, 50]);
});

test('as many calls are in flight as allowed', () => {
  const { open, execute } = calls();
  const group = new GroupCommit(execute, { maxItems: 10, maxInFlight: 2 });
  for (const item of [1, 2, 3]) void group.submit(item);
  assert.deepEqual(
    open.map(({ items }) => items),
    [[1], [2]],
  );
});

test('items that are submitted together stay together', () => {
  const { open, execute } = calls();
  const group = new GroupCommit(execute, { maxItems: 3, maxInFlight: 1 });
  void group.submitAll([1, 2, 3]);
  assert.deepEqual(open[0]?.items, [1, 2, 3]);
});

test('a failed call rejects its items and no others', async () => {
  const { open, execute } = calls();
  const group = new GroupCommit(execute, { maxItems: 2, maxInFlight: 1 });
  const [first, second] = [group.submit(1), group.submit(2)];
  open[0]?.fail(new Error('connection lost'));
  await assert.rejects(first, /connection lost/);
  await settle();
  open[1]?.finish();
  assert.equal(await second, 20);
});

test('a call with too few results rejects its items', async () => {
  const group = new GroupCommit<number, number>(async () => [], { maxItems: 2, maxInFlight: 1 });
  await assert.rejects(group.submit(1), /0 results for 1 items/);
});

test('an item whose deadline passes while it waits is not executed', async () => {
  const { open, execute } = calls();
  const group = new GroupCommit(execute, { maxItems: 2, maxInFlight: 1 });
  const first = group.submit(1);
  const late = withDeadline(0, () => group.submit(2));
  const punctual = group.submit(3);
  open[0]?.finish();
  await first;
  await assert.rejects(late, ExpiredInQueue);
  assert.deepEqual(open[1]?.items, [3]);
  open[1]?.finish();
  assert.equal(await punctual, 30);
});
