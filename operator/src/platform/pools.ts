/** How the client connections that PgBouncer accepts are divided among the replicas that use them. */
import type { ComponentDefinition, DatabaseUse } from './definition.ts';
import type { BssPlatformSpec } from './spec.ts';

export interface DatabasePools {
  /** Connections that one replica may open, by role. */
  sizes: Record<string, number>;
  /** Connections that all replicas together may open, with as many replicas as the spec allows. */
  demanded: number;
  /** Connections that the poolers accept, less what the exporter and an administrator need. */
  available: number;
}

/** Connections for the exporter and for an administrator with psql. */
const SPARE_PER_POOLER = 5;

interface Demand {
  role: string;
  /** The size that the spec sets. */
  size: number | undefined;
  most: number;
  replicas: number;
}

function demand(spec: BssPlatformSpec, { present }: ComponentDefinition, { role, pool }: DatabaseUse): Demand {
  return { role, size: pool.size(spec), most: pool.most, replicas: (present?.(spec) ?? true) ? pool.replicas(spec) : 0 };
}

/** Sizes by the spec; where it sets none, an equal share of what is left, at least 1. */
export function databasePools(spec: BssPlatformSpec, definitions: readonly ComponentDefinition[]): DatabasePools {
  const demands = definitions.flatMap((definition) => (definition.database ? [demand(spec, definition, definition.database)] : []));
  const available = spec.pgbouncer.replicas * (spec.pgbouncer.maxClientConnections - SPARE_PER_POOLER);
  const fixed = sum(demands.map(({ size, replicas }) => (size ?? 0) * replicas));
  const free = sum(demands.map(({ size, most, replicas }) => (size === undefined ? most * replicas : 0)));
  const share = free === 0 ? 1 : Math.min(1, Math.max(0, available - fixed) / free);
  const sizes = Object.fromEntries(demands.map(({ role, size, most }) => [role, size ?? Math.max(1, Math.floor(most * share))]));
  return { sizes, demanded: sum(demands.map(({ role, replicas }) => (sizes[role] ?? 0) * replicas)), available };
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
