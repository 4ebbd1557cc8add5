/** How the client connections of PgBouncer are shared out among the replicas that use them. */
import type { BssPlatformSpec } from './spec.ts';

/** Connections that one replica may open, by workload; and the sums that they must stay within. */
export interface DatabasePools {
  ledger: number;
  interest: number;
  /** Connections that all replicas together may open, at most replicas. */
  demanded: number;
  /** Connections that the poolers accept, less what the exporter and an administrator need. */
  available: number;
}

/** More would only wait in PgBouncer for a server connection. */
const MOST_PER_REPLICA = { ledger: 10, interest: 4 };
/** For the exporter and for a person with psql. */
const SPARE_PER_POOLER = 5;

/** Sizes by the spec, or, where it is silent, an even share of what is left, at least 1. */
export function databasePools(spec: BssPlatformSpec): DatabasePools {
  const { ledger, interest } = spec.workloads;
  const replicas = {
    ledger: ledger.enabled ? ledger.replicas : 0,
    interest: interest.enabled ? mostReplicas(interest) : 0,
  };
  const available = spec.pgbouncer.replicas * (spec.pgbouncer.maxClientConnections - SPARE_PER_POOLER);
  const wish = { ledger: ledger.databasePool ?? MOST_PER_REPLICA.ledger, interest: interest.databasePool ?? MOST_PER_REPLICA.interest };
  const fixed = (ledger.databasePool ?? 0) * replicas.ledger + (interest.databasePool ?? 0) * replicas.interest;
  const free =
    (ledger.databasePool === undefined ? wish.ledger * replicas.ledger : 0) +
    (interest.databasePool === undefined ? wish.interest * replicas.interest : 0);
  const share = free === 0 ? 1 : Math.min(1, Math.max(0, available - fixed) / free);
  const size = (given: number | undefined, most: number) => given ?? Math.max(1, Math.floor(most * share));
  const pools = { ledger: size(ledger.databasePool, wish.ledger), interest: size(interest.databasePool, wish.interest) };
  return { ...pools, demanded: pools.ledger * replicas.ledger + pools.interest * replicas.interest, available };
}

function mostReplicas(interest: BssPlatformSpec['workloads']['interest']): number {
  return interest.autoscaling.mode === 'fixed' ? (interest.replicas ?? interest.autoscaling.minReplicas) : interest.autoscaling.maxReplicas;
}
