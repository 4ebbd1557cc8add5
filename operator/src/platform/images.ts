import type { BssPlatformSpec } from '../api/index.ts';

/** Programs of third parties that this version of the operator is tested with. */
const TESTED = {
  kafka: 'apache/kafka:4.3.1',
  postgres: 'postgres:17',
  pgbouncer: 'edoburu/pgbouncer:v1.24.1-p1',
  redis: 'redis:8',
  prometheus: 'prom/prometheus:v3.5.0',
  postgresExporter: 'prometheuscommunity/postgres-exporter:v0.18.1',
  pgbouncerExporter: 'prometheuscommunity/pgbouncer-exporter:v0.11.0',
  redisExporter: 'oliver006/redis_exporter:v1.74.0',
} as const;

export type ImageName = keyof typeof TESTED | 'workloads';

/** Image of a program: the user's, or the one that belongs to the version. */
export function imageOf(spec: BssPlatformSpec, name: ImageName): string {
  return spec.images[name] ?? (name === 'workloads' ? `bss-platform/workloads:${spec.version}` : TESTED[name]);
}
