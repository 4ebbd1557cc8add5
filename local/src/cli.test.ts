import assert from 'node:assert/strict';
import { test } from 'node:test';
import { takeName } from './cli.ts';

const CASES = [
  { args: ['get', 'pods'], front: false, name: undefined, rest: ['get', 'pods'] },
  { args: ['--name', 'a', 'get'], front: true, name: 'a', rest: ['get'] },
  { args: ['--name=a', 'get'], front: true, name: 'a', rest: ['get'] },
  { args: ['get', '--name', 'a'], front: true, name: undefined, rest: ['get', '--name', 'a'] },
  { args: ['--audit', '--name', 'a'], front: false, name: 'a', rest: ['--audit'] },
];

for (const { args, front, name, rest } of CASES) {
  await test(`--name in "${args.join(' ')}"${front ? ' of a tool' : ''}`, () => assert.deepEqual(takeName(args, front), { name, rest }));
}
