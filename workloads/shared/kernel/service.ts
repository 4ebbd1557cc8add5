import type { z } from 'zod';
import { baseEnv, ConfigError, EXIT_CONFIG, loadConfig } from './config.ts';
import { Health, startOpsServer } from './health.ts';
import { createLogger } from './log.ts';
import type { Logger } from './log.ts';
import { Metrics } from './metrics.ts';
import { startTelemetry } from './telemetry.ts';
import type { TelemetryOptions } from './telemetry.ts';

/** Exit code when a part failed that the process cannot do without (sysexits.h EX_SOFTWARE). */
const EXIT_FAILED = 70;
/** Exit code of a job that SIGTERM stopped (128 + 15): Kubernetes must not count it as complete. */
const EXIT_TERMINATED = 143;
/** Kubernetes kills the process after 30 s. */
const DRAIN_LIMIT_MS = 25_000;
export const VERSION = '0.1.0';

type BaseConfig = z.output<z.ZodObject<typeof baseEnv>>;

/** The parts of a running process that its components register with. */
export interface ServiceParts {
  log: Logger;
  metrics: Metrics;
  health: Health;
  /** Registers a step of the drain; steps run in reverse order of registration. */
  onStop: (name: string, step: () => Promise<unknown>) => void;
  /** Ends the process with a log record and a non-zero exit code, so that it is restarted. */
  fail: (message: string, error: unknown) => void;
}

/** What the composition root of a process gets. */
export interface Service<T extends z.ZodRawShape> extends ServiceParts {
  config: z.output<z.ZodObject<T>> & BaseConfig;
}

/**
 * Runs one service: configuration, logs, metrics, tracing, health, drain on SIGTERM.
 * Exit codes: 0 after a drain, 78 for an invalid configuration, 70 when a part failed for good.
 * @param name the service's name in logs, metrics and traces unless OTEL_SERVICE_NAME gives another one
 * @param shape zod fields of the service's own environment variables
 * @param start builds and starts the parts
 */
export function runService<T extends z.ZodRawShape>(name: string, shape: T, start: (service: Service<T>) => Promise<void>): Promise<void> {
  return runProcess(name, shape, async (service, lifecycle) => {
    await start(service);
    lifecycle.started = true;
    service.log.info({ version: VERSION }, 'started');
  });
}

/**
 * Runs one job, which ends when its work is done. Everything else is as for {@link runService}.
 * Exit codes: 0 when the work is done, 143 when SIGTERM came first, 78 for an invalid configuration, 70 when the work failed.
 */
export function runJob<T extends z.ZodRawShape>(name: string, shape: T, work: (service: Service<T>) => Promise<void>): Promise<void> {
  return runProcess(name, shape, async (service, lifecycle) => {
    lifecycle.exitCode = EXIT_TERMINATED;
    await work(service);
    await lifecycle.stop('done', 0);
  });
}

async function runProcess<T extends z.ZodRawShape>(
  name: string,
  shape: T,
  run: (service: Service<T>, lifecycle: Lifecycle) => Promise<void>,
): Promise<void> {
  const config: Service<T>['config'] = { ...configOrExit(baseEnv), ...configOrExit(shape) };
  const service = config.OTEL_SERVICE_NAME ?? name;
  const log = createLogger({ service, platform: config.PLATFORM, namespace: config.NAMESPACE, pod: config.POD_NAME }, config.LOG_LEVEL);
  const metrics = new Metrics({ service, platform: config.PLATFORM });
  const health = new Health();
  const lifecycle = new Lifecycle(log);
  health.addReadiness('lifecycle', () => lifecycle.notReady());
  lifecycle.onStop('traces', startTelemetry(telemetryOf(service, config), metrics, log));
  lifecycle.watchProcess();
  try {
    const ops = await startOpsServer(config.METRICS_PORT, health, metrics);
    lifecycle.onStop('health server', async () => ops.close());
    const onStop: ServiceParts['onStop'] = (step, stop) => lifecycle.onStop(step, stop);
    await run({ config, log, metrics, health, onStop, fail: (message, error) => lifecycle.fail(message, error) }, lifecycle);
  } catch (error) {
    // What a variable names may be invalid too, such as a file.
    if (error instanceof ConfigError) exitForConfig(error);
    lifecycle.fail(lifecycle.started ? 'failed' : 'start failed', error);
  }
}

function telemetryOf(serviceName: string, config: BaseConfig): TelemetryOptions {
  return {
    serviceName,
    version: VERSION,
    resource: { 'k8s.namespace.name': config.NAMESPACE, 'k8s.pod.name': config.POD_NAME, 'bss.platform': config.PLATFORM },
    ratio: config.OTEL_TRACES_SAMPLER_ARG,
    endpoint: config.OTEL_EXPORTER_OTLP_ENDPOINT,
  };
}

function configOrExit<T extends z.ZodRawShape>(shape: T): z.output<z.ZodObject<T>> {
  try {
    return loadConfig(shape);
  } catch (error) {
    return exitForConfig(error);
  }
}

function exitForConfig(error: unknown): never {
  if (!(error instanceof ConfigError)) throw error;
  process.stderr.write(`${error.message}\n`);
  return process.exit(EXIT_CONFIG);
}

/** Start, drain and failure of the process. */
class Lifecycle {
  started = false;
  /** Of a process that a signal stops. */
  exitCode = 0;
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
    // Node prints warnings as plain text; here they are log records.
    process.removeAllListeners('warning');
    process.on('warning', (warning) => this.#log.warn({ error: warning }, 'runtime warning'));
    process.on('uncaughtException', (error) => this.fail('uncaught exception', error));
    process.on('unhandledRejection', (error) => this.fail('unhandled rejection', error));
  }

  stop(reason: string, exitCode = this.exitCode): Promise<void> {
    this.#stopping ??= this.#drain(reason, exitCode);
    return this.#stopping;
  }

  async #drain(reason: string, exitCode: number): Promise<void> {
    this.#log.info({ reason }, 'draining');
    const limit = setTimeout(() => this.fail('the drain exceeded its limit', new Error(`after ${DRAIN_LIMIT_MS} ms`)), DRAIN_LIMIT_MS);
    for (const { name, run } of this.#steps) {
      await run().catch((error: unknown) => this.#log.warn({ error, step: name }, 'drain step failed'));
    }
    clearTimeout(limit);
    this.#log.info({ reason }, 'stopped');
    process.exit(exitCode);
  }

  fail(message: string, error: unknown): void {
    this.#log.fatal({ error }, message);
    process.exit(EXIT_FAILED);
  }
}
