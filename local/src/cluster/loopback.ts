/** Ports on loopback that stay the same when a cluster is stopped and started again. */
import { createHash } from 'node:crypto';
import type { Server } from 'node:net';

/** Below the ports that Linux gives to outgoing connections (32768 and up), so that none of these takes one. */
const FIRST = 20_000;
const RANGE = 10_000;
/** A port in use by another program or cluster is passed over, so many times. */
const CANDIDATES = 8;

/** The ports to try for a target inside a cluster, in order: the same ones for the same cluster, host and port. Pure. */
export function portCandidates(cluster: string, host: string, port: number): number[] {
  const digest = createHash('sha256').update(`${cluster}/${host}:${port}`).digest();
  const start = digest.readUInt32BE(0);
  return Array.from({ length: CANDIDATES }, (_, index) => FIRST + ((start + index) % RANGE));
}

/**
 * Listens on 127.0.0.1: on the first free candidate, or on any free port when none is.
 * @returns the port
 * @throws Error of the socket
 */
export async function listenOnLoopback(server: Server, candidates: readonly number[]): Promise<number> {
  for (const port of [...candidates, 0]) {
    const listening = await listen(server, port);
    if (listening !== undefined) return listening;
  }
  throw new Error('no free port on 127.0.0.1');
}

/** Undefined when the port is in use. */
function listen(server: Server, port: number): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => (error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error));
    server.once('error', onError);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', onError);
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : undefined);
    });
  });
}
