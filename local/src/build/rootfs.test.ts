import assert from 'node:assert/strict';
import { test } from 'node:test';
import { machineAptSettings } from './rootfs.ts';

test('copies those apt settings of the machine that reach a mirror', () => {
  const dump = `Acquire "";
Acquire::Check-Valid-Until "false";
Acquire::Languages "none";
Acquire::http "";
Acquire::http::Proxy "http://proxy.example.com:3128";
Acquire::Retries "3";
`;
  const expected = `Acquire::Check-Valid-Until "false";
Acquire::http::Proxy "http://proxy.example.com:3128";
Acquire::Retries "3";
`;
  assert.equal(machineAptSettings(dump), expected);
});
