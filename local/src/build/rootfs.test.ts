import assert from 'node:assert/strict';
import { test } from 'node:test';
import { linkCommands, machineAptSettings } from './rootfs.ts';

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

test('a program has the name, or the absolute path, that it has in the public image', () => {
  assert.deepEqual(
    linkCommands({ programs: { alertmanager: 'prometheus-alertmanager', '/bin/db': 'postgres', '/tempo': 'tempo' }, built: ['tempo'] }),
    [
      'ln -s prometheus-alertmanager "$1/usr/bin/alertmanager"',
      'mkdir -p "$1/bin"; ln -s /usr/bin/postgres "$1/bin/db"',
      'mkdir -p "$1/"; ln -s /usr/local/bin/tempo "$1/tempo"',
    ],
  );
});
