/**
 * One replica of a program that only its leader may write in, as a process of its own: it writes as fast as it can for as long as it leads, and goes
 * on trying when it no longer does. Tells what happens to it as lines of JSON on standard output; ends by SIGTERM in good order.
 * Arguments: kubeconfig, namespace, identity, lease, renew deadline and retry in milliseconds.
 */
import process from 'node:process';
import { KubeClient } from '../client.ts';
import { loadKubeConfig } from '../kubeconfig.ts';
import { LeaderElector, NotLeadingError } from '../leader.ts';
import { Metrics } from '../metrics.ts';
import { quiet } from './harness.ts';

const [path = '', namespace = '', identity = '', leaseMs, renewDeadlineMs, retryMs] = process.argv.slice(2);
const times = { leaseMs: Number(leaseMs), renewDeadlineMs: Number(renewDeadlineMs), retryMs: Number(retryMs) };
const metrics = new Metrics();
// The audit log tells the replicas apart by this name.
const client = new KubeClient({ config: loadKubeConfig({ path }), metrics, userAgent: identity });
const elector = new LeaderElector({ client, metrics, logger: quiet, namespace, name: 'election', identity, ...times });
const writer = client.fenced(elector.fence);
const target = { apiVersion: 'v1', kind: 'ConfigMap', namespace, name: 'target' };

const state = { stopping: false };
let writes = 0;
const refusals = new Set<number>();

function tell(event: string): void {
  process.stdout.write(`${JSON.stringify({ event, writes, at: Date.now() })}\n`);
}

/** Several of these run at once, so that a freeze finds requests in every state. */
async function write(slot: number): Promise<void> {
  while (!state.stopping && !refusals.has(slot)) {
    try {
      await writer.patch(target, { data: { [`by-${slot}`]: identity } });
      writes += 1;
    } catch (error) {
      if (error instanceof NotLeadingError) refusals.add(slot);
    }
  }
}

const SLOTS = [0, 1, 2, 3];
process.on('SIGTERM', () => void stop());

async function stop(): Promise<void> {
  state.stopping = true;
  await Promise.all(writing);
  await elector.stop();
  tell('stopped');
  process.exit(0);
}

let writing: Promise<void>[] = [];
elector.lost.addEventListener('abort', () => tell('lost'));
elector.start();
tell('started');
await elector.waitForLeadership();
tell('leading');
writing = SLOTS.map((slot) => write(slot));
await Promise.all(writing);
if (!state.stopping) tell('refused');
