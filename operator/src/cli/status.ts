/** `bss status`: prints platforms as trees, once or after each change. */
import process from 'node:process';
import { API_VERSION, KIND } from '../api/index.ts';
import type { PlatformObject } from '../reconcile/ownership/ownership.ts';
import { createLogger, Metrics, Reflector, type KubeClient } from '../runtime/index.ts';
import type { Paint } from './output.ts';
import { describeStatus } from './status-text.ts';
import { UsageError } from './usage.ts';

export interface StatusScope {
  /** Unset: all namespaces. */
  namespace?: string;
  /** Unset: all platforms. */
  name?: string;
}

const KIND_OF_PLATFORM = { apiVersion: API_VERSION, kind: KIND };

/** @throws UsageError when no platform matches */
export async function showStatus(client: KubeClient, scope: StatusScope, paint: Paint): Promise<string> {
  const { items } = await client.list<PlatformObject>(KIND_OF_PLATFORM, selection(scope));
  if (items.length === 0)
    throw new UsageError(`no ${KIND}${scope.name === undefined ? '' : ` ${scope.name}`} found in ${scope.namespace ?? 'any namespace'}`);
  return describeAll(items, paint);
}

/** Prints the platforms after each change, until the signal aborts. */
export async function watchStatus(client: KubeClient, scope: StatusScope, paint: Paint, signal: AbortSignal): Promise<void> {
  const logger = createLogger({ level: 'error', name: 'bss' });
  const reflector = new Reflector<PlatformObject>({ client, kind: KIND_OF_PLATFORM, metrics: new Metrics(), logger, ...selection(scope) });
  const draw = () => show(describeAll([...reflector.store.values()], paint));
  reflector.subscribe(() => {
    if (reflector.store.synced) draw();
  });
  reflector.start();
  await reflector.waitForSync(30_000);
  draw();
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  await reflector.stop();
}

/** Options of a list or watch. */
export function selection({ namespace, name }: StatusScope) {
  return { ...(namespace === undefined ? {} : { namespace }), ...(name === undefined ? {} : { fieldSelector: `metadata.name=${name}` }) };
}

function describeAll(platforms: PlatformObject[], paint: Paint): string {
  return platforms.map((platform) => describeStatus(platform, paint)).join('\n\n');
}

const CLEAR = '\u001B[H\u001B[2J';

/** Clears a terminal first; otherwise appends. */
function show(text: string): void {
  process.stdout.write(process.stdout.isTTY ? `${CLEAR}${text}\n` : `${text}\n\n`);
}
