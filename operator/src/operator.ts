/** Composition root of the operator. */
import { randomBytes } from 'node:crypto';
import type { KubeConfig } from '@kubernetes/client-node';
import { API_VERSION, AUTOSCALER_KIND, FIELD_MANAGER, GROUP, KIND } from './api/index.ts';
import { Autoscaler, scaleClient } from './autoscale/index.ts';
import type { OperatorConfig } from './config.ts';
import { AlertReader } from './reconcile/alerts/alert-reader.ts';
import { autoscalerKeyOf, scalingKey } from './reconcile/autoscalers/keys.ts';
import { AutoscalerReconciler } from './reconcile/autoscalers/reconciler.ts';
import { AutoscalerStatusWriter } from './reconcile/autoscalers/status-writer.ts';
import { AutoscalerWatch } from './reconcile/autoscalers/watch.ts';
import { Cache } from './reconcile/watch/cache.ts';
import { PlatformMetrics } from './reconcile/metrics.ts';
import { Planner } from './reconcile/plan/planner.ts';
import { Reconciler } from './reconcile/reconciler.ts';
import { Claims } from './reconcile/scaling/claims.ts';
import { SecretWatch } from './reconcile/watch/secret-watch.ts';
import { StatusWriter } from './reconcile/status/status-writer.ts';
import { TopicKeeper } from './reconcile/topics/topics.ts';
import {
  Applier,
  Controller,
  EventRecorder,
  HealthServer,
  KubeClient,
  LeaderElector,
  Metrics,
  parseKey,
  systemClock,
  WorkQueue,
} from './runtime/index.ts';
import type { Logger, Shutdown } from './runtime/index.ts';

const LEASE = 'bss-operator';
/** Limit for the first lists of the caches. */
const SYNC_TIMEOUT_MS = 120_000;
/** Interval for comparing the figures of consumer groups with those in status. */
const FIGURES_MS = 10_000;
/** Platforms reconciled concurrently, and ConsumerAutoscalers. */
const WORKERS = 8;

/** The parts that serve requests and observe, and what stops them. */
interface Base {
  config: OperatorConfig;
  client: KubeClient;
  metrics: Metrics;
  health: HealthServer;
  logger: Logger;
  shutdown: Shutdown;
}

/** What the operator watches, and the keys that need a pass. */
interface Watched {
  /** Undefined: the operator runs no platforms. */
  platforms: { cache: Cache; queue: WorkQueue } | undefined;
  autoscalers: { watch: AutoscalerWatch; queue: WorkQueue };
}

/**
 * Serves health and metrics, syncs the caches, waits until this replica leads, and starts to reconcile. Resolves once it leads; `shutdown` stops
 * what was started.
 */
export async function runOperator(config: OperatorConfig, kubeConfig: KubeConfig, logger: Logger, shutdown: Shutdown): Promise<void> {
  const metrics = new Metrics({ processMetrics: true });
  const client = new KubeClient({ config: kubeConfig, metrics });
  const health = new HealthServer({ metrics, logger, port: config.metricsPort });
  let ready = false;
  health.addReadiness('caches', () => (ready ? undefined : 'the caches have not synced'));
  health.addReadiness('shutdown', () => (shutdown.started ? 'shutting down' : undefined));
  const port = await health.start();
  shutdown.add('health server', () => health.stop());
  logger.info({ port }, 'serving /metrics, /livez and /readyz');
  if (config.watchNamespaces.length > 0) logger.info({ namespaces: config.watchNamespaces }, 'watching these namespaces only');
  if (!config.platforms) logger.info({}, 'running no platforms: ConsumerAutoscalers only');

  await requireDefinition(client, config.platforms ? KIND : AUTOSCALER_KIND);
  const base = { config, client, metrics, health, logger, shutdown };
  const watched = await watch(base);
  ready = true;

  const identity = `${config.podName}_${randomBytes(4).toString('hex')}`;
  const elector = new LeaderElector({ client, metrics, logger, namespace: config.namespace, name: LEASE, identity });
  elector.start();
  shutdown.add('leader election', () => elector.stop());
  elector.lost.addEventListener('abort', () => void shutdown.begin('lost the lease', 1));
  await elector.waitForLeadership();
  lead({ ...base, client: client.fenced(elector.fence) }, watched);
}

/** Starts the caches and waits for their first lists. */
async function watch({ config, client, metrics, logger, shutdown }: Base): Promise<Watched> {
  const options = { client, metrics, logger, namespaces: config.watchNamespaces };
  const autoscalers = { watch: new AutoscalerWatch(options), queue: new WorkQueue({ name: 'autoscalers', metrics }) };
  const cache = config.platforms ? await Cache.create(options) : undefined;
  const platforms = cache && { cache, queue: new WorkQueue({ name: 'platforms', metrics }) };
  autoscalers.watch.all.subscribe(({ key }) => autoscalers.queue.add(key));
  cache?.onChange((key) => platforms?.queue.add(key));
  cache?.start();
  shutdown.add('caches', async () => {
    await Promise.all([cache?.stop(), autoscalers.watch.stop()]);
  });
  await Promise.all([cache?.waitForSync(SYNC_TIMEOUT_MS), autoscalers.watch.start(SYNC_TIMEOUT_MS)]);
  return { platforms, autoscalers };
}

/** What the controllers share. */
interface Shared {
  recorder: EventRecorder;
  autoscaler: Autoscaler;
  claims: Claims;
  secrets: SecretWatch;
  platformMetrics: PlatformMetrics;
  /** Requeues the platform or ConsumerAutoscaler of a key. */
  requeue: (key: string) => void;
  record: (key: string, type: 'Normal' | 'Warning', reason: string, message: string) => void;
}

