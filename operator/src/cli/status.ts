/** `bss status`: prints platforms as trees and ConsumerAutoscalers as a table, once or after each change. */
import process from 'node:process';
import { API_VERSION, AUTOSCALER_KIND, KIND } from '../api/index.ts';
import type { PlatformObject } from '../reconcile/ownership/ownership.ts';
import type { AutoscalerObject } from '../reconcile/scaling/claims.ts';
import { createLogger, Metrics, Reflector, type Kind, type KubeClient, type KubernetesObject } from '../runtime/index.ts';
import { describeAutoscalers } from './autoscaler-text.ts';
import type { Paint } from './output.ts';
import { includes, selection, type Scope } from './scope.ts';
import { describeStatus } from './status-text.ts';
import { UsageError } from './usage.ts';

export const PLATFORMS = { apiVersion: API_VERSION, kind: KIND } as const;
export const AUTOSCALERS = { apiVersion: API_VERSION, kind: AUTOSCALER_KIND } as const;

/** @throws UsageError when no resource matches */
export async function showStatus(client: KubeClient, scope: Scope, paint: Paint): Promise<string> {
  const [platforms, autoscalers] = await Promise.all([
    listInScope<PlatformObject>(client, PLATFORMS, scope),
    listInScope<AutoscalerObject>(client, AUTOSCALERS, scope),
  ]);
  if (platforms.length + autoscalers.length === 0) throw new UsageError(nothingIn(scope));
  return describeAll(platforms, autoscalers, paint);
}

/** Those of a kind; none where the scope names another kind, or the cluster does not serve it. */
export async function listInScope<T extends KubernetesObject>(
  client: KubeClient,
  kind: typeof PLATFORMS | typeof AUTOSCALERS,
  scope: Scope,
): Promise<T[]> {
  if (!includes(scope, kind.kind) || (kind === AUTOSCALERS && !(await client.serves(kind)))) return [];
  return (await client.list<T>(kind, selection(scope))).items;
}

function nothingIn({ namespace = 'any namespace', name, kind }: Scope): string {
  return `no ${name === undefined ? `${KIND} and no ${AUTOSCALER_KIND}` : `${kind} ${name}`} found in ${namespace}`;
}

/** Prints the resources after each change, until the signal aborts. */
export async function watchStatus(client: KubeClient, scope: Scope, paint: Paint, signal: AbortSignal): Promise<void> {
  const watched = async <T extends KubernetesObject>(kind: typeof PLATFORMS | typeof AUTOSCALERS) =>
    includes(scope, kind.kind) && (await client.serves(kind)) ? reflectorOf<T>(client, kind, scope) : undefined;
  const [platforms, autoscalers] = await Promise.all([watched<PlatformObject>(PLATFORMS), watched<AutoscalerObject>(AUTOSCALERS)]);
  const all = [platforms, autoscalers].filter((one) => one !== undefined);
  const draw = () => {
    if (all.every(({ store }) => store.synced))
      show(describeAll([...(platforms?.store.values() ?? [])], [...(autoscalers?.store.values() ?? [])], paint));
  };
  for (const reflector of all) {
    reflector.subscribe(draw);
    reflector.start();
  }
  await Promise.all(all.map((reflector) => reflector.waitForSync(30_000)));
  draw();
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  await Promise.all(all.map((reflector) => reflector.stop()));
}

function reflectorOf<T extends KubernetesObject>(client: KubeClient, kind: Kind, scope: Scope): Reflector<T> {
  const logger = createLogger({ level: 'error', name: 'bss' });
  return new Reflector<T>({ client, kind, metrics: new Metrics(), logger, ...selection(scope) });
}

function describeAll(platforms: PlatformObject[], autoscalers: AutoscalerObject[], paint: Paint): string {
  const trees = platforms.map((platform) => describeStatus(platform, paint));
  return [...trees, ...(autoscalers.length > 0 ? [describeAutoscalers(autoscalers, paint)] : [])].join('\n\n');
}

const CLEAR = '\u001B[H\u001B[2J';

/** Clears a terminal first; otherwise appends. */
function show(text: string): void {
  process.stdout.write(process.stdout.isTTY ? `${CLEAR}${text}\n` : `${text}\n\n`);
}
