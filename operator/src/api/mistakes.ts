/**
 * Mistakes in a BssPlatform and in a ConsumerAutoscaler, one of each kind, and the message of the API server. The reference page of messages is generated from this table,
 * and a test applies each row to a real API server.
 */

export interface Mistake {
  /** The mistake, as the page names it. */
  what: string;
  /** The spec with the mistake; for a change, the spec after it. */
  spec: Record<string, unknown>;
  /** For a change: the spec before it, which is right. */
  before?: Record<string, unknown>;
  /** Name of the resource where that is the mistake. */
  name?: string;
  /** Field that the answer names. */
  path: string;
  /** Part of the answer. */
  message: string;
}

const interest = (fields: object) => ({ workloads: { interest: fields } });
const scaling = (fields: object) => interest({ autoscaling: fields });

const template = (fields: object) => ({ templates: { gateway: fields } });

const KEY = 'write keys such as team or example.com/team';
const TOLERATION = 'operator Equal needs a key, Exists has no value, and tolerationSeconds needs effect NoExecute';

export const MISTAKES: Mistake[] = [
  {
    what: 'A field that does not exist',
    spec: { workloads: { intrest: {} } },
    path: 'spec.workloads.intrest',
    message: 'unknown field',
  },
  { what: 'An unknown profile', spec: { profile: 'large' }, path: 'spec.profile', message: 'supported values: "small", "production"' },
  { what: 'A version that is not valid', spec: { version: 'latest' }, path: 'spec.version', message: 'should match' },
  {
    what: 'A number in place of a string',
    spec: { version: 1 },
    path: 'spec.version',
    message: 'must be of type string',
  },
  {
    what: 'A duration without a unit',
    spec: { prometheus: { retention: '15' } },
    path: 'spec.prometheus.retention',
    message: 'write a whole number above 0 and one unit (ms, s, m, h or d), such as 30s, 5m or 15d',
  },
  {
    what: 'A time of zero',
    spec: { prometheus: { scrapeInterval: '0s' } },
    path: 'spec.prometheus.scrapeInterval',
    message: 'write a whole number above 0 and one unit',
  },
  {
    what: 'A quantity that is not valid',
    spec: { kafka: { managed: { storage: { size: 'ten gigabytes' } } } },
    path: 'spec.kafka.managed.storage.size',
    message: 'write bytes of at least 1Mi, such as 512Mi',
  },
  {
    what: "The platform's own group among those of other programs",
    spec: { consumerGroups: [{ name: 'interest-batch', topics: ['a'], deployment: 'b' }] },
    path: 'spec.consumerGroups[0].name',
    message: "interest-batch is the platform's own group: set workloads.interest.autoscaling",
  },
  {
    what: 'The group of the read model among those of other programs',
    spec: { consumerGroups: [{ name: 'read-model', topics: ['a'], deployment: 'b' }] },
    path: 'spec.consumerGroups[0].name',
    message: "read-model is the platform's own group: set workloads.readModel.replicas",
  },
  {
    what: 'A ScaledObject for the Deployment of another program',
    spec: { consumerGroups: [{ name: 'a', topics: ['a'], deployment: 'b', autoscaling: { mode: 'keda' } }] },
    path: 'spec.consumerGroups[0].autoscaling.mode',
    message:
      'the operator does not create a ScaledObject for a Deployment that it does not own: create one and remove the group here, or set mode to builtin',
  },
  {
    what: 'A group of another program without topics',
    spec: { consumerGroups: [{ name: 'a', topics: [], deployment: 'b' }] },
    path: 'spec.consumerGroups[0].topics',
    message: 'should have at least 1 items',
  },
  {
    what: 'A group of another program twice',
    spec: { consumerGroups: ['b', 'c'].map((deployment) => ({ name: 'a', topics: ['a'], deployment })) },
    path: 'spec.consumerGroups[1]',
    message: 'Duplicate value',
  },
  {
    what: 'Two groups that scale the same Deployment',
    spec: { consumerGroups: ['a', 'b'].map((name) => ({ name, topics: ['a'], deployment: 'c' })) },
    path: 'spec.consumerGroups',
    message: 'two groups scale the same Deployment: keep the one that needs more replicas, and set autoscaling.mode: fixed for the other',
  },
  {
    what: 'A request above its limit',
    spec: interest({ resources: { requests: { cpu: 1 }, limits: { cpu: '250m' } } }),
    path: 'spec.workloads.interest.resources',
    message: 'a request is above its limit: raise the limit or lower the request',
  },
  {
    what: 'More memory requested than allowed',
    spec: interest({ resources: { requests: { memory: '1Gi' }, limits: { memory: '512Mi' } } }),
    path: 'spec.workloads.interest.resources',
    message: 'a request is above its limit: raise the limit or lower the request',
  },
  {
    what: 'A Kafka both managed and external',
    spec: { kafka: { managed: {}, external: { brokers: ['kafka:9092'] } } },
    path: 'spec.kafka',
    message: 'set either managed or external: remove managed to use your own Kafka, or remove external to let the operator run one',
  },
  {
    what: 'A PostgreSQL both managed and external',
    spec: { postgres: { managed: {}, external: { host: 'db', adminSecret: { name: 'db-admin' } } } },
    path: 'spec.postgres',
    message: 'set either managed or external: remove managed to use your own PostgreSQL',
  },
  {
    what: 'A Redis both managed and external',
    spec: { redis: { managed: {}, external: { host: 'cache' } } },
    path: 'spec.redis',
    message: 'set either managed or external: remove managed to use your own Redis',
  },
  {
    what: 'A broker without a port',
    spec: { kafka: { external: { brokers: ['kafka.example.com'] } } },
    path: 'spec.kafka.external.brokers[0]',
    message: 'write each broker as host:port, such as kafka.example.com:9092, without a scheme',
  },
  {
    what: 'A broker with a port that does not exist',
    spec: { kafka: { external: { brokers: ['kafka:70000'] } } },
    path: 'spec.kafka.external.brokers[0]',
    message: 'write each broker as host:port, such as kafka.example.com:9092, without a scheme',
  },
  {
    what: 'An issuer of tokens without keys',
    spec: { workloads: { gateway: { auth: { issuers: [{ issuer: 'https://login.example.com/', audiences: ['bss'] }] } } } },
    path: 'spec.workloads.gateway.auth.issuers[0]',
    message: 'an issuer needs either jwksUrl or jwksSecret',
  },
  {
    what: 'A retention without a unit',
    spec: { topics: [{ name: 'a', retention: 'forever' }] },
    path: 'spec.topics[0].retention',
    message: 'write a whole number above 0 and one unit (ms, s, m, h or d), such as 7d, or unlimited',
  },
  {
    what: 'Transfers without the ledger',
    spec: { workloads: { gateway: { enabled: false }, ledger: { enabled: false }, orchestrator: { enabled: true } } },
    path: 'spec.workloads.orchestrator',
    message: 'the orchestrator needs the ledger: set workloads.ledger.enabled to true, or workloads.orchestrator.enabled to false',
  },
  {
    what: 'Accounts without the ledger',
    spec: { workloads: { gateway: { enabled: false }, ledger: { enabled: false }, accounts: { enabled: true } } },
    path: 'spec.workloads.accounts',
    message: 'the accounts service needs the ledger: set workloads.ledger.enabled to true, or workloads.accounts.enabled to false',
  },
  {
    what: 'crm without the gateway',
    spec: { workloads: { gateway: { enabled: false }, crm: { enabled: true } } },
    path: 'spec.workloads.crm',
    message: 'crm is reached through the gateway: set workloads.gateway.enabled to true, or workloads.crm.enabled to false',
  },
  {
    what: 'An issuer of invoices with two lines in one',
    spec: { workloads: { crm: { invoiceIssuer: { name: 'A|B', address: ['A'], taxId: '1', payment: ['A'] } } } },
    path: 'spec.workloads.crm.invoiceIssuer.name',
    message: 'write a line without "|"',
  },
  {
    what: 'A relay without anything that writes entries',
    spec: {
      workloads: { gateway: { enabled: false }, ledger: { enabled: false }, interest: { enabled: false }, outboxRelay: { enabled: true } },
    },
    path: 'spec.workloads.outboxRelay',
    message:
      'the outbox relay needs the ledger or the interest consumer: enable one of them, or set workloads.outboxRelay.enabled to false',
  },
  {
    what: 'A read model without the outbox relay',
    spec: { workloads: { outboxRelay: { enabled: false }, readModel: { enabled: true } } },
    path: 'spec.workloads.readModel',
    message:
      'the read model needs the outbox relay with the ledger or the interest consumer: enable them, or set workloads.readModel.enabled to false',
  },
  {
    what: 'Compaction of a topic of the platform',
    spec: { topics: [{ name: 'interest.transaction.v1', cleanupPolicy: 'compact' }] },
    path: 'spec.topics[0].cleanupPolicy',
    message: 'compaction would delete events that were not applied yet: set cleanupPolicy to delete for the topics of the platform',
  },
  {
    what: 'A host name of an Ingress in capital letters',
    spec: { workloads: { gateway: { ingress: { host: 'BSS.example.com' } } } },
    path: 'spec.workloads.gateway.ingress.host',
    message: 'write a host name in lower case, such as bss.example.com, without a scheme or port; an address is no host name',
  },
  {
    what: 'A scope without an action',
    spec: { workloads: { gateway: { auth: { anonymousScopes: ['ledger'] } } } },
    path: 'spec.workloads.gateway.auth.anonymousScopes[0]',
    message: 'write a scope such as ledger:read',
  },
  {
    what: 'An endpoint for traces with a port that does not exist',
    spec: { telemetry: { otlpEndpoint: 'http://collector:0' } },
    path: 'spec.telemetry.otlpEndpoint',
    message: 'should match',
  },
  {
    what: 'An API server without the prefix of its network',
    spec: { networkPolicies: { apiServer: { addresses: ['10.0.0.1'] } } },
    path: 'spec.networkPolicies.apiServer.addresses[0]',
    message: 'write an address with its prefix and no host bits, such as 10.0.0.1/32 or 10.0.0.0/24',
  },
  {
    what: 'No port of a DNS server',
    spec: { networkPolicies: { dnsPorts: [] } },
    path: 'spec.networkPolicies.dnsPorts',
    message: 'should have at least 1 items',
  },
  {
    what: 'No broker at all',
    spec: { kafka: { external: { brokers: [] } } },
    path: 'spec.kafka.external.brokers',
    message: 'should have at least 1 items',
  },
  {
    what: 'A host with its port',
    spec: { postgres: { external: { host: 'db.example.com:5432', adminSecret: { name: 'db-admin' } } } },
    path: 'spec.postgres.external.host',
    message: 'write a host name or an IPv4 address alone; the port has a field of its own',
  },
  {
    what: 'An external database without its Secret',
    spec: { postgres: { external: { host: 'db.example.com' } } },
    path: 'spec.postgres.external.adminSecret',
    message: 'Required value',
  },
  {
    what: 'A database whose certificate is verified, without the authority',
    spec: { postgres: { external: { host: 'db.example.com', tls: 'verify-full', adminSecret: { name: 'db-admin' } } } },
    path: 'spec.postgres.external.caSecret',
    message: 'set caSecret exactly if tls is verify-ca or verify-full',
  },
  {
    what: 'A client certificate without TLS',
    spec: { kafka: { external: { brokers: ['kafka:9093'], tls: { clientCertificate: { secretName: 'kafka-user' } } } } },
    path: 'spec.kafka.external.tls.clientCertificate',
    message: 'clientCertificate has no effect without TLS: set enabled: true, or remove clientCertificate',
  },
  {
    what: 'The certificate authority of a Redis that is used without TLS',
    spec: { redis: { external: { host: 'cache', caSecret: { name: 'redis-ca' } } } },
    path: 'spec.redis.external.caSecret',
    message: 'caSecret has no effect without tls: set tls: true, or remove caSecret',
  },
  {
    what: 'An image with a scheme',
    spec: { images: { workloads: 'https://registry.example.com/workloads' } },
    path: 'spec.images.workloads',
    message: 'write an image such as example.com/redis:8, without a scheme',
  },
  {
    what: 'Fewer replicas at most than at least',
    spec: scaling({ minReplicas: 5, maxReplicas: 2 }),
    path: 'spec.workloads.interest.autoscaling.maxReplicas',
    message: 'maxReplicas is below minReplicas: raise maxReplicas or lower minReplicas',
  },
  {
    what: 'A least number of zero without scaleToZero',
    spec: scaling({ minReplicas: 0 }),
    path: 'spec.workloads.interest.autoscaling.minReplicas',
    message: 'minReplicas 0 needs scaleToZero true, and the reverse: remove minReplicas, or change one of them',
  },
  {
    what: 'scaleToZero with a window of zero',
    spec: scaling({ scaleToZero: true, scaleDownWindow: '0s' }),
    path: 'spec.workloads.interest.autoscaling.scaleToZero',
    message: 'with scaleToZero, scaleDownWindow and idleTime must be 5s or more',
  },
  {
    what: 'A delay below the sampling interval',
    spec: scaling({ maxDelay: '1s' }),
    path: 'spec.workloads.interest.autoscaling.maxDelay',
    message: 'maxDelay is below the sampling interval of 5s: write 5s or more',
  },
  {
    what: 'Safe replicas outside the bounds',
    spec: scaling({ maxReplicas: 4, safeReplicas: 9 }),
    path: 'spec.workloads.interest.autoscaling.safeReplicas',
    message: 'safeReplicas must lie between minReplicas and maxReplicas',
  },
  {
    what: 'Safe replicas below the default minimum',
    spec: scaling({ safeReplicas: 0 }),
    path: 'spec.workloads.interest.autoscaling.safeReplicas',
    message: 'safeReplicas must lie between minReplicas and maxReplicas',
  },
  {
    what: 'A fixed number of replicas and autoscaling',
    spec: interest({ replicas: 3, autoscaling: { mode: 'builtin' } }),
    path: 'spec.workloads.interest.replicas',
    message:
      'replicas needs autoscaling.mode fixed: set the mode to fixed, or remove replicas and set autoscaling.minReplicas and maxReplicas',
  },
  {
    what: 'A gateway without a ledger',
    spec: { workloads: { ledger: { enabled: false } } },
    path: 'spec.workloads.ledger.enabled',
    message: 'the gateway needs the ledger: set workloads.ledger.enabled to true, or workloads.gateway.enabled to false',
  },
  {
    what: 'An Ingress and a route',
    spec: { workloads: { gateway: { ingress: { host: 'bss.example.com' }, route: { parentRefs: [{ name: 'public' }] } } } },
    path: 'spec.workloads.gateway.route',
    message: 'set either ingress or route: remove route to use an Ingress, or remove ingress to attach to a Gateway',
  },
  {
    what: 'Receivers without an Alertmanager that notifies them',
    spec: { observability: { mode: 'existing' }, alertmanager: { receivers: { secretName: 'a', slack: {} } } },
    path: 'spec.alertmanager.receivers',
    message: 'observability.mode existing runs no Alertmanager that could notify them: set the receivers in yours',
  },
  {
    what: 'A Prometheus of the cluster, and no exporters for it',
    spec: { observability: { mode: 'existing' }, prometheus: { enabled: false } },
    path: 'spec.prometheus.enabled',
    message: 'observability.mode existing runs no Prometheus, and false would take the exporters away that yours scrapes',
  },
  {
    what: 'A route without a Gateway',
    spec: { workloads: { gateway: { route: { parentRefs: [] } } } },
    path: 'spec.workloads.gateway.route.parentRefs',
    message: 'should have at least 1 items',
  },
  {
    what: 'A host name with a scheme',
    spec: { workloads: { gateway: { route: { parentRefs: [{ name: 'public' }], hostnames: ['https://bss.example.com'] } } } },
    path: 'spec.workloads.gateway.route.hostnames[0]',
    message: 'write a host name in lower case, such as bss.example.com or *.example.com, without a scheme or port',
  },
  {
    what: "An annotation of the operator's own",
    spec: { workloads: { gateway: { ingress: { host: 'bss.example.com', annotations: { 'bss-platform.io/keep': 'true' } } } } },
    path: 'spec.workloads.gateway.ingress.annotations',
    message: 'the operator sets annotations under app.kubernetes.io/ and bss-platform.io/: use another prefix',
  },
  {
    what: 'More idle connections than the pool has',
    spec: { pgbouncer: { minPoolSize: 30 } },
    path: 'spec.pgbouncer.minPoolSize',
    message: 'minPoolSize is above defaultPoolSize: lower minPoolSize or raise defaultPoolSize',
  },
  {
    what: 'A pool larger than the number of clients',
    spec: { pgbouncer: { maxClientConnections: 20 } },
    path: 'spec.pgbouncer.defaultPoolSize',
    message: 'defaultPoolSize + reservePoolSize is above maxClientConnections: a pool larger than the number of clients is never used',
  },
  {
    what: 'A topic twice',
    spec: { topics: [{ name: 'a' }, { name: 'a' }] },
    path: 'spec.topics[1]',
    message: 'Duplicate value',
  },
  {
    what: 'A topic without partitions',
    spec: { topics: [{ name: 'a', partitions: 0 }] },
    path: 'spec.topics[0].partitions',
    message: 'should be greater than or equal to 1',
  },
  {
    what: "A label of the operator's own",
    spec: interest({ labels: { 'app.kubernetes.io/name': 'mine' } }),
    path: 'spec.workloads.interest.labels',
    message: 'the operator sets labels under app.kubernetes.io/ and bss-platform.io/: use another prefix',
  },
  {
    what: 'A label with an invalid key',
    spec: interest({ labels: { 'cost center': '42' } }),
    path: 'spec.workloads.interest.labels',
    message: KEY,
  },
  {
    what: 'A label with an invalid value',
    spec: interest({ labels: { team: 'Accounts & Ledger' } }),
    path: 'spec.workloads.interest.labels',
    message: 'should match',
  },
  {
    what: 'A node selector with an invalid key',
    spec: { kafka: { managed: { nodeSelector: { 'pool=batch': 'night' } } } },
    path: 'spec.kafka.managed.nodeSelector',
    message: KEY,
  },
  {
    what: 'A node selector with an invalid value',
    spec: { kafka: { managed: { nodeSelector: { pool: '-batch-' } } } },
    path: 'spec.kafka.managed.nodeSelector',
    message: 'should match',
  },
  {
    what: 'A toleration with an invalid key',
    spec: { prometheus: { tolerations: [{ key: 'a key', operator: 'Exists' }] } },
    path: 'spec.prometheus.tolerations[0].key',
    message: 'should match',
  },
  {
    what: 'A toleration of every taint with a value',
    spec: { prometheus: { tolerations: [{ key: 'batch', operator: 'Exists', value: 'night' }] } },
    path: 'spec.prometheus.tolerations[0]',
    message: TOLERATION,
  },
  {
    what: 'A toleration without a key',
    spec: { prometheus: { tolerations: [{ value: 'night' }] } },
    path: 'spec.prometheus.tolerations[0]',
    message: TOLERATION,
  },
  {
    what: 'tolerationSeconds for a taint that evicts no pods',
    spec: { prometheus: { tolerations: [{ key: 'batch', operator: 'Exists', effect: 'NoSchedule', tolerationSeconds: 60 }] } },
    path: 'spec.prometheus.tolerations[0]',
    message: TOLERATION,
  },
  {
    what: 'A priority class by another name than one can have',
    spec: interest({ priorityClassName: 'Business Critical' }),
    path: 'spec.workloads.interest.priorityClassName',
    message: 'should match',
  },
  {
    what: 'CPU in words',
    spec: interest({ resources: { requests: { cpu: 'half' } } }),
    path: 'spec.workloads.interest.resources.requests.cpu',
    message: 'write a quantity, such as 250m or 2',
  },
  {
    what: 'A negative quantity',
    spec: interest({ resources: { limits: { memory: '-1Gi' } } }),
    path: 'spec.workloads.interest.resources.limits.memory',
    message: 'write bytes of at least 1Mi, such as 512Mi',
  },
  {
    what: 'Memory with the unit of CPU',
    spec: interest({ resources: { limits: { memory: '512m' } } }),
    path: 'spec.workloads.interest.resources.limits.memory',
    message: 'write bytes of at least 1Mi, such as 512Mi',
  },
  {
    what: 'A volume without a unit',
    spec: { kafka: { managed: { storage: { size: 10 } } } },
    path: 'spec.kafka.managed.storage.size',
    message: 'write bytes of at least 1Mi, such as 512Mi',
  },
  {
    what: 'A volume that shrinks',
    before: { kafka: { managed: { storage: { size: '10Gi' } } } },
    spec: { kafka: { managed: { storage: { size: '5Gi' } } } },
    path: 'spec.kafka.managed.storage.size',
    message: 'a volume cannot shrink: keep the present size or write a larger one',
  },
  {
    what: 'Another storage class for a volume that exists',
    before: { postgres: { managed: { storage: { storageClass: 'fast' } } } },
    spec: { postgres: { managed: { storage: { storageClass: 'slow' } } } },
    path: 'spec.postgres.managed.storage.storageClass',
    message: 'storageClass is immutable once the volume exists: write the former class, or create a new platform and move the data',
  },
  ...[
    ['hba_file', '/tmp/hba', 'cannot be set: the operator sets it, because Services, probes, accounts and volumes depend on it'],
    ['port', '5433', 'cannot be set: the operator sets it'],
    ['max_connections', '500', 'max_connections cannot be set: it has a field of its own: set spec.postgres.managed.maxConnections'],
    ['fsync', 'false', 'cannot be set: without it a crash loses or damages transactions that were acknowledged'],
    ['logging_collector', 'true', 'cannot be set: the log of the pod is the log of the server'],
    ['ssl', 'true', 'cannot be set: the pod has no certificate'],
    ['Port', '5433', 'write the names of settings in lower case, such as work_mem or pg_stat_statements.max'],
    ['work_mem', "16MB'\nport = '1", 'write the value of a setting in one line, without control characters'],
  ].map(([name = '', value = '', message = '']) => ({
    what: `The PostgreSQL setting ${name}`,
    spec: { postgres: { managed: { parameters: { [name]: value } } } },
    path: 'spec.postgres.managed.parameters',
    message,
  })),
  ...['https://x/y', '..', '..a', 'a b'].map((key) => ({
    what: `The key ${key} of a Secret`,
    spec: { redis: { external: { host: 'cache', passwordSecret: { name: 'redis', key } } } },
    path: 'spec.redis.external.passwordSecret.key',
    message: 'write a key of a Secret: letters, digits, -, _ and .',
  })),
  {
    what: 'A key with a slash for the password of PostgreSQL',
    spec: { postgres: { external: { host: 'db', adminSecret: { name: 'db-admin', passwordKey: 'a/b' } } } },
    path: 'spec.postgres.external.adminSecret.passwordKey',
    message: 'write a key of a Secret: letters, digits, -, _ and .',
  },
  {
    what: 'A digest that is too short',
    spec: { images: { redis: 'redis:8@sha256:0123abcd' } },
    path: 'spec.images.redis',
    message: 'a digest is @sha256: and 64 hexadecimal digits',
  },
  {
    what: 'A template for a component that does not exist',
    spec: { templates: { kafkaExporter: {} } },
    path: 'spec.templates',
    message: 'write names of components: kafka, postgres',
  },
  {
    what: "An annotation of pods that is the operator's own",
    spec: template({ annotations: { 'bss-platform.io/config-hash': 'mine' } }),
    path: 'spec.templates[gateway].annotations',
    message: 'the operator sets annotations under app.kubernetes.io/ and bss-platform.io/: use another prefix',
  },
  {
    what: 'An annotation of pods that lifts their confinement',
    spec: template({ annotations: { 'container.apparmor.security.beta.kubernetes.io/gateway': 'unconfined' } }),
    path: 'spec.templates[gateway].annotations',
    message: 'change how pods are confined: remove them',
  },
  {
    what: 'An affinity without values',
    spec: template({
      affinity: {
        nodeAffinity: {
          requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'zone', operator: 'In' }] }] },
        },
      },
    }),
    path: 'matchExpressions[0].values',
    message: 'In and NotIn need values, the other operators have none',
  },
  {
    what: 'A spread twice over the same label',
    spec: template({
      topologySpreadConstraints: [1, 2].map((maxSkew) => ({ topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule', maxSkew })),
    }),
    path: 'spec.templates[gateway].topologySpreadConstraints[1]',
    message: 'Duplicate value',
  },
  {
    what: 'A volume of two kinds',
    spec: template({ volumes: [{ name: 'certs', configMap: { name: 'certs' }, secret: { secretName: 'certs' } }] }),
    path: 'spec.templates[gateway].volumes[0]',
    message: 'write exactly one of configMap, secret, emptyDir, projected, persistentVolumeClaim and csi',
  },
  {
    what: 'A volume of the node',
    spec: template({ volumes: [{ name: 'node', hostPath: { path: '/' } }] }),
    path: 'spec.templates.gateway.volumes[0].hostPath',
    message: 'unknown field',
  },
  {
    what: 'A volume twice',
    spec: template({ volumes: [1, 2].map(() => ({ name: 'certs', configMap: { name: 'certs' } })) }),
    path: 'spec.templates[gateway].volumes[1]',
    message: 'Duplicate value',
  },
  ...['/etc/certs', '/data', '/mnt', '/mnt/../data'].map((mountPath) => ({
    what: `A volume mounted at ${mountPath}`,
    spec: template({ volumes: [{ name: 'certs', configMap: { name: 'certs' } }], volumeMounts: [{ name: 'certs', mountPath }] }),
    path: 'spec.templates[gateway].volumeMounts[0].mountPath',
    message: 'write a path below /mnt, such as /mnt/certs: the other paths belong to the platform and the images',
  })),
  {
    what: 'Two volumes mounted at the same path',
    spec: template({
      volumes: ['a', 'b'].map((name) => ({ name, configMap: { name } })),
      volumeMounts: ['a', 'b'].map((name) => ({ name, mountPath: '/mnt/a' })),
    }),
    path: 'spec.templates[gateway].volumeMounts[1]',
    message: 'Duplicate value',
  },
  {
    what: "A mount of the platform's own volume",
    spec: { templates: { kafka: { volumeMounts: [{ name: 'data', mountPath: '/mnt/data' }] } } },
    path: 'spec.templates[kafka].volumeMounts',
    message: 'a mount names no volume of the template: add the volume, or correct name',
  },
  {
    what: 'Two tokens in one volume',
    spec: template({
      volumes: [
        { name: 'tokens', projected: { sources: ['a', 'b'].map((path) => ({ serviceAccountToken: { audience: 'vault', path } })) } },
      ],
    }),
    path: 'spec.templates[gateway].volumes[0].projected.sources',
    message: 'a volume holds one serviceAccountToken: write another volume for another token',
  },
  {
    what: 'Pods that run as root',
    spec: template({ securityContext: { runAsUser: 0 } }),
    path: 'spec.templates[gateway].securityContext.runAsUser',
    message: 'pods do not run as root: write another user, or set spec.security.assignedUserIds if the cluster assigns one',
  },
  {
    what: 'Pods that may run as root',
    spec: template({ securityContext: { runAsNonRoot: false } }),
    path: 'spec.templates[gateway].securityContext.runAsNonRoot',
    message: 'pods do not run as root: write true or remove it',
  },
  {
    what: 'A profile of system calls without its file',
    spec: template({ securityContext: { seccompProfile: { type: 'Localhost' } } }),
    path: 'spec.templates[gateway].securityContext.seccompProfile',
    message: 'set localhostProfile exactly if type is Localhost',
  },
  {
    what: 'Pods without a filter of system calls',
    spec: template({ securityContext: { seccompProfile: { type: 'Unconfined' } } }),
    path: 'spec.templates.gateway.securityContext.seccompProfile.type',
    message: 'supported values: "RuntimeDefault", "Localhost"',
  },
  {
    what: 'Privileged containers',
    spec: template({ containerSecurityContext: { privileged: true } }),
    path: 'spec.templates[gateway].containerSecurityContext.privileged',
    message: 'no pod of the platform is privileged: write false or remove it',
  },
  {
    what: 'Containers that may gain privileges',
    spec: template({ containerSecurityContext: { allowPrivilegeEscalation: true } }),
    path: 'spec.templates[gateway].containerSecurityContext.allowPrivilegeEscalation',
    message: 'no program of the platform needs it: write false or remove it',
  },
  {
    what: 'Containers with a capability',
    spec: template({ containerSecurityContext: { capabilities: { add: ['NET_ADMIN'] } } }),
    path: 'spec.templates[gateway].containerSecurityContext.capabilities.add',
    message: 'no program of the platform needs a capability: remove add',
  },
  {
    what: 'A name that is too long',
    name: 'a-platform-with-a-name-that-is-much-too-long',
    spec: {},
    path: '<nil>',
    message:
      'choose a name of at most 40 lower case letters, digits and -, and begin it with a letter: it is part of the names of Services',
  },
];

const autoscaler = (fields: object) => ({
  scaleTargetRef: { name: 'shipper' },
  group: 'shipping',
  topics: ['orders'],
  brokers: ['kafka:9092'],
  ...fields,
});

/** Mistakes in a ConsumerAutoscaler. The rules of the policy and of Kafka are those of a platform. */
export const AUTOSCALER_MISTAKES: Mistake[] = [
  { what: 'A ConsumerAutoscaler without a spec', spec: {}, path: 'spec.scaleTargetRef', message: 'Required value' },
  {
    what: 'A field of KEDA in a ConsumerAutoscaler',
    spec: autoscaler({ maxReplicaCount: 10 }),
    path: 'spec.maxReplicaCount',
    message: 'unknown field',
  },
  {
    what: 'A ConsumerAutoscaler that names a kind in lower case',
    spec: autoscaler({ scaleTargetRef: { kind: 'deployment', name: 'shipper' } }),
    path: 'spec.scaleTargetRef.kind',
    message: 'write a kind as in a manifest, such as Deployment or StatefulSet',
  },
  {
    what: 'A ConsumerAutoscaler that names an API without a version',
    spec: autoscaler({ scaleTargetRef: { apiVersion: 'apps', name: 'shipper' } }),
    path: 'spec.scaleTargetRef.apiVersion',
    message: 'write group and version, such as apps/v1',
  },
  {
    what: 'A ConsumerAutoscaler with a broker without a port',
    spec: autoscaler({ brokers: ['kafka'] }),
    path: 'spec.brokers[0]',
    message: 'write each broker as host:port, such as kafka.example.com:9092, without a scheme',
  },
  {
    what: 'A ConsumerAutoscaler without a topic',
    spec: autoscaler({ topics: [] }),
    path: 'spec.topics',
    message: 'should have at least 1 items',
  },
  {
    what: 'A ConsumerAutoscaler with a client certificate and without TLS',
    spec: autoscaler({ tls: { clientCertificate: { secretName: 'kafka-client' } } }),
    path: 'spec.tls.clientCertificate',
    message: 'clientCertificate has no effect without TLS: set enabled: true, or remove clientCertificate',
  },
  {
    what: 'A ConsumerAutoscaler with a maximum below its minimum',
    spec: autoscaler({ minReplicas: 5, maxReplicas: 2 }),
    path: 'spec.maxReplicas',
    message: 'maxReplicas is below minReplicas: raise maxReplicas or lower minReplicas',
  },
  {
    what: 'A ConsumerAutoscaler with a minimum of 0 and without scaleToZero',
    spec: autoscaler({ minReplicas: 0 }),
    path: 'spec.minReplicas',
    message: 'minReplicas 0 needs scaleToZero true, and the reverse: remove minReplicas, or change one of them',
  },
  {
    what: 'A ConsumerAutoscaler with a goal below the sampling interval',
    spec: autoscaler({ maxDelay: '2s' }),
    path: 'spec.maxDelay',
    message: 'maxDelay is below the sampling interval of 5s: write 5s or more',
  },
  {
    what: 'A ConsumerAutoscaler with safe replicas beyond its bounds',
    spec: autoscaler({ maxReplicas: 4, safeReplicas: 8 }),
    path: 'spec.safeReplicas',
    message: 'safeReplicas must lie between minReplicas and maxReplicas',
  },
  {
    what: 'A ConsumerAutoscaler in mode keda',
    spec: autoscaler({ mode: 'keda' }),
    path: 'spec.mode',
    message: 'supported values: "builtin", "fixed"',
  },
];
