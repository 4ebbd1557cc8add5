import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mountsBelow, parseListening } from './leftovers.ts';
import { isAgentOf } from './remove.ts';

await test('mounts below a folder, but not below one of a longer name', () => {
  const mounts = [
    'tmpfs /run/bss-platform/one/x tmpfs rw 0 0',
    'tmpfs /run/bss-platform/one2 tmpfs rw 0 0',
    'a /run/bss-platform/one b rw 0 0',
  ];
  assert.deepEqual(mountsBelow(mounts.join('\n'), ['/run/bss-platform/one']), ['/run/bss-platform/one/x', '/run/bss-platform/one']);
});

await test('only listening sockets count', () => {
  const table = [
    '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode',
    '   0: 0100007F:8F0D 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000000000000000 100 0 0 10 0',
    '   1: 0100007F:8F0D 0100007F:A2B4 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 0000000000000000 20 4 30 10 -1',
  ];
  assert.deepEqual(parseListening(table.join('\n')), [{ port: 0x8f0d, inode: '4711' }]);
});

/** Contents of /proc/ID/cmdline. */
function command(name: string): string {
  return ['/usr/bin/node', '/src/local/src/cluster/agent.ts', name, '/config'].join('\0');
}

await test('an agent is known by its script and the name of its cluster', () => {
  assert.equal(isAgentOf('one', command('one')), true);
  assert.equal(isAgentOf('one', command('one2')), false);
  assert.equal(isAgentOf('one', ['vi', '/src/local/src/cluster/agent.ts'].join('\0')), false);
});
