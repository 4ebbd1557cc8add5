/** Customers, catalogue, orders, invoices and payments. */
import { z } from 'zod';
import { piece } from '../../api/piece.ts';
import { amounts } from '../../api/profiles.ts';
import { rule } from '../../api/rules.ts';
import { acceptedKeys, callerOf, type CalledService } from '../api-keys.ts';
import type { BuildInput, ComponentDefinition } from '../definition.ts';
import { follows, hasAccounts, hasCrm, hasOrchestrator } from '../event-path.ts';
import { loginOf } from '../logins.ts';
import { addressOf } from '../names.ts';
import { disruptionBudget, service } from '../parts.ts';
import { fromSecret, value, type Requirements } from '../pods.ts';
import type { BssPlatformSpec } from '../spec.ts';
import type { Advice, PlatformInput } from '../types.ts';
import { commonFields, databasePool, HTTP_PORT, METRICS_PORT, replicas, workload, workloadConnections } from '../workload.ts';
import { ACCOUNTS } from './accounts.ts';
import { kafkaClient } from './kafka.ts';
import { ORCHESTRATOR } from './orchestrator.ts';
import { databaseClient } from './pgbouncer.ts';
import { postgresAccess, postgresUrl } from './postgres.ts';
import { redisAccess } from './redis.ts';

export const CRM_ROLE = 'crm';
const CHANGE_TOPIC = 'crm.change.v1';

const seed = z
  .strictObject({
    enabled: z
      .boolean()
      .default(false)
      .describe('Run a Job that fills the database once. It changes no row that it has not written, and deletes none. Not for production.'),
    customers: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(100_000)
      .describe('Number of customers, with their subscriptions, orders and invoices of a year. A higher number adds customers.'),
  })
  .prefault({})
  .describe('Generated customers of a telecom, for demonstrations and load tests.');

/** A line of an invoice's head; `|` divides lines in the variable. */
const line = (what: string, most: number) =>
  rule(z.string().min(1).max(most).describe(what), {
    cel: "!self.contains('|')",
    message: 'write a line without "|"',
    check: (text) => !text.includes('|'),
  });

const issuer = z
  .strictObject({
    name: line('Name of the company.', 100),
    address: z
      .array(line('A line.', 100))
      .min(1)
      .max(6)
      .meta({ 'x-kubernetes-list-type': 'atomic' })
      .describe('Lines of the postal address.'),
    taxId: line('Tax identification number.', 50),
    payment: z
      .array(line('A line.', 100))
      .min(1)
      .max(4)
      .meta({ 'x-kubernetes-list-type': 'atomic' })
      .describe('How to pay: lines with the bank and the account.'),
  })
  .describe('Who issues invoices. Without it they name an example company.');

const schema = z
  .strictObject({
    enabled: follows('crm', 'true where the gateway is enabled'),
    ...commonFields(),
    replicas,
    databasePool,
    retentionDays: z
      .int()
      .min(1)
      .max(36_500)
      .default(90)
      .describe('How long a deleted resource is kept, unreachable (CRM_RETENTION_DAYS).'),
    idempotencyHours: z
      .int()
      .min(1)
      .max(8760)
      .default(24)
      .describe('How long a repeated Idempotency-Key gets the first answer (IDEMPOTENCY_TTL_HOURS).'),
    invoiceIssuer: issuer.optional(),
    seed,
  })
  .prefault({})
  .describe(
    'Customers, catalogue, orders, invoices and payments. Payments are processed where the orchestrator and the accounts service run.',
  );

export const specPiece = piece('workloads.crm', schema, {
  profiles: {
    small: { resources: amounts('25m', '128Mi', '500m', '384Mi') },
    production: { replicas: 2, resources: amounts('250m', '256Mi', undefined, '768Mi') },
  },
  groupRules: [
    {
      cel: '!self.?crm.?enabled.orValue(false) || self.gateway.enabled',
      message: 'crm is reached through the gateway: set workloads.gateway.enabled to true, or workloads.crm.enabled to false',
      fieldPath: '.crm',
      check: ({ crm, gateway }) => !crm?.enabled || gateway?.enabled === true,
    },
  ],
});

const CRM_KEY = 'crm-api-key';

export const CRM: CalledService = { component: 'crm', key: CRM_KEY, prefix: 'CRM' };

/** The services that payments need. */
function services(spec: BssPlatformSpec): CalledService[] {
  return [...(hasOrchestrator(spec) ? [ORCHESTRATOR] : []), ...(hasAccounts(spec) ? [ACCOUNTS] : [])];
}

