/** The fields of the spec that belong to no component. */
import { z } from 'zod';
import { httpUrl, objectName } from './common.ts';
import { PLATFORM_VERSION } from './names.ts';
import { piece } from './piece.ts';
import { defaultText, rule } from './rules.ts';

/** A tag, a digest, or both: with a digest the nodes ignore the tag. The runtime refuses a digest of another length, which would be found out late. */
const IMAGE = '^[^@ \\t\\r\\n\\f]+(@sha256:[0-9a-f]{64})?$';

const image = (what: string) =>
  rule(z.string().min(1).max(512).describe(`Image of ${what}; the tested one when absent.`), {
    cel: `self.matches('${IMAGE}') && !self.contains('://')`,
    message: 'write an image such as example.com/redis:8, without a scheme; a digest is @sha256: and 64 hexadecimal digits',
    check: (value) => new RegExp(IMAGE).test(value) && !value.includes('://'),
  }).optional();

/** Images of programs by name, each with what the program is, in the order of their names. */
export function imagesPiece(programs: Record<string, string>) {
  const names = Object.keys(programs).toSorted();
  const schema = z
    .strictObject({
      ...Object.fromEntries(names.map((name) => [name, image(programs[name] ?? name)])),
      pullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).default('IfNotPresent').describe('When nodes pull images.'),
      pullSecrets: z
        .array(objectName('Name of a Secret of type kubernetes.io/dockerconfigjson.'))
        .max(8)
        .default([])
        .meta({ 'x-kubernetes-list-type': 'set' })
        .describe('Secrets to pull images with.'),
    })
    .prefault({})
    .describe('Image references. Containers start with an explicit command, so that any image with the program works.');
  return piece('images', schema);
}

const telemetry = z
  .strictObject({
    otlpEndpoint: httpUrl(
      'OTLP/HTTP endpoint for the traces of the workloads, such as http://collector:4318. Absent: the Collector of the platform, if there is one.',
      'write a URL such as http://collector:4318',
    ).optional(),
    samplePercent: defaultText(
      z
        .int()
        .min(0)
        .max(100)
        .optional()
        .describe('Percentage of new traces that workloads record. A trace that began elsewhere keeps its sampling decision.'),
      "100, of which the platform's Collector keeps a part; 10 in production with another endpoint",
    ),
  })
  .prefault({})
  .describe('Tracing of the workloads.');

const ports = (description: string, value: number[]) =>
  z.array(z.int().min(1).max(65535)).min(1).max(8).default(value).meta({ 'x-kubernetes-list-type': 'set' }).describe(description);

const CIDR_MESSAGE = 'write an address with its prefix and no host bits, such as 10.0.0.1/32 or 10.0.0.0/24';

/** The API server also checks the host bits. */
const isNetwork = (text: string): boolean => z.union([z.cidrv4(), z.cidrv6()]).safeParse(text).success;

const cidr = rule(z.string().max(43), {
  cel: 'isCIDR(self) && cidr(self).masked() == cidr(self)',
  message: CIDR_MESSAGE,
  check: isNetwork,
});

const networkPolicies = z
  .strictObject({
    enabled: z
      .boolean()
      .default(true)
      .describe(
        'Deny all traffic to and from the pods except the flows that the platform needs. Needs a network plugin that enforces policies.',
      ),
    apiServer: z
      .strictObject({
        addresses: z
          .array(cidr)
          .max(16)
          .default([])
          .meta({ 'x-kubernetes-list-type': 'set' })
          .describe('Networks of the API servers (kubectl get endpointslices kubernetes). Empty: any address.'),
        ports: ports('Ports of the API servers: of their Service, and of the servers behind it, such as 8443.', [443, 6443]),
      })
      .prefault({})
      .describe('Where Prometheus reaches the API server.'),
    dnsPorts: ports('Ports of the DNS servers, as their pods have them: 5353 on OpenShift.', [53]),
    kedaNamespace: objectName('Namespace of KEDA, which reads the lag from the managed Kafka when it scales.').default('keda'),
  })
  .prefault({})
  .describe('NetworkPolicies of the platform.');

/** Fields of the platform as a whole. */
export const GENERAL = [
  piece(
    'version',
    z
      .string()
      .max(64)
      .regex(/^[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$/, 'write a version such as 0.1.0')
      .default(PLATFORM_VERSION)
      .describe(
        'Version of the platform: the tag of the workload image, and the images of the other programs that are tested with it. An earlier version rolls back. A new operator changes no image until the version changes.',
      ),
  ),
  piece(
    'profile',
    z
      .enum(['small', 'production'])
      .default('small')
      .describe(
        'Set of defaults; every field overrides its default. small: one replica of each component, for a laptop. production: more replicas, memory and disk, spread over nodes. Managed stores are single instances in both: use external stores in production.',
      ),
  ),
  piece(
    'paused',
    z
      .boolean()
      .default(false)
      .describe('Pause the operator for this platform: it changes nothing, and still validates the spec and reports health.'),
  ),
  piece(
    'hibernate',
    z.boolean().default(false).describe('Scale every component to zero and keep the data. Set to false to wake the platform.'),
  ),
  piece(
    'deletionPolicy',
    z
      .enum(['keep', 'delete'])
      .default('keep')
      .describe(
        'What happens to volumes when the platform or their store is deleted. A new platform of the same name adopts kept volumes.',
      ),
  ),
] as const;

const security = z
  .strictObject({
    assignedUserIds: z
      .boolean()
      .default(false)
      .describe('The cluster assigns user and group of the pods, as OpenShift does: they name none. What templates set still applies.'),
  })
  .prefault({})
  .describe('Security context of all pods. They are restricted in every case.');

/** Fields that several components use. */
export const SHARED = [
  piece(
    'seedAccounts',
    z
      .int()
      .min(0)
      .max(1_000_000)
      .default(0)
      .describe('Number of demonstration accounts that the ledger starts with. Accounts are added when missing, never removed.'),
  ),
  piece('telemetry', telemetry),
  piece('networkPolicies', networkPolicies),
  piece('security', security),
] as const;
