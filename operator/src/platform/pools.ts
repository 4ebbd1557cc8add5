/**
 * How the client connections that PgBouncer accepts are divided among the replicas that use them, and the connections of the server among the
 * databases. Pure.
 */
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
  database: string;
  /** The size that the spec sets. */
  size: number | undefined;
  most: number;
  replicas: number;
  /** Connections of one replica past the poolers. */
  direct: number;
}

function demand(spec: BssPlatformSpec, { present }: ComponentDefinition, { name, role, pool, direct = 0 }: DatabaseUse): Demand {
  const replicas = (present?.(spec) ?? true) ? pool.replicas(spec) : 0;
  return { role, database: name, size: pool.size(spec), most: pool.most, replicas, direct };
}

function demandsOf(spec: BssPlatformSpec, definitions: readonly ComponentDefinition[]): Demand[] {
  return definitions.flatMap((definition) => (definition.database ? [demand(spec, definition, definition.database)] : []));
}

/** Sizes by the spec; where it sets none, an equal share of what is left, at least 1. */
export function databasePools(spec: BssPlatformSpec, definitions: readonly ComponentDefinition[]): DatabasePools {
  const demands = demandsOf(spec, definitions);
  const available = spec.pgbouncer.replicas * (spec.pgbouncer.maxClientConnections - SPARE_PER_POOLER);
  const fixed = sum(demands.map(({ size, replicas }) => (size ?? 0) * replicas));
  const free = sum(demands.map(({ size, most, replicas }) => (size === undefined ? most * replicas : 0)));
  const share = free === 0 ? 1 : Math.min(1, Math.max(0, available - fixed) / free);
  const sizes = Object.fromEntries(demands.map(({ role, size, most }) => [role, size ?? Math.max(1, Math.floor(most * share))]));
  return { sizes, demanded: sum(demands.map(({ role, replicas }) => (sizes[role] ?? 0) * replicas)), available };
}

/** Connections of the server that are left to the exporter, PgHero, the migration and an administrator. */
const SPARE_OF_SERVER = 10;

export interface ServerConnections {
  /** Connections to the server that the roles may use together, over all poolers. */
  demanded: number;
  /** Connections that the managed server accepts, less the spare ones and those that go past the poolers; undefined for an external server. */
  available: number | undefined;
  /**
   * Connections of one pooler to each database at most, by database. Absent where the demand fits, or where the limit of the server is not known:
   * a role then never has more connections to the server than to the poolers, or than its pools.
   */
  limits: Record<string, number>;
}

/** A role uses a server connection for each of its clients at most, and no more than its pools; each pooler keeps the least number open. */
function serverDemand({ pgbouncer }: BssPlatformSpec, clients: number): number {
  if (clients === 0) return 0;
  const most = pgbouncer.replicas * (pgbouncer.defaultPoolSize + pgbouncer.reservePoolSize);
  return Math.min(most, Math.max(clients, pgbouncer.replicas * pgbouncer.minPoolSize));
}

/**
 * The demand follows from the replicas of each role. Beyond what the server accepts, each database gets a share of it in proportion to its demand, at
 * least one connection for each of its roles: clients then wait in PgBouncer, and the server refuses none.
 */
export function serverConnections(spec: BssPlatformSpec, definitions: readonly ComponentDefinition[]): ServerConnections {
  const { sizes } = databasePools(spec, definitions);
  const demands = demandsOf(spec, definitions);
  const past = sum(demands.map(({ replicas, direct }) => replicas * direct));
  const byRole = demands.map(({ role, database, replicas }) => ({
    database,
    connections: serverDemand(spec, (sizes[role] ?? 0) * replicas),
  }));
  const demanded = sum(byRole.map(({ connections }) => connections));
  const available = spec.postgres.managed && spec.postgres.managed.maxConnections - SPARE_OF_SERVER - past;
  if (available === undefined || demanded <= available) return { demanded, available, limits: {} };
  const used = Map.groupBy(
    byRole.filter(({ connections }) => connections > 0),
    ({ database }) => database,
  );
  const shares = [...used].map(([database, roles]) => ({
    database,
    least: roles.length,
    share: (available * sum(roles.map(({ connections }) => connections))) / demanded / spec.pgbouncer.replicas,
  }));
  return { demanded, available, limits: wholeShares(shares, Math.floor(available / spec.pgbouncer.replicas)) };
}

interface Share {
  database: string;
  /** Connections at least. */
  least: number;
  share: number;
}

/** Shares as whole numbers that make up the budget, unless the least ones alone exceed it: what rounding leaves goes to the largest fractions. */
function wholeShares(shares: Share[], budget: number): Record<string, number> {
  const whole = new Map(shares.map(({ database, least, share }) => [database, Math.max(least, Math.floor(share))]));
  let left = budget - sum([...whole.values()]);
  const add = (database: string, count: number): void => {
    whole.set(database, (whole.get(database) ?? 0) + count);
    left -= count;
  };
  for (const { database } of shares.toSorted((a, b) => (b.share % 1) - (a.share % 1))) if (left > 0) add(database, 1);
  while (left < 0) {
    const [largest] = shares
      .filter(({ database, least }) => (whole.get(database) ?? 0) > least)
      .toSorted((a, b) => (whole.get(b.database) ?? 0) - (whole.get(a.database) ?? 0));
    if (largest === undefined) break;
    add(largest.database, -1);
  }
  return Object.fromEntries(whole);
}

function sum(numbers: number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
