/** Requests over Unix sockets: one line of JSON from the client, then an answer of one line, or a raw stream. */
import { connect, createServer, type Server, type Socket } from 'node:net';

/** Reads up to the first line feed; what follows it stays in the socket. */
export function readLine(socket: Socket, limitMs = 10_000): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0);
    const timer = setTimeout(() => fail(new Error('no request within the time limit')), limitMs);
    const settle = (): void => {
      clearTimeout(timer);
      socket.off('data', onData).off('error', fail).off('close', onClose);
    };
    const fail = (error: Error): void => {
      settle();
      reject(error);
    };
    const onClose = (): void => fail(new Error('closed before a whole line came'));
    const onData = (chunk: Buffer): void => {
      received = Buffer.concat([received, chunk]);
      const end = received.indexOf('\n');
      if (end < 0) return;
      settle();
      socket.pause();
      if (end + 1 < received.length) socket.unshift(received.subarray(end + 1));
      resolve(received.subarray(0, end).toString());
    };
    socket.on('data', onData).on('error', fail).on('close', onClose);
  });
}

/** Serves each connection to a Unix socket with `handle`; an error of it is passed to the client as `{"error": ...}`. */
export function serveLines(path: string, handle: (line: string, socket: Socket) => Promise<void>): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    readLine(socket)
      .then((line) => handle(line, socket))
      .catch((error: unknown) => socket.end(`${JSON.stringify({ error: String(error) })}\n`));
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, () => resolve(server));
  });
}

/** Sends a request and returns the answer. Throws when no process listens, the answer is late, or it is an error. */
export async function ask<T>(path: string, request: object, limitMs = 10_000): Promise<T> {
  const socket = connect(path);
  try {
    await connected(socket);
    socket.write(`${JSON.stringify(request)}\n`);
    const answer: T & { error?: string } = JSON.parse(await readLine(socket, limitMs));
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer;
  } finally {
    socket.destroy();
  }
}

export function connected(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('connect', resolve).once('error', reject);
  });
}

/** Passes bytes both ways until each side has ended. */
export function join(a: Socket, b: Socket): void {
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    from.pipe(to);
    from.on('error', () => to.destroy());
    from.on('close', () => to.end());
  }
}
