import type { z } from 'zod';
import { baseEnv, ConfigError, EXIT_CONFIG, loadConfig } from './config.ts';
import { Health, startOpsServer } from './health.ts';
import { createLogger } from './log.ts';
import type { Logger } from './log.ts';
import { Metrics } from './metrics.ts';
import { startTelemetry } from './telemetry.ts';

/** Exit code when a part failed that the process cannot go on without (sysexits.h EX_SOFTWARE). */
const EXIT_FAILED = 70;
/** Kubernetes kills after 30 s; what has not drained by then would be cut off anyway. */
const DRAIN_LIMIT_MS = 25_000;
export const VERSION = '0.1.0';

type BaseConfig = z.output<z.ZodObject<typeof baseEnv>>;

/** What a service's composition root is given. */
export interface Service<T extends z.ZodRawShape> {
  config: z.output<z.ZodObject<T>> & BaseConfig;
  log: Logger;
  metrics: Metrics;
  health: Health;
  /** Registers a step of the drain; steps run in reverse order of registration. */
  onStop: (name: string, step: () => Promise<unknown>) => void;
  /** Ends the process with a clear log and a non-zero code, so that it is restarted. */
  fail: (message: string, error: unknown) => void;
  /** Starts the drain, as SIGTERM does; resolves when the process is about to exit. */
  stop: (reason: string) => Promise<void>;
}

/**
 * Runs one workload: configuration, logs, metrics, tracing, health, drain on SIGTERM.
 * Exit codes: 0 after a drain (or when `start` returns "done"), 78 for a wrong configuration, 70 when a part failed for good.
 * @param name the service's name in logs, metrics and traces unless OTEL_SERVICE_NAME says otherwise
 * @param shape zod fields of the service's own environment variables
 * @param start builds and starts the parts; "done" ends the process
 */
export async function runService<T extends z.ZodRawShape>(
  name: string,
  shape: T,
  start: (service: Service<T>) => Promise<'done' | void>,
): Promise<void> {
  const config: Service<T>['config'] = { ...configOrExit(baseEnv), ...configOrExit(shape) };
  const serviceName = config.OTEL_SERVICE_NAME ?? name;
  const identity = { service: serviceName, platform: config.PLATFORM, namespace: config.NAMESPACE, pod: config.POD_NAME };
  const log = createLogger(identity, config.LOG_LEVEL);
  const metrics = new Metrics({ service: serviceName, platform: config.PLATFORM });
  const health = new Health();
  const lifecycle = new Lifecycle(log);
  health.addReadiness('lifecycle', () => lifecycle.notReady());
  lifecycle.onStop(
    'traces',
    startTelemetry(
      {
        serviceName,
        version: VERSION,
        resource: { 'k8s.namespace.name': config.NAMESPACE, 'k8s.pod.name': config.POD_NAME, 'bss.platform': config.PLATFORM },
        ratio: config.OTEL_TRACES_SAMPLER_ARG,
        endpoint: config.OTEL_EXPORTER_OTLP_ENDPOINT,
      },
      metrics,
    ),
  );
  lifecycle.watchProcess();
  try {
    const ops = await startOpsServer(config.METRICS_PORT, health, metrics);
    lifecycle.onStop('health server', async () => ops.close());
    const outcome = await start({
      config,
      log,
      metrics,
      health,
      onStop: (step, run) => lifecycle.onStop(step, run),
      fail: (message, error) => lifecycle.fail(message, error),
      stop: (reason) => lifecycle.stop(reason),
    });
    lifecycle.started = true;
    log.info({ version: VERSION }, 'started');
    if (outcome === 'done') await lifecycle.stop('done');
  } catch (error) {
    lifecycle.fail('start failed', error);
  }
}

function configOrExit<T extends z.ZodRawShape>(shape: T): z.output<z.ZodObject<T>> {
  try {
    return loadConfig(shape);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${error.message}\n`);
    return process.exit(EXIT_CONFIG);
  }
}

/** Start, drain and failure of the process. */
class Lifecycle {
  started = false;
  #stopping: Promise<void> | undefined;
  readonly #steps: { name: string; run: () => Promise<unknown> }[] = [];
  readonly #log: Logger;

  constructor(log: Logger) {
    this.#log = log;
  }

  notReady(): string | undefined {
    if (this.#stopping) return 'draining';
    return this.started ? undefined : 'starting';
  }

  onStop(name: string, run: () => Promise<unknown>): void {
    this.#steps.unshift({ name, run });
  }

  watchProcess(): void {
    process.on('SIGTERM', () => void this.stop('SIGTERM'));
    process.on('SIGINT', () => void this.stop('SIGINT'));
    // Node prints warnings as plain text; here they are log records. The one left out comes from the Kafka client: a computed pause
    // below zero, which Node takes as 1 ms.
    process.removeAllListeners('warning');
    process.on('warning', (warning) => {
      if (warning.name !== 'TimeoutNegativeWarning') this.#log.warn({ error: warning }, 'runtime warning');
    });
    process.on('uncaughtException', (error) => this.fail('uncaught exception', error));
    process.on('unhandledRejection', (error) => this.fail('unhandled rejection', error));
  }

  stop(reason: string): Promise<void> {
    this.#stopping ??= this.#drain(reason);
    return this.#stopping;
  }

  async #drain(reason: string): Promise<void> {
    this.#log.info({ reason }, 'draining');
    const limit = setTimeout(() => this.fail('drain did not finish in time', new Error(`after ${DRAIN_LIMIT_MS} ms`)), DRAIN_LIMIT_MS);
    for (const { name, run } of this.#steps) {
      await run().catch((error: unknown) => this.#log.warn({ error, step: name }, 'drain step failed'));
    }
    clearTimeout(limit);
    this.#log.info({ reason }, 'stopped');
    process.exit(0);
  }

  fail(message: string, error: unknown): void {
    this.#log.fatal({ error }, message);
    process.exit(EXIT_FAILED);
  }
}