/** Starts everything that writes. */
function lead(base: Base, watched: Watched): void {
  const shared = share(base, watched);
  const { autoscaler } = shared;
  // `bss explain-scaling` reads /scaling/<namespace>/<platform>. Only the leader has it.
  base.health.addPage('scaling', (path) => autoscaler.recording(path.join('/')));
  autoscaler.start();
  base.shutdown.add('autoscaler', () => autoscaler.stop());
  if (watched.platforms !== undefined) leadPlatforms(base, watched.platforms, shared);
  leadAutoscalers(base, watched, shared);
}

function share({ config, client, metrics, logger, shutdown }: Base, { platforms, autoscalers }: Watched): Shared {
  const recorder = new EventRecorder({ client, component: `${GROUP}/operator`, instance: config.podName, metrics, logger });
  shutdown.add('events', () => recorder.stop());
  const store = autoscalers.watch.all.store;
  const requeue = (key: string) => {
    const own = autoscalerKeyOf(key);
    if (own === undefined) platforms?.queue.add(key);
    else autoscalers.queue.add(own);
  };
  const record: Shared['record'] = (key, type, reason, message) => {
    const own = autoscalerKeyOf(key);
    const object = own === undefined ? platforms?.cache.platforms.store.get(key) : store.get(own);
    if (object !== undefined) recorder.record(object, { type, reason, message });
  };
  const autoscaler = new Autoscaler({
    scale: scaleClient(client.raw),
    onChange: requeue,
    onEvent: (key, { type, reason, message }) => record(key, type, reason, message),
    log: (level, message, fields) => logger[level](fields, message),
  });
  const keys = () => [...(platforms?.cache.platforms.store.keys() ?? []), ...[...store.keys()].map((key) => scalingKey(key))];
  const secrets = new SecretWatch({ client, metrics, logger, namespaces: config.watchNamespaces, onChange: requeue });
  shutdown.add('Secret watch', () => secrets.stop());
  const platformMetrics = new PlatformMetrics(metrics, autoscaler, keys);
  return { recorder, autoscaler, claims: new Claims(platforms?.cache, store), secrets, platformMetrics, requeue, record };
}

function leadPlatforms(
  { config, client, metrics, logger, shutdown }: Base,
  { cache, queue }: NonNullable<Watched['platforms']>,
  shared: Shared,
): void {
  const clock = systemClock;
  const { platformMetrics, record, requeue } = shared;
  const topics = new TopicKeeper({
    clock,
    logger,
    onChange: requeue,
    onEvent: (key, message) => record(key, 'Normal', 'TopicsChanged', message),
  });
  const alerts = new AlertReader({ clock, logger, onChange: requeue });
  shutdown.add('alerts', () => alerts.stop());
  const reconciler = new Reconciler({
    ...shared,
    cache,
    client,
    applier: new Applier({ client, fieldManager: FIELD_MANAGER, metrics }),
    topics,
    alerts,
    planner: new Planner(config.namespace),
    status: new StatusWriter((key, isReady) => platformMetrics.setReady(key, isReady)),
    clock,
    operatorNamespace: config.namespace,
  });
  const controller = new Controller({ name: 'platform', queue, reconcile: reconciler.reconcile, metrics, logger, workers: WORKERS });
  const figures = setInterval(() => {
    for (const key of cache.platforms.store.keys()) if (reconciler.figuresMoved(key)) queue.add(key);
  }, FIGURES_MS);
  shutdown.add('figures', () => clearInterval(figures));
  controller.start();
  shutdown.add('controller', () => controller.stop());
}

function leadAutoscalers({ client, metrics, logger, shutdown }: Base, { platforms, autoscalers }: Watched, shared: Shared): void {
  const { watch: watching, queue } = autoscalers;
  const { claims } = shared;
  const { store } = watching.all;
  const reconciler = new AutoscalerReconciler({ ...shared, store, client, status: new AutoscalerStatusWriter(client), clock: systemClock });
  const controller = new Controller({ name: 'autoscaler', queue, reconcile: reconciler.reconcile, metrics, logger, workers: WORKERS });
  // Whoever scales an object may have become another one with any change in its namespace.
  const compareRivals = (changed: string) => {
    const { namespace = '' } = parseKey(changed);
    for (const key of claims.autoscalersIn(namespace)) if (reconciler.rivalsMoved(key)) queue.add(key);
  };
  platforms?.cache.onChange(compareRivals);
  watching.all.subscribe(({ type, key, object, old }) => {
    // A status says nothing about who scales what.
    if (type === 'modified' && object.metadata.generation === old?.metadata.generation) return;
    compareRivals(key);
    for (const platform of claims.platformsIn(parseKey(key).namespace ?? '')) platforms?.queue.add(platform);
  });
  const figures = setInterval(() => {
    for (const key of store.keys()) if (reconciler.figuresMoved(key)) queue.add(key);
  }, FIGURES_MS);
  shutdown.add('figures of ConsumerAutoscalers', () => clearInterval(figures));
  controller.start();
  shutdown.add('controller of ConsumerAutoscalers', () => controller.stop());
}

/** A missing CRD is the most common mistake of a manual installation: one clear message instead of a failing watch. */
async function requireDefinition(client: KubeClient, kind: string): Promise<void> {
  if (await client.serves({ apiVersion: API_VERSION, kind })) return;
  throw new Error(
    `the cluster does not serve ${API_VERSION} ${kind}: install the CustomResourceDefinition (bss crd | kubectl apply --server-side -f -), then restart the operator`,
  );
}
