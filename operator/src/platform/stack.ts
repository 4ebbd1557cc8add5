/** The monitoring stack of a platform: which of its parts there are, and what they share. */
import { durationMs } from '../api/index.ts';
import { nameOf } from './names.ts';
import { mebibytes, type Resources } from './pods.ts';
import { hasPrometheus } from './scraping.ts';
import type { BssPlatformSpec } from './spec.ts';
import type { PlatformInput } from './types.ts';

/** Ports of OTLP, as its specification assigns them. */
export const OTLP_HTTP_PORT = 4318;
export const OTLP_GRPC_PORT = 4317;

/** In mode existing the cluster has a monitoring stack of its own. */
const isManaged = ({ observability }: BssPlatformSpec): boolean => observability.mode === 'managed';

export const hasLoki = (spec: BssPlatformSpec): boolean => isManaged(spec) && spec.loki.enabled;
export const hasTempo = (spec: BssPlatformSpec): boolean => isManaged(spec) && spec.tempo.enabled;
export const hasJaeger = (spec: BssPlatformSpec): boolean => isManaged(spec) && spec.jaeger.enabled;
/** Without a store for traces there is nothing to collect them for. */
export const hasCollector = (spec: BssPlatformSpec): boolean => spec.collector.enabled && (hasTempo(spec) || hasJaeger(spec));
export const hasLogAgent = (spec: BssPlatformSpec): boolean => spec.logAgent.enabled && hasLoki(spec);
/** Only Prometheus reads it. */
export const hasNodeExporter = (spec: BssPlatformSpec): boolean => spec.nodeExporter.enabled && hasPrometheus(spec);

/** Where workloads send their traces: an OTLP/HTTP base URL; undefined: nowhere. */
export function traceEndpoint(platform: Pick<PlatformInput, 'name' | 'namespace' | 'spec'>): string | undefined {
  const { spec } = platform;
  return spec.telemetry.otlpEndpoint ?? (hasCollector(spec) ? `http://${nameOf(platform, 'collector')}:${OTLP_HTTP_PORT}` : undefined);
}

/** Percentage of new traces outside production, and where the Collector samples. */
const ALL = 100;
const PRODUCTION_PERCENT = 10;

/**
 * Percentage of new traces that workloads record. The Collector keeps every trace with an error, which it can only if workloads record them all:
 * it decides when a trace is complete.
 */
export function samplePercent(spec: BssPlatformSpec): number {
  const { otlpEndpoint, samplePercent: given } = spec.telemetry;
  const isSampledLater = otlpEndpoint === undefined && hasCollector(spec);
  return given ?? (spec.profile === 'production' && !isSampledLater ? PRODUCTION_PERCENT : ALL);
}

/** A duration of the spec as Go programs read it. */
export function goDuration(text: string): string {
  return `${durationMs(text) / 1000}s`;
}

/** The metrics of a program that is built on the OpenTelemetry Collector, for Prometheus. */
export function collectorTelemetry(port: number) {
  const prometheus = { host: '0.0.0.0', port, without_scope_info: true };
  return { metrics: { level: 'normal', readers: [{ pull: { exporter: { prometheus } } }] } };
}

/** Refuses data before the container exceeds its memory limit: senders retry, and nothing that is in memory is lost. */
export function memoryLimiter({ limits }: Resources) {
  const limit =
    limits.memory === undefined
      ? { limit_percentage: 80, spike_limit_percentage: 20 }
      : { limit_mib: Math.floor(mebibytes(limits.memory) * 0.8), spike_limit_mib: Math.floor(mebibytes(limits.memory) * 0.2) };
  return { check_interval: '1s', ...limit };
}
