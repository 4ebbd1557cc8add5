/** Follows the replicas that a Deployment asks for, through a watch of the API server. */
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { until } from '../../local/src/demo/platform.ts';
import type { Kubectl } from '../../local/src/target/kubectl.ts';
import type { ReplicaChange } from './figures.ts';

export class DeploymentWatch {
  /** Every change seen, oldest first; the first one is the number at the start. */
  readonly changes: ReplicaChange[] = [];
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Resolves when the present number is known. */
  static async start(kubectl: Kubectl, namespace: string, deployment: string): Promise<DeploymentWatch> {
    const args = ['get', 'deployment', deployment, '-n', namespace, '--watch', '-o', 'jsonpath={.spec.replicas}{"\\n"}'];
    const child = spawn(kubectl.program, kubectl.arguments(args), { env: kubectl.env, stdio: ['ignore', 'pipe', 'inherit'] });
    const watch = new DeploymentWatch(child);
    createInterface({ input: child.stdout }).on('line', (line) => watch.#saw(Number(line)));
    await until('the first event of the watch', 10_000, () => Promise.resolve(watch.changes.length > 0), 50);
    return watch;
  }

  /** The number asked for now. */
  get replicas(): number {
    return this.changes.at(-1)?.replicas ?? 0;
  }

  stop(): void {
    this.#child.kill('SIGTERM');
  }

  /** Changes after an instant (epoch milliseconds). */
  since(at: number): ReplicaChange[] {
    return this.changes.filter((change) => change.at > at);
  }

  /** The most replicas asked for since an instant (epoch milliseconds). */
  most(since: number): number {
    return Math.max(this.replicas, ...this.since(since).map(({ replicas }) => replicas));
  }

  /** The change, at or after the call, to a number that will do. */
  until(will: (replicas: number) => boolean, timeoutMs: number): Promise<ReplicaChange> {
    return until(
      'another number of replicas',
      timeoutMs,
      () => {
        const last = this.changes.at(-1);
        return Promise.resolve(last !== undefined && will(last.replicas) ? last : undefined);
      },
      100,
    );
  }

  /** "1 -> 4 at 5 s, 4 -> 1 at 126 s", counted from an instant (epoch milliseconds). */
  describe(since: number): string {
    const lines = this.changes.map(({ at, replicas }, index) => ({
      at,
      text: `${this.changes[index - 1]?.replicas ?? '?'} -> ${replicas}`,
    }));
    const told = lines.filter(({ at }) => at > since).map(({ at, text }) => `${text} at ${((at - since) / 1000).toFixed(1)} s`);
    return told.length === 0 ? `${this.replicas} throughout` : told.join(', ');
  }

  #saw(replicas: number): void {
    if (this.changes.at(-1)?.replicas !== replicas) this.changes.push({ at: Date.now(), replicas });
  }
}
