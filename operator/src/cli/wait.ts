/** `bss status --wait`: follows platforms until all of them are Ready. */
import { API_VERSION, KIND } from '../api/index.ts';
import type { PlatformObject } from '../reconcile/ownership/ownership.ts';
import { conditionOf } from '../reconcile/status/conditions.ts';
import { readStatus } from '../reconcile/status/status.ts';
import { createLogger, Metrics, Reflector, type KubeClient } from '../runtime/index.ts';
import type { Paint } from './output.ts';
import { selection, type Scope } from './scope.ts';
import { describeStatus } from './status-text.ts';
import { UsageError } from './usage.ts';

export interface WaitOptions {
  /** Milliseconds until it gives up. */
  limitMs: number;
  /** Ends the wait early. */
  signal: AbortSignal;
  /** Receives a line whenever what is missing changes. */
  progress: (line: string) => void;
}

/**
 * Prints what each platform still waits for, whenever that changes, until all are Ready for their newest generation.
 * @returns the platforms as trees
 * @throws UsageError when no platform matches, or when the limit passes: it names what is missing then
 */
export async function waitForReady(client: KubeClient, scope: Scope, paint: Paint, options: WaitOptions): Promise<string> {
  const logger = createLogger({ level: 'error', name: 'bss' });
  const kind = { apiVersion: API_VERSION, kind: KIND };
  const reflector = new Reflector<PlatformObject>({ client, kind, metrics: new Metrics(), logger, ...selection(scope) });
  const platforms = () => [...reflector.store.values()];
  const report = progressReporter(options.progress);
  const ready = Promise.withResolvers<void>();
  const check = () => {
    const missing = platforms().flatMap((platform) => missingOf(platform));
    report(missing);
    if (missing.length === 0) ready.resolve();
  };
  reflector.subscribe(() => reflector.store.synced && check());
  reflector.start();
  const limit = startLimit(options);
  try {
    await reflector.waitForSync(Math.min(options.limitMs, 30_000));
    if (platforms().length === 0) throw new UsageError(`no ${KIND} found: apply it first, or set its namespace with -n`);
    check();
    await Promise.race([ready.promise, limit.passed]);
    const missing = platforms().flatMap((platform) => missingOf(platform));
    const end = options.signal.aborted ? 'interrupted' : `not Ready after ${options.limitMs / 1000} s`;
    if (missing.length > 0) throw new UsageError(`${end}: ${missing.join('; ')}`);
    return platforms()
      .map((platform) => describeStatus(platform, paint))
      .join('\n\n');
  } finally {
    limit.clear();
    await reflector.stop();
  }
}

/** Resolves at the limit or when the signal aborts; `clear` lets the process end earlier. */
function startLimit({ limitMs, signal }: WaitOptions): { passed: Promise<void>; clear: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, limitMs);
  signal.addEventListener('abort', () => resolve(), { once: true });
  return { passed: promise, clear: () => clearTimeout(timer) };
}

/** A line for each change, with the seconds since the start. */
function progressReporter(print: (line: string) => void): (missing: string[]) => void {
  const started = performance.now();
  let last: string | undefined;
  return (missing) => {
    const text = missing.length === 0 ? 'Ready' : missing.join('; ');
    if (text !== last) print(`${String(Math.round((performance.now() - started) / 1000)).padStart(4)} s  ${text}`);
    last = text;
  };
}

/** What a platform waits for; empty when it is Ready for its newest generation. Pure. */
export function missingOf(platform: PlatformObject): string[] {
  const { namespace, name, generation = 0 } = platform.metadata;
  const status = readStatus(platform.status);
  const ready = conditionOf(status, 'Ready');
  const missing = (text: string) => [`${namespace}/${name}: ${text}`];
  if (platform.metadata.deletionTimestamp !== undefined) return missing('it is being deleted');
  if (ready === undefined) return missing('the operator has not reconciled it yet');
  if (conditionOf(status, 'Paused')?.status === 'True' && (status?.observedGeneration ?? 0) < generation)
    return missing('it is paused, and its newest generation is not applied');
  if ((ready.observedGeneration ?? 0) < generation) return missing('the newest generation is not reconciled yet');
  if (ready.status === 'True') return [];
  const waiting = (status?.components ?? []).filter((component) => component.ready < component.desired);
  const first = waiting.filter(({ message = '' }) => !message.startsWith('waits for'));
  if (first.length === 0) return missing(`${ready.reason}${ready.message === '' ? '' : `: ${ready.message}`}`);
  return missing(
    first.map((one) => `${one.name} ${one.ready}/${one.desired}${one.message === undefined ? '' : ` (${one.message})`}`).join(', '),
  );
}
