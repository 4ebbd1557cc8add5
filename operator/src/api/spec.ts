/** The spec of a BssPlatform: one zod schema from which types, defaults, CRD, Helm values schema and reference page come. */
import { z } from 'zod';
import { consumerGroups } from './groups.ts';
import { objectName, resources, placement, storage } from './common.ts';
import { withProfile } from './profiles.ts';
import { bytes, positiveDuration, rule } from './rules.ts';
import { kafka, pgbouncer, postgres, redis, topics } from './stores.ts';
import { workloads } from './workloads.ts';

const image = (what: string) =>
  rule(z.string().min(1).max(512).describe(`Image of ${what}, in place of the one that belongs to the version.`), {
    cel: "self.matches('^[^\\\\s]+$') && !self.contains('://')",
    message: 'write an image reference such as registry.example.com/bss-platform/workloads:0.1.0, without a scheme or blanks',
    check: (value) => /^\S+$/.test(value) && !value.includes('://'),
  }).optional();

const images = z
  .strictObject({
    kafka: image('Kafka'),
    pgbouncer: image('PgBouncer'),
    pgbouncerExporter: image('the PgBouncer exporter'),
    postgres: image('PostgreSQL'),
    postgresExporter: image('the PostgreSQL exporter'),
    prometheus: image('Prometheus'),
    redis: image('Redis'),
    redisExporter: image('the Redis exporter'),
    workloads: image('the workloads and the migration Job'),
    pullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).default('IfNotPresent').describe('When nodes pull images.'),
    pullSecrets: z
      .array(objectName('Name of a Secret of type kubernetes.io/dockerconfigjson.'))
      .max(8)
      .default([])
      .meta({ 'x-kubernetes-list-type': 'set' })
      .describe('Secrets to pull images with.'),
  })
  .prefault({})
  .describe('Where images come from. Containers start by explicit command, so that any image that holds the program will do.');

const telemetry = z
  .strictObject({
    otlpEndpoint: z
      .string()
      .max(512)
      .regex(/^https?:\/\/\S+$/, 'write a URL such as http://collector:4318')
      .optional()
      .describe('OTLP/HTTP endpoint that the workloads send traces to, such as http://collector:4318. Nothing is exported without it.'),
    samplePercent: z
      .int()
      .min(0)
      .max(100)
      .default(100)
      .describe('Share of traces that start here and are kept, in percent. A trace that began elsewhere keeps its decision.'),
  })
  .prefault({})
  .describe('Tracing of the workloads.');

const prometheus = z
  .strictObject({
    enabled: z.boolean().default(true).describe('False: no Prometheus and no exporters; the pods still serve /metrics.'),
    retention: positiveDuration('How long samples are kept.').default('15d'),
    retentionSize: bytes('Disk space after which the oldest samples go, retention or not. Keep it below storage.size.').prefault('3Gi'),
    scrapeInterval: positiveDuration('Time between two scrapes.').default('5s'),
    storage: storage('the samples', '5Gi'),
    resources: resources('Prometheus'),
    ...placement(),
  })
  .prefault({})
  .describe('Prometheus, which scrapes every part of the platform.');

const networkPolicies = z
  .strictObject({
    enabled: z
      .boolean()
      .default(true)
      .describe(
        'Deny all traffic to and from the pods except the flows that the platform needs. Needs a network plugin that enforces policies.',
      ),
  })
  .prefault({})
  .describe('NetworkPolicies of the platform.');

/** Shape of `spec` as a user writes it and the API server stores it. */
export const specSchema = z.strictObject({
  version: z
    .string()
    .max(64)
    .regex(/^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$/, 'write a version such as 0.1.0')
    .default('0.1.0')
    .describe('Version of the platform: the tag of the workload image. Set it back to roll back.'),
  profile: z
    .enum(['small', 'production'])
    .default('small')
    .describe(
      'Set of defaults, each of which a field can override. small: one replica of each, fits a laptop. production: more replicas, memory and disk, spread over nodes.',
    ),
  paused: z.boolean().default(false).describe('The operator changes nothing while this is true; it still checks the spec.'),
  hibernate: z.boolean().default(false).describe('Stop every pod and keep the data. False again: the platform wakes.'),
  deletionPolicy: z
    .enum(['keep', 'delete'])
    .default('keep')
    .describe(
      'What happens to the volumes when the platform, or the store they belong to, is deleted. A new platform of the same name takes kept volumes over.',
    ),
  images,
  topics,
  consumerGroups,
  seedAccounts: z
    .int()
    .min(0)
    .max(1_000_000)
    .default(0)
    .describe('Number of demonstration accounts that the ledger starts with. Accounts are added when missing, never removed.'),
  telemetry,
  networkPolicies,
  // The components, in the order in which they are brought up.
  kafka,
  postgres,
  pgbouncer,
  redis,
  workloads,
  prometheus,
});

/** The spec after defaults and profile: what the builders take. Exactly one of `managed` and `external` is set for each store. */
export type BssPlatformSpec = z.output<typeof specSchema>;

/** What is wrong with a field. */
export interface Problem {
  /** Path from the resource's root, such as `spec.workloads.interest.replicas`. */
  path: string;
  /** What to write instead. */
  message: string;
}

export type ParsedSpec = { ok: true; spec: BssPlatformSpec } | { ok: false; problems: Problem[] };

/** Checks a spec as read from the API server or a file, and fills in defaults and profile. Never throws. */
export function parseSpec(raw: unknown): ParsedSpec {
  const result = specSchema.safeParse(withProfile(raw ?? {}));
  if (result.success) return { ok: true, spec: result.data };
  return { ok: false, problems: result.error.issues.map((issue) => ({ path: pathText(issue.path), message: issue.message })) };
}

function pathText(path: PropertyKey[]): string {
  return path.reduce<string>((text, key) => (typeof key === 'number' ? `${text}[${key}]` : `${text}.${String(key)}`), 'spec');
}
