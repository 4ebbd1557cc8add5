/** `kubectl port-forward` as a child process that lives as long as its owner. */
import { spawn, type ChildProcess } from 'node:child_process';
import type { Kubectl } from './kubectl.ts';

export interface PortForward {
  /** Base URL on loopback, such as `http://127.0.0.1:40123`. */
  readonly url: string;
  stop(): void;
}

/** @throws with kubectl's output when it ends before the port is open */
export function portForward(kubectl: Kubectl, namespace: string, service: string, port: number): Promise<PortForward> {
  const child = spawn(
    kubectl.program,
    kubectl.arguments(['port-forward', '-n', namespace, `service/${service}`, `:${port}`, '--address', '127.0.0.1']),
    { env: kubectl.env, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  return new Promise((resolve, reject) => {
    let printed = '';
    const listen = (chunk: Buffer): void => {
      printed += chunk.toString();
      const open = /Forwarding from (127\.0\.0\.1:\d+)/.exec(printed);
      if (open !== null) resolve({ url: `http://${open[1]}`, stop: () => stop(child) });
    };
    child.stdout.on('data', listen);
    child.stderr.on('data', listen);
    child.on('error', reject);
    child.on('exit', () => reject(new Error(`port-forward to ${namespace}/${service}:${port} ended: ${printed.trim()}`)));
  });
}

function stop(child: ChildProcess): void {
  if (child.exitCode === null) child.kill('SIGTERM');
}
