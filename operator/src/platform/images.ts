import type { BssPlatformSpec } from '../api/index.ts';

/**
 * Programs of third parties that this version of the operator is tested with. `local/src/build/versions.integration.test.ts` asks each program of the
 * local images for its version.
 */
const TESTED = {
  kafka: 'apache/kafka:4.3.1',
  postgres: 'postgres:17',
  pgbouncer: 'edoburu/pgbouncer:v1.24.1-p1',
  redis: 'redis:8',
  prometheus: 'prom/prometheus:v2.53.3',
  postgresExporter: 'prometheuscommunity/postgres-exporter:v0.17.1',
  pgbouncerExporter: 'prometheuscommunity/pgbouncer-exporter:v0.10.2',
  redisExporter: 'oliver006/redis_exporter:v1.69.0',
} as const;

export type ImageName = keyof typeof TESTED | 'workloads';

/** Image of a program: the user's, or the one that belongs to the version. */
export function imageOf(spec: BssPlatformSpec, name: ImageName): string {
  return spec.images[name] ?? (name === 'workloads' ? `bss-platform/workloads:${spec.version}` : TESTED[name]);
}
