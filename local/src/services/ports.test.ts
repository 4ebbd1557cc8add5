import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createServer, type Server } from 'node:net';
import { after, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { freePorts, portRange } from './ports.ts';

const LIMIT = { timeout: 60_000 };
const MODULE = new URL('ports.ts', import.meta.url).href;

const servers: Server[] = [];
after(() => servers.map((server) => server.close()));

/** Another process that takes ports while its random numbers are those given, each in turn. It prints the ports. */
async function portsOfAnotherProcess(count: number, numbers: readonly number[]): Promise<number[]> {
  const script = `
    const numbers = ${JSON.stringify(numbers)};
    const random = Math.random;
    Math.random = () => numbers.shift() ?? random();
    const { freePorts } = await import(${JSON.stringify(MODULE)});
    console.log(JSON.stringify(await freePorts(${count})));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
  return JSON.parse(stdout) as number[];
}

function numberFor(port: number): number {
  return (port - 15_000 + 0.5) / 17_000;
}

function listen(port: number, host?: string): Promise<void> {
  const server = createServer();
  servers.push(server);
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => resolve());
  });
}

describe('free ports', LIMIT, () => {
  test('a port that this process was given is given to no other process, also before a server listens on it', async () => {
    const [mine = 0] = await freePorts(1);
    const [other] = await portsOfAnotherProcess(1, [numberFor(mine), numberFor(mine)]);
    assert.notEqual(other, mine);
    await listen(mine);
  });

  test('a process that ended has released its ports', async () => {
    const wanted = 15_000 + Math.floor(Math.random() * 17_000);
    const [first = 0] = await portsOfAnotherProcess(1, [numberFor(wanted)]);
    assert.deepEqual(await portsOfAnotherProcess(1, [numberFor(first)]), [first]);
  });

  test('a port on which a server listens at another address of this machine is not free', async () => {
    const [port = 0] = await portsOfAnotherProcess(1, []);
    await listen(port, '127.0.0.2');
    const [other] = await portsOfAnotherProcess(1, [numberFor(port)]);
    assert.notEqual(other, port);
  });

  test('many at once are all different', async () => {
    const ports = (await Promise.all([freePorts(50), freePorts(50), portsOfAnotherProcess(50, [])])).flat();
    assert.equal(new Set(ports).size, 150);
  });
});

describe('the range of ports', () => {
  for (const [ephemeral, first, end] of [
    ['32768\t60999\n', 15_000, 32_000],
    ['30000\t60999\n', 15_000, 30_000],
    ['1024\t20000\n', 20_001, 32_000],
    ['1024\t65535\n', 15_000, 32_000],
    ['16000\t65535\n', 15_000, 16_000],
  ] as const) {
    test(`${ephemeral.trim().replace('\t', ' to ')} of the kernel: ${first} to ${end}`, () => {
      assert.deepEqual(portRange(ephemeral), { first, end });
    });
  }
});
