import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AccessLog } from './access.ts';

const read = (log: AccessLog, key: string, times: number): void => {
  for (let n = 0; n < times; n += 1) log.record(key);
};

await test('the most read fifth is hot, the most read first', () => {
  const log = new AccessLog();
  for (let n = 0; n < 8; n += 1) read(log, `cold-${n}`, 1);
  read(log, 'warm', 5);
  read(log, 'hot', 9);
  assert.deepEqual(log.hotKeys(), [], 'nothing is hot before the first refresh');
  log.refresh();
  assert.deepEqual(log.hotKeys(), ['hot', 'warm']);
  assert.ok(log.isHot('warm') && !log.isHot('cold-1'));
});

await test('keys that were read once are not hot, and a key cools down without reads', () => {
  const log = new AccessLog();
  read(log, 'once', 1);
  read(log, 'often', 4);
  log.refresh();
  assert.deepEqual(log.hotKeys(), ['often']);
  log.refresh();
  assert.deepEqual(log.hotKeys(), ['often'], '2 of 4 are left');
  log.refresh();
  assert.deepEqual(log.hotKeys(), []);
});

await test('the number of keys is bounded, and a refresh makes room', () => {
  const log = new AccessLog(2);
  for (const key of ['a', 'b', 'c', 'c']) log.record(key);
  log.refresh();
  assert.ok(!log.isHot('c'), 'it was not counted');
  read(log, 'c', 2);
  log.refresh();
  assert.ok(log.isHot('c'));
});
