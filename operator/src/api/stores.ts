/** The stores of a platform: each is run by the operator (`managed`) or belongs to the user (`external`). */
import { z } from 'zod';
import { host, managedXorExternal, objectName, placement, port, resources, secretKey, storage } from './common.ts';
import { bytes, defaultText, duration, positiveDuration, rule } from './rules.ts';

const broker = rule(z.string().min(3).max(260).describe('Address of a broker: host:port.'), {
  cel: "self.matches('^[A-Za-z0-9_]([-A-Za-z0-9_.]*[A-Za-z0-9])?:[0-9]{1,5}$')",
  message: 'write each broker as host:port, such as kafka.example.com:9092, without a scheme',
  check: (value) => /^[A-Za-z0-9_]([-A-Za-z0-9_.]*[A-Za-z0-9])?:[0-9]{1,5}$/.test(value),
});

const managedKafka = z
  .strictObject({
    storage: storage('the log', '5Gi'),
    heap: bytes('Heap of the broker (-Xmx). The memory limit must leave room beside it.').prefault('384Mi'),
    resources: resources('the broker'),
    ...placement(),
  })
  .describe('One Kafka broker in KRaft mode, run by the operator: for small and test installations.');

const externalKafka = z
  .strictObject({
    brokers: z.array(broker).min(1).max(16).meta({ 'x-kubernetes-list-type': 'set' }).describe('Addresses to find the cluster by.'),
    tls: z
      .strictObject({
        enabled: z.boolean().default(false).describe('Connect by TLS.'),
        caSecret: secretKey('Certificate authority of the brokers (PEM), where it is not a public one.', 'ca.crt').optional(),
      })
      .prefault({})
      .describe('Encryption towards the brokers.'),
    sasl: z
      .strictObject({
        mechanism: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']).default('scram-sha-512').describe('SASL mechanism.'),
        secretName: objectName("Secret in the platform's namespace that holds user name and password."),
        usernameKey: z.string().min(1).max(253).default('username').describe('Key of the user name.'),
        passwordKey: z.string().min(1).max(253).default('password').describe('Key of the password.'),
      })
      .optional()
      .describe('Authentication towards the brokers.'),
  })
  .describe('A Kafka cluster of your own (Strimzi, a cloud service, ...).');

export const kafka = managedXorExternal(
  z
    .strictObject({ managed: managedKafka.optional(), external: externalKafka.optional() })
    .describe('The event log. Managed with defaults when neither field is set.'),
  'Kafka',
).prefault({});

const managedPostgres = z
  .strictObject({
    storage: storage('the database', '5Gi'),
    parameters: z
      .record(z.string().max(63), z.string().max(256))
      .default({})
      .meta({ maxProperties: 64 })
      .describe('More settings of postgresql.conf, such as work_mem: 16MB. A change restarts the server.'),
    maxConnections: z
      .int()
      .min(20)
      .max(1000)
      .default(100)
      .describe('max_connections of the server. PgBouncer multiplexes the workloads onto these.'),
    resources: resources('the server'),
    ...placement(),
  })
  .describe('One PostgreSQL server run by the operator: for small and test installations.');

const externalPostgres = z
  .strictObject({
    host: host('Address of the primary.'),
    port: port('Its port.', 5432),
    tls: z.enum(['disable', 'require']).default('require').describe('Encryption of connections to the server (sslmode).'),
    adminSecret: z
      .strictObject({
        name: objectName("Secret in the platform's namespace."),
        usernameKey: z.string().min(1).max(253).default('username').describe('Key of the user name.'),
        passwordKey: z.string().min(1).max(253).default('password').describe('Key of the password.'),
      })
      .describe(
        'A role that may create databases and roles. Used by the migration Job and the metrics exporter only; the workloads get roles of their own.',
      ),
  })
  .describe(
    'A PostgreSQL server of your own (CloudNativePG, a cloud service, ...). The operator creates the database ledger and its roles in it.',
  );

export const postgres = managedXorExternal(
  z
    .strictObject({ managed: managedPostgres.optional(), external: externalPostgres.optional() })
    .describe('The system of record. Managed with defaults when neither field is set.'),
  'PostgreSQL',
).prefault({});