/** The cache in front of the database. Without it each process has a cache of its own. */
function cache(input: PlatformInput): Requirements {
  const redis = redisAccess(input);
  if (!redis) return { env: [], secrets: [] };
  const { url, password, authority } = redis;
  return {
    env: [
      value('REDIS_URL', url),
      ...(password ? [fromSecret('REDIS_PASSWORD', password.secretName, password.key)] : []),
      ...(authority ? [value('REDIS_CA_FILE', authority.path)] : []),
    ],
    secrets: [...(password ? [{ name: password.secretName, keys: [password.key] }] : []), ...(authority?.secrets ?? [])],
    volumes: authority?.volumes ?? [],
    mounts: authority?.mounts ?? {},
  };
}

/** LISTEN needs a session of its own, which PgBouncer gives to no client in transaction mode. */
function listener(input: BuildInput): Requirements {
  const { authority } = postgresAccess(input);
  return {
    env: [value('CACHE_LISTENER_URL', postgresUrl(input, loginOf(CRM_ROLE, input.slots.active), 'crm'))],
    secrets: authority?.secrets ?? [],
    volumes: authority?.volumes ?? [],
    mounts: authority?.mounts ?? {},
  };
}

type Crm = BssPlatformSpec['workloads']['crm'];

function issuerOf(given: Crm['invoiceIssuer']) {
  if (!given) return [];
  return [
    value('INVOICE_ISSUER_NAME', given.name),
    value('INVOICE_ISSUER_ADDRESS', given.address.join('|')),
    value('INVOICE_ISSUER_TAX_ID', given.taxId),
    value('INVOICE_ISSUER_PAYMENT', given.payment.join('|')),
  ];
}

function deployment(input: BuildInput) {
  const { crm } = input.spec.workloads;
  const parts: Requirements[] = [
    databaseClient(input, CRM_ROLE),
    listener(input),
    cache(input),
    kafkaClient(input),
    acceptedKeys(input, CRM_KEY),
    ...services(input.spec).map((one) => callerOf(input, one)),
  ];
  return workload(input, {
    name: 'crm',
    spec: crm,
    replicas: crm.replicas,
    env: [
      ...parts.flatMap(({ env }) => env),
      value('CRM_EVENT_TOPIC', CHANGE_TOPIC),
      value('CRM_RETENTION_DAYS', crm.retentionDays),
      value('IDEMPOTENCY_TTL_HOURS', crm.idempotencyHours),
      ...issuerOf(crm.invoiceIssuer),
    ],
    secrets: parts.flatMap(({ secrets }) => secrets),
    volumes: parts.flatMap(({ volumes = [] }) => volumes),
    mounts: Object.assign({}, ...parts.map(({ mounts }) => mounts ?? {})) as Record<string, string>,
    http: true,
    gracePeriodSeconds: 30,
  });
}

function seedInProduction(spec: BssPlatformSpec): Advice | undefined {
  if (spec.profile !== 'production' || !hasCrm(spec) || !spec.workloads.crm.seed.enabled) return undefined;
  return {
    path: 'spec.workloads.crm.seed.enabled',
    message: 'generated customers are among the real ones in the production profile: turn it off unless this is a load test',
  };
}

export const definition: ComponentDefinition = {
  name: 'crm',
  stage: 'workloads',
  present: hasCrm,
  ports: () => ({ http: HTTP_PORT, metrics: METRICS_PORT }),
  connections: (all) =>
    workloadConnections(all, 'pgbouncer', 'postgres', 'redis', 'kafka', ...services(all).map(({ component }) => component)),
  database: {
    name: 'crm',
    role: CRM_ROLE,
    pool: { most: 10, size: ({ workloads }) => workloads.crm.databasePool, replicas: ({ workloads }) => workloads.crm.replicas },
    direct: 1,
  },
  credentials: [{ key: CRM_KEY, type: 'token' }],
  reads: [CRM_KEY, ORCHESTRATOR.key, ACCOUNTS.key, 'redis-password'],
  topics: [{ name: CHANGE_TOPIC, partitions: 6, retention: '7d' }],
  endpoints: (platform) => (hasCrm(platform.spec) ? [{ name: 'crm', address: `http://${addressOf(platform, 'crm')}:${HTTP_PORT}` }] : []),
  advise: (all) => [seedInProduction(all)],
  manifests: (input) => [service(input, 'crm', { http: HTTP_PORT }), deployment(input), disruptionBudget(input, 'crm')],
};
