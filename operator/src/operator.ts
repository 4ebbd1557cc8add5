/** Composition root of the operator. */
import { randomBytes } from 'node:crypto';
import type { KubeConfig } from '@kubernetes/client-node';
import { API_VERSION, FIELD_MANAGER, GROUP, KIND } from './api/index.ts';
import { Autoscaler, scaleClient } from './autoscale/index.ts';
import type { OperatorConfig } from './config.ts';
import { Cache } from './reconcile/watch/cache.ts';
import { PlatformMetrics } from './reconcile/metrics.ts';
import { Planner } from './reconcile/plan/planner.ts';
import { Reconciler } from './reconcile/reconciler.ts';
import { SecretWatch } from './reconcile/watch/secret-watch.ts';
import { StatusWriter } from './reconcile/status/status-writer.ts';
import { TopicKeeper } from './reconcile/topics/topics.ts';
import {
  Applier,
  Controller,
  EventRecorder,
  HealthServer,
  keyOf,
  KubeClient,
  LeaderElector,
  Metrics,
  systemClock,
  WorkQueue,
} from './runtime/index.ts';
import type { Logger, Shutdown } from './runtime/index.ts';

const LEASE = 'bss-operator';
/** Limit for the first lists of the caches. */
const SYNC_TIMEOUT_MS = 120_000;
/** Interval for comparing the figures of consumer groups with those in status. */
const FIGURES_MS = 10_000;
/** Platforms reconciled concurrently. */
const WORKERS = 8;

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

  await requireDefinition(client);
  const cache = await Cache.create({ client, metrics, logger });
  const queue = new WorkQueue({ name: 'platforms', metrics });
  cache.onChange((key) => queue.add(key));
  cache.start();
  shutdown.add('caches', () => cache.stop());
  await cache.waitForSync(SYNC_TIMEOUT_MS);
  ready = true;

  const identity = `${config.podName}_${randomBytes(4).toString('hex')}`;
  const elector = new LeaderElector({ client, metrics, logger, namespace: config.namespace, name: LEASE, identity });
  elector.start();
  shutdown.add('leader election', () => elector.stop());
  elector.lost.addEventListener('abort', () => void shutdown.begin('lost the lease', 1));
  await elector.waitForLeadership();
  lead({ config, client: client.fenced(elector.fence), cache, queue, metrics, health, logger, shutdown });
}

interface Leading {
  config: OperatorConfig;
  client: KubeClient;
  cache: Cache;
  queue: WorkQueue;
  metrics: Metrics;
  health: HealthServer;
  logger: Logger;
  shutdown: Shutdown;
}

/** Starts everything that writes. */
function lead({ config, client, cache, queue, metrics, health, logger, shutdown }: Leading): void {
  const clock = systemClock;
  const recorder = new EventRecorder({ client, component: `${GROUP}/operator`, instance: config.podName, metrics, logger });
  shutdown.add('events', () => recorder.stop());
  const record = (key: string, type: 'Normal' | 'Warning', reason: string, message: string) => {
    const platform = cache.platforms.store.get(key);
    if (platform !== undefined) recorder.record(platform, { type, reason, message });
  };
  const autoscaler = new Autoscaler({
    scale: scaleClient(client.raw),
    onChange: (key) => queue.add(key),
    onEvent: (key, { type, reason, message }) => record(key, type, reason, message),
    log: (level, message, fields) => logger[level](fields, message),
  });
  // `bss explain-scaling` reads /scaling/<namespace>/<platform>. Only the leader has it.
  health.addPage('scaling', ([namespace = '', name = '']) => autoscaler.recording(keyOf({ namespace, name })));
  const platformMetrics = new PlatformMetrics(metrics, autoscaler, () => cache.platforms.store.keys());
  const topics = new TopicKeeper({
    clock,
    logger,
    onChange: (key) => queue.add(key),
    onEvent: (key, message) => record(key, 'Normal', 'TopicsChanged', message),
  });
  const secrets = new SecretWatch({ client, metrics, logger, onChange: (key) => queue.add(key) });
  shutdown.add('Secret watch', () => secrets.stop());
  const reconciler = new Reconciler({
    cache,
    client,
    applier: new Applier({ client, fieldManager: FIELD_MANAGER, metrics }),
    recorder,
    autoscaler,
    topics,
    secrets,
    planner: new Planner(config.namespace),
    status: new StatusWriter((key, isReady) => platformMetrics.setReady(key, isReady)),
    clock,
    operatorNamespace: config.namespace,
  });
  const controller = new Controller({ name: 'platform', queue, reconcile: reconciler.reconcile, metrics, logger, workers: WORKERS });
  autoscaler.start();
  shutdown.add('autoscaler', () => autoscaler.stop());
  const figures = setInterval(() => {
    for (const key of cache.platforms.store.keys()) if (reconciler.figuresMoved(key)) queue.add(key);
  }, FIGURES_MS);
  shutdown.add('figures', () => clearInterval(figures));
  controller.start();
  shutdown.add('controller', () => controller.stop());
}

/** A missing CRD is the most common mistake of a manual installation: one clear message instead of a failing watch. */
async function requireDefinition(client: KubeClient): Promise<void> {
  if (await client.serves({ apiVersion: API_VERSION, kind: KIND })) return;
  throw new Error(
    `the cluster does not serve ${API_VERSION} ${KIND}: install the CustomResourceDefinition (bss crd | kubectl apply --server-side -f -), then restart the operator`,
  );
}