export const pgbouncer = rule(
  rule(
    z.strictObject({
      replicas: z
        .int()
        .min(1)
        .max(10)
        .default(1)
        .describe('Number of poolers. Each has pools of its own: the connections to the server multiply.'),
      port: port('Port that the workloads connect to (listen_port).', 6432),
      poolMode: z
        .enum(['transaction', 'session'])
        .default('transaction')
        .describe('When a server connection goes back to the pool (pool_mode). The workloads need no session state.'),
      maxClientConnections: z.int().min(10).max(10_000).default(100).describe('Clients that one pooler accepts (max_client_conn).'),
      defaultPoolSize: z.int().min(1).max(500).default(20).describe('Server connections for each role (default_pool_size).'),
      minPoolSize: z.int().min(0).max(500).default(5).describe('Server connections that are kept open for each role (min_pool_size).'),
      reservePoolSize: z
        .int()
        .min(0)
        .max(500)
        .default(5)
        .describe('More server connections for each role when clients have to wait (reserve_pool_size).'),
      reservePoolTimeout: duration('How long a client waits before the reserve is used (reserve_pool_timeout, whole seconds).').default(
        '5s',
      ),
      queryWaitTimeout: duration(
        'How long a query may wait for a server connection before its client is refused (query_wait_timeout, whole seconds).',
      ).default('30s'),
      serverIdleTimeout: duration('After which idle time a server connection is closed (server_idle_timeout, whole seconds).').default(
        '10m',
      ),
      maxPreparedStatements: z
        .int()
        .min(0)
        .max(10_000)
        .default(200)
        .describe(
          'Named prepared statements kept for each server connection in transaction mode; 0 turns them off (max_prepared_statements).',
        ),
      resources: resources('a pooler'),
      ...placement(),
    }),
    {
      cel: 'self.minPoolSize <= self.defaultPoolSize',
      message: 'minPoolSize is above defaultPoolSize: lower minPoolSize or raise defaultPoolSize',
      fieldPath: '.minPoolSize',
      check: (value) => value.minPoolSize <= value.defaultPoolSize,
    },
  ),
  {
    cel: 'self.defaultPoolSize + self.reservePoolSize <= self.maxClientConnections',
    message: 'defaultPoolSize + reservePoolSize is above maxClientConnections: a pool larger than the number of clients is never used',
    fieldPath: '.defaultPoolSize',
    check: (value) => value.defaultPoolSize + value.reservePoolSize <= value.maxClientConnections,
  },
)
  .prefault({})
  .describe('PgBouncer in front of PostgreSQL, for every query at run time.');

const managedRedis = z
  .strictObject({
    maxMemory: bytes('Memory for entries (maxmemory). The memory limit must leave room beside it.').prefault('64Mi'),
    evictionPolicy: z
      .enum(['allkeys-lru', 'allkeys-lfu', 'volatile-lru', 'volatile-lfu', 'volatile-ttl', 'noeviction'])
      .default('allkeys-lru')
      .describe('What goes when the memory is full (maxmemory-policy).'),
    resources: resources('the cache'),
    ...placement(),
  })
  .describe('One Redis run by the operator, as a cache: it keeps nothing over a restart.');

const externalRedis = z
  .strictObject({
    host: host('Address of the server.'),
    port: port('Its port.', 6379),
    tls: z.boolean().default(false).describe('Connect by TLS.'),
    passwordSecret: secretKey('Password, where the server asks for one.', 'password').optional(),
  })
  .describe('A Redis of your own.');

export const redis = managedXorExternal(
  z.strictObject({
    enabled: z.boolean().default(true).describe('False: the platform has no cache.'),
    managed: managedRedis.optional(),
    external: externalRedis.optional(),
  }),
  'Redis',
)
  .prefault({})
  .describe('The cache. Managed with defaults when neither managed nor external is set.');

export const topics = z
  .array(
    z.strictObject({
      name: z
        .string()
        .min(1)
        .max(249)
        .regex(/^[a-zA-Z0-9._-]+$/, 'write a topic name: letters, digits, . _ and -')
        .describe('Name of the topic.'),
      partitions: z
        .int()
        .min(1)
        .max(1000)
        .default(12)
        .describe('Number of partitions: the most consumers of one group that can share the work. Can be raised, never lowered.'),
      replicationFactor: defaultText(
        z.int().min(1).max(7).optional().describe('Copies of each partition. Used when the topic is created.'),
        "1 on the managed Kafka, the cluster's own default on an external one",
      ),
      retention: positiveDuration('How long events are kept (retention.ms).').default('7d'),
      cleanupPolicy: z.enum(['delete', 'compact']).default('delete').describe('What happens to old events (cleanup.policy).'),
    }),
  )
  .max(100)
  .refine((value) => new Set(value.map((topic) => topic.name)).size === value.length, 'each topic may stand once: remove the double')
  .default([])
  .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] })
  .describe(
    "Settings of the platform's topics, and more topics to create. The platform's own (interest.transaction.v1, interest.transaction.v1.dlq) exist in any case. A topic that leaves the list is not deleted.",
  );
