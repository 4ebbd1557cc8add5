/** The workloads of a platform. */
import { z } from 'zod';
import { autoscaling } from './autoscaling.ts';
import { annotationMap, environment, host, objectName, placement, resources } from './common.ts';
import { defaultText, rule } from './rules.ts';

const common = (what: string) => ({
  enabled: z.boolean().default(true).describe(`False: ${what} is not run.`),
  logLevel: z.enum(['trace', 'debug', 'info', 'warn', 'error']).default('info').describe('Least level of log lines that are written.'),
  env: environment,
  resources: resources(`one replica of ${what}`),
  ...placement(),
});

const replicas = z.int().min(0).max(100).default(1).describe('Number of replicas.');

const databasePool = defaultText(
  z.int().min(1).max(100).optional().describe('Connections to PgBouncer that one replica may open (DB_POOL_MAX).'),
  "its share of PgBouncer's maxClientConnections, at most 10",
);

const ingress = z
  .strictObject({
    host: host('Host name under which the gateway is reached.'),
    className: objectName("IngressClass; the cluster's default class when absent.").optional(),
    tlsSecretName: objectName('Secret with the certificate (kubernetes.io/tls). Without it the route is plain HTTP.').optional(),
    annotations: annotationMap('Annotations of the Ingress: settings of the ingress controller, the issuer of the certificate.'),
  })
  .describe('An Ingress for the gateway.');

const parentRef = z.strictObject({
  name: objectName('Name of a Gateway.'),
  namespace: objectName("Its namespace; the platform's own when absent.").optional(),
  sectionName: objectName('Name of one of its listeners; all that admit the route when absent.').optional(),
});

const HOSTNAME = '^([*][.])?[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)+$';

const hostname = rule(z.string().min(1).max(253), {
  cel: `self.matches('${HOSTNAME}')`,
  message: 'write a host name in lower case, such as bss.example.com or *.example.com, without a scheme or port',
  check: (value) => new RegExp(HOSTNAME).test(value),
});

const route = z
  .strictObject({
    parentRefs: z
      .array(parentRef)
      .min(1)
      .max(8)
      .meta({ 'x-kubernetes-list-type': 'atomic' })
      .describe('Gateways that the route hangs on. Their listeners hold the certificates.'),
    hostnames: z
      .array(hostname)
      .max(16)
      .default([])
      .meta({ 'x-kubernetes-list-type': 'set' })
      .describe('Host names under which the gateway is reached; those of the listeners when empty.'),
  })
  .describe(
    'An HTTPRoute of the Gateway API (gateway.networking.k8s.io/v1) for the gateway. TLS is a matter of the Gateway that it hangs on.',
  );

const gateway = rule(
  z.strictObject({
    ...common('the gateway'),
    replicas,
    debugSeed: z
      .strictObject({
        enabled: z
          .boolean()
          .default(false)
          .describe(
            'Serve POST /debug/seed, which makes random events. Callers need the debug-token of the credentials Secret. Not for production.',
          ),
      })
      .prefault({})
      .describe('Random events for demonstrations and load tests.'),
    ingress: ingress.optional(),
    route: route.optional(),
  }),
  {
    cel: '!(has(self.ingress) && has(self.route))',
    message: 'set either ingress or route: remove route to be reached through an Ingress, or remove ingress to hang on a Gateway',
    fieldPath: '.route',
    check: (value) => value.ingress === undefined || value.route === undefined,
  },
);

const ledger = z.strictObject({ ...common('the ledger'), replicas, databasePool });

const batch = z
  .strictObject({
    maxRecords: z.int().min(1).max(5000).default(5000).describe('Most events in one database transaction.'),
    fetchMinBytes: z
      .int()
      .min(1)
      .max(4_194_304)
      .default(1_048_576)
      .describe('A fetch waits until the broker has this many bytes (fetch.min.bytes) ...'),
    fetchMaxWaitMs: z.int().min(1).max(5000).default(500).describe('... or until this many milliseconds have passed (fetch.max.wait.ms).'),
  })
  .prefault({})
  .describe('Size of the batches that the consumer reads and applies.');

const interest = rule(
  z.strictObject({
    ...common('the interest consumer'),
    replicas: defaultText(
      z.int().min(0).max(1000).optional().describe('Number of replicas when autoscaling is off (autoscaling.mode: fixed).'),
      'autoscaling.minReplicas',
    ),
    autoscaling,
    batch,
    databasePool,
  }),
  {
    cel: "!has(self.replicas) || !has(self.autoscaling.mode) || self.autoscaling.mode == 'fixed'",
    message:
      'replicas holds only without autoscaling: remove replicas and set autoscaling.minReplicas and maxReplicas, or set autoscaling.mode to fixed',
    fieldPath: '.replicas',
    check: (value) => value.replicas === undefined || value.autoscaling.mode === 'fixed',
  },
);

const kafkaExporter = z.strictObject(common('the Kafka exporter'));

export const workloads = rule(
  z.strictObject({
    ledger: ledger.prefault({}).describe('Accounts and the double-entry journal.'),
    gateway: gateway.prefault({}).describe('Public HTTP entry.'),
    interest: interest.prefault({}).describe('Batch consumer that applies interest transactions to the ledger.'),
    kafkaExporter: kafkaExporter.prefault({}).describe('Metrics of topics and consumer groups.'),
  }),
  {
    cel: '!self.gateway.enabled || self.ledger.enabled',
    message: 'the gateway needs the ledger: set workloads.ledger.enabled to true, or workloads.gateway.enabled to false',
    fieldPath: '.ledger.enabled',
    check: (value) => !value.gateway.enabled || value.ledger.enabled,
  },
)
  .prefault({})
  .describe('The services of the platform.');
