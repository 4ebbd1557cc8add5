/** What is legal in a spec, but unwise: told in status, never refused. */
import { databasePools } from './pools.ts';
import { quantityValue } from './rules.ts';
import type { BssPlatformSpec } from './spec.ts';
import { INTEREST_TOPIC } from './topics.ts';

export interface Advice {
  /** Path of the field, such as `spec.workloads.interest.autoscaling.maxReplicas`. */
  path: string;
  message: string;
}

type Check = (spec: BssPlatformSpec) => Advice | undefined;

const idleReplicas: Check = ({ topics, workloads: { interest } }) => {
  const partitions = topics.find((topic) => topic.name === INTEREST_TOPIC)?.partitions ?? 0;
  const fixed = interest.autoscaling.mode === 'fixed';
  const replicas = fixed ? (interest.replicas ?? interest.autoscaling.minReplicas) : interest.autoscaling.maxReplicas;
  if (!interest.enabled || replicas <= partitions) return undefined;
  return {
    path: fixed ? 'spec.workloads.interest.replicas' : 'spec.workloads.interest.autoscaling.maxReplicas',
    message: `${replicas} consumers for ${partitions} partitions of ${INTEREST_TOPIC}: ${replicas - partitions} would be idle; lower it, or raise the partitions under spec.topics`,
  };
};

const tooManyClients: Check = (spec) => {
  const { demanded, available } = databasePools(spec);
  if (demanded <= available) return undefined;
  return {
    path: 'spec.pgbouncer.maxClientConnections',
    message: `the workloads may open ${demanded} connections, and PgBouncer accepts ${available} from them; raise maxClientConnections, or lower databasePool or the replicas`,
  };
};

/** Roles with pools of their own in each pooler: ledger and interest. */
const POOLED_ROLES = 2;

const tooManyServerConnections: Check = ({ pgbouncer, postgres }) => {
  if (!postgres.managed) return undefined;
  const most = pgbouncer.replicas * POOLED_ROLES * (pgbouncer.defaultPoolSize + pgbouncer.reservePoolSize);
  if (most <= postgres.managed.maxConnections - 10) return undefined;
  return {
    path: 'spec.postgres.managed.maxConnections',
    message: `the poolers may open ${most} connections, and the server accepts ${postgres.managed.maxConnections} (10 of them kept for administration); raise maxConnections or lower the pool sizes`,
  };
};

const retentionAboveDisk: Check = ({ prometheus }) => {
  if (!prometheus.enabled || quantityValue(prometheus.retentionSize) < quantityValue(prometheus.storage.size)) return undefined;
  return {
    path: 'spec.prometheus.retentionSize',
    message: `retentionSize ${prometheus.retentionSize} is not below the volume's ${prometheus.storage.size}: the disk fills before old samples go; lower it or raise storage.size`,
  };
};

const heapAboveLimit: Check = ({ kafka }) => {
  const limit = kafka.managed?.resources.limits.memory;
  if (!kafka.managed || limit === undefined || quantityValue(kafka.managed.heap) * 1.25 <= quantityValue(limit)) return undefined;
  return {
    path: 'spec.kafka.managed.heap',
    message: `a heap of ${kafka.managed.heap} leaves too little of the memory limit ${limit} for the rest of the broker: keep the heap below 80 % of it`,
  };
};

const cacheAboveLimit: Check = ({ redis }) => {
  const limit = redis.managed?.resources.limits.memory;
  if (!redis.enabled || !redis.managed || limit === undefined || quantityValue(redis.managed.maxMemory) * 1.25 <= quantityValue(limit))
    return undefined;
  return {
    path: 'spec.redis.managed.maxMemory',
    message: `maxMemory ${redis.managed.maxMemory} leaves too little of the memory limit ${limit}: keep it below 80 % of it`,
  };
};

const seedInProduction: Check = ({ profile, workloads: { gateway } }) =>
  profile === 'production' && gateway.enabled && gateway.debugSeed.enabled
    ? {
        path: 'spec.workloads.gateway.debugSeed.enabled',
        message: 'the seed endpoint is open in the production profile: turn it off unless this is a load test',
      }
    : undefined;

const checks: Check[] = [
  idleReplicas,
  tooManyClients,
  tooManyServerConnections,
  retentionAboveDisk,
  heapAboveLimit,
  cacheAboveLimit,
  seedInProduction,
];

/** Warnings about a spec, in a fixed order. Empty for a spec that nothing is to be said about. */
export function adviseSpec(spec: BssPlatformSpec): Advice[] {
  return checks.map((check) => check(spec)).filter((advice) => advice !== undefined);
}
