/** TCP ports for servers of tests. Test files run side by side, in processes of their own, and each port has one of them as its owner. */
import { readFileSync } from 'node:fs';
import { createServer, type ListenOptions } from 'node:net';
import { Failure } from '../failure.ts';

/** Ports from `first` up to, and without, `end`. */
export interface PortRange {
  readonly first: number;
  readonly end: number;
}

const PREFERRED: PortRange = { first: 15_000, end: 32_000 };
const EPHEMERAL_RANGE_FILE = '/proc/sys/net/ipv4/ip_local_port_range';

/**
 * Unused ports of this network namespace. They belong to this process until it ends: no other call of this function, in any
 * process, returns them, also before a server listens on them and while a stopped server does not. They are outside the range
 * from which the kernel assigns ports to outgoing connections, so that a stopped server finds its port free when it starts again.
 * @throws Failure when the range has no free port
 */
export async function freePorts(count: number): Promise<number[]> {
  const { first, end } = portRange(readFileSync(EPHEMERAL_RANGE_FILE, 'utf8'));
  const ports: number[] = [];
  for (let tries = 0; ports.length < count; tries += 1) {
    if (tries > 1000) throw new Failure(`no free port between ${first} and ${end}`);
    const port = first + Math.floor(Math.random() * (end - first));
    if ((await reserve(port)) && (await isFree(port))) ports.push(port);
  }
  return ports;
}

/**
 * Where test servers listen: 15000 to 32000, or the part of it that the kernel does not assign to outgoing connections. Where it
 * assigns all of them, the whole range.
 * @param ephemeral the text of `/proc/sys/net/ipv4/ip_local_port_range`: the first and the last port
 */
export function portRange(ephemeral: string): PortRange {
  const [low = 0, high = 0] = ephemeral.trim().split(/\s+/).map(Number);
  const below = { first: PREFERRED.first, end: Math.min(PREFERRED.end, low) };
  const above = { first: Math.max(PREFERRED.first, high + 1), end: PREFERRED.end };
  const [widest = PREFERRED] = [below, above].toSorted((a, b) => b.end - b.first - (a.end - a.first));
  return widest.end - widest.first >= 1000 ? widest : PREFERRED;
}

/**
 * Makes this process the owner of a port: it binds an abstract Unix socket with the port's number in its name. The kernel
 * permits one owner in a network namespace, and releases the name when the process ends, however it ends.
 */
function reserve(port: number): Promise<boolean> {
  const server = createServer().unref();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(`\0bss-platform/port/${port}`, () => resolve(true));
  });
}

/** Whether a server could listen on the port now: on 127.0.0.1 as on all addresses, which another address of the machine prevents. */
async function isFree(port: number): Promise<boolean> {
  return (await canListen({ port, host: '127.0.0.1' })) && (await canListen({ port }));
}

function canListen(options: ListenOptions): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(options, () => server.close(() => resolve(true)));
  });
}
