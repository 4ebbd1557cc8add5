/**
 * Mistakes in a BssPlatform, one of each kind, and the message of the API server. The reference page of messages is generated from this table,
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

const KEY = 'write each key as a label name, such as team or example.com/team';

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
    message: 'write a whole number and one unit (ms, s, m, h or d), such as 30s, 5m or 15d',
  },
  {
    what: 'A time of zero',
    spec: { prometheus: { scrapeInterval: '0s' } },
    path: 'spec.prometheus.scrapeInterval',
    message: 'the duration must not be zero: write a longer one, such as 5s',
  },
  {
    what: 'A quantity that is not valid',
    spec: { kafka: { managed: { storage: { size: 'ten gigabytes' } } } },
    path: 'spec.kafka.managed.storage.size',
    message: 'write bytes with a unit, at least 1Mi, such as 512Mi or 10Gi',
  },
  {
    what: "The platform's own group among those of other programs",
    spec: { consumerGroups: [{ name: 'interest-batch', topics: ['a'], deployment: 'b' }] },
    path: 'spec.consumerGroups[0].name',
    message: "interest-batch is the platform's own group: set workloads.interest.autoscaling",
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
    what: 'A request above its limit',
    spec: interest({ resources: { requests: { cpu: 1 }, limits: { cpu: '250m' } } }),
    path: 'spec.workloads.interest.resources',
    message: 'requests.cpu is above limits.cpu: raise the limit or lower the request',
  },
  {
    what: 'More memory requested than allowed',
    spec: interest({ resources: { requests: { memory: '1Gi' }, limits: { memory: '512Mi' } } }),
    path: 'spec.workloads.interest.resources',
    message: 'requests.memory is above limits.memory: raise the limit or lower the request',
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
    message: 'write an image reference without scheme and spaces, such as registry.example.com/bss-platform/workloads:0.1.0',
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
    message: KEY,
  },
  {
    what: 'A toleration of every taint with a value',
    spec: { prometheus: { tolerations: [{ key: 'batch', operator: 'Exists', value: 'night' }] } },
    path: 'spec.prometheus.tolerations[0].value',
    message: 'operator Exists has no value: remove value, or set operator to Equal',
  },
  {
    what: 'A toleration without a key',
    spec: { prometheus: { tolerations: [{ value: 'night' }] } },
    path: 'spec.prometheus.tolerations[0].key',
    message: 'operator Equal needs a key: set key, or set operator to Exists',
  },
  {
    what: 'tolerationSeconds for a taint that evicts no pods',
    spec: { prometheus: { tolerations: [{ key: 'batch', operator: 'Exists', effect: 'NoSchedule', tolerationSeconds: 60 }] } },
    path: 'spec.prometheus.tolerations[0].tolerationSeconds',
    message: 'tolerationSeconds needs effect NoExecute: set effect, or remove tolerationSeconds',
  },
  {
    what: 'A priority class by another name than one can have',
    spec: interest({ priorityClassName: 'Business Critical' }),
    path: 'spec.workloads.interest.priorityClassName',
    message: 'write the name of an object: lower-case letters, digits, - and .',
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
    message: 'write bytes with a unit, at least 1Mi, such as 512Mi or 10Gi',
  },
  {
    what: 'Memory with the unit of CPU',
    spec: interest({ resources: { limits: { memory: '512m' } } }),
    path: 'spec.workloads.interest.resources.limits.memory',
    message: 'write bytes with a unit, at least 1Mi, such as 512Mi or 10Gi',
  },
  {
    what: 'A volume without a unit',
    spec: { kafka: { managed: { storage: { size: 10 } } } },
    path: 'spec.kafka.managed.storage.size',
    message: 'write bytes with a unit, at least 1Mi, such as 512Mi or 10Gi',
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
    what: 'A name that is too long',
    name: 'a-platform-with-a-name-that-is-much-too-long',
    spec: {},
    path: '<nil>',
    message:
      'choose a name of at most 40 lower case letters, digits and -, and begin it with a letter: it is part of the names of Services',
  },
];
