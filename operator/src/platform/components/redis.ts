/** Redis: one server as a cache, or one of the user's. */
import { z } from 'zod';
import { host, managedXorExternal, placement, port, resources, secretKey } from '../../api/common.ts';
import { quantityValue } from '../../api/index.ts';
import { piece } from '../../api/piece.ts';
import { amounts } from '../../api/profiles.ts';
import { bytes, rule } from '../../api/rules.ts';
import { authority, type Authority } from '../authority.ts';
import type { ComponentDefinition } from '../definition.ts';
import { addressOf, credentialsName, nameOf } from '../names.ts';
import { configMap, deployment, service, type Managed } from '../parts.ts';
import { configVolume, container, podTemplate, scratch, secretVolume, storeProbes } from '../pods.ts';
import type { BssPlatformSpec } from '../spec.ts';
import { settleStore } from '../store.ts';
import type { Advice, PlatformInput } from '../types.ts';

const managedRedis = z
  .strictObject({
    maxMemory: bytes('Memory for entries (maxmemory). The memory limit must leave room beside it.').prefault('64Mi'),
    evictionPolicy: z
      .enum(['allkeys-lru', 'allkeys-lfu', 'volatile-lru', 'volatile-lfu', 'volatile-ttl', 'noeviction'])
      .default('allkeys-lru')
      .describe('Which entries Redis evicts when the memory is full (maxmemory-policy).'),
    resources: resources('the cache'),
    ...placement(),
  })
  .describe('One Redis server that the operator runs as a cache: it loses its data on a restart.');

const externalRedis = rule(
  z.strictObject({
    host: host('Address of the server.'),
    port: port('Its port.', 6379),
    tls: z.boolean().default(false).describe('Connect by TLS.'),
    caSecret: secretKey('Certificate authority of the server in PEM, if it is not publicly trusted; with tls.', 'ca.crt').optional(),
    passwordSecret: secretKey('Password, if the server requires one.', 'password').optional(),
  }),
  {
    cel: 'self.tls || !has(self.caSecret)',
    message: 'caSecret has no effect without tls: set tls: true, or remove caSecret',
    fieldPath: '.caSecret',
    check: ({ tls, caSecret }) => tls || caSecret === undefined,
  },
).describe('An existing Redis server.');

const schema = managedXorExternal(
  z.strictObject({
    enabled: z.boolean().default(true).describe('Run or use a Redis cache.'),
    managed: managedRedis.optional(),
    external: externalRedis.optional(),
  }),
  'Redis',
)
  .prefault({})
  .describe('The cache. Managed with defaults when neither managed nor external is set.');

export const specPiece = piece('redis', schema, {
  profiles: {
    small: { managed: { resources: amounts('20m', '32Mi', '250m', '128Mi') } },
    production: { managed: { maxMemory: '768Mi', resources: amounts('100m', '256Mi', undefined, '1Gi') } },
  },
  settle: settleStore,
});

const IMAGE = {
  name: 'redis',
  refs: { '0.1.0': 'redis:8.0.2' },
  what: 'Redis',
  debian: { packages: ['redis-server'], version: ['redis-server', '--version'] },
};
const PASSWORD_KEY = 'redis-password';
/** Key with the line of redis.conf that sets the password. */
const AUTH_KEY = 'redis-auth';
const USER = 999;
const PORT = 6379;

function conf(redis: Managed<'redis'>): string {
  return [
    `port ${PORT}`,
    'bind * -::*',
    'protected-mode no',
    'dir /data',
    'save ""',
    'appendonly no',
    `maxmemory ${Math.floor(quantityValue(redis.maxMemory))}`,
    `maxmemory-policy ${redis.evictionPolicy}`,
    // The password is in a Secret, and not in the list of processes.
    'include /etc/redis-auth/auth.conf',
    '',
  ].join('\n');
}

function template(input: PlatformInput, redis: Managed<'redis'>, config: Record<string, string>) {
  return podTemplate(input, {
    component: 'redis',
    placement: redis,
    user: USER,
    config,
    secrets: [{ name: credentialsName(input), keys: [AUTH_KEY] }],
    gracePeriodSeconds: 15,
    containers: [
      container(input, {
        name: 'redis',
        image: IMAGE,
        command: ['redis-server', '/etc/redis/redis.conf'],
        ports: { redis: PORT },
        resources: redis.resources,
        mounts: { '/etc/redis': 'config', '/etc/redis-auth': 'auth', '/data': 'data' },
        probes: storeProbes({ tcpSocket: { port: PORT } }),
      }),
    ],
    volumes: [
      configVolume('config', nameOf(input, 'redis')),
      secretVolume('auth', credentialsName(input), { [AUTH_KEY]: 'auth.conf' }),
      scratch('data', '64Mi'),
    ],
  });
}

interface RedisAccess {
  url: string;
  password?: { secretName: string; key: string };
  /** The authority that clients check the server against; absent: the ones of their image. */
  authority?: Authority;
}

/** How to reach Redis; undefined when the platform has none. */
export function redisAccess(platform: Pick<PlatformInput, 'name' | 'namespace' | 'spec'>): RedisAccess | undefined {
  const { enabled, external } = platform.spec.redis;
  if (!enabled) return undefined;
  if (!external) {
    return {
      url: `redis://${addressOf(platform, 'redis')}:${PORT}`,
      password: { secretName: credentialsName(platform), key: PASSWORD_KEY },
    };
  }
  const { tls, caSecret, passwordSecret } = external;
  const url = `${tls ? 'rediss' : 'redis'}://${external.host}:${external.port}`;
  return {
    url,
    ...(passwordSecret ? { password: { secretName: passwordSecret.name, key: passwordSecret.key } } : {}),
    ...(caSecret ? { authority: authority('redis', caSecret) } : {}),
  };
}

function cacheAboveLimit({ redis }: BssPlatformSpec): Advice | undefined {
  const limit = redis.managed?.resources.limits.memory;
  if (!redis.enabled || !redis.managed || limit === undefined || quantityValue(redis.managed.maxMemory) * 1.25 <= quantityValue(limit))
    return undefined;
  return {
    path: 'spec.redis.managed.maxMemory',
    message: `maxMemory ${redis.managed.maxMemory} leaves too little of the memory limit ${limit}: keep it below 80 % of it`,
  };
}

export const definition: ComponentDefinition = {
  name: 'redis',
  stage: 'stores',
  present: ({ redis }) => redis.enabled && redis.managed !== undefined,
  images: [IMAGE],
  ports: () => ({ redis: PORT }),
  external: ({ redis }) => (redis.enabled && redis.external ? [redis.external.port] : []),
  credentials: [{ key: PASSWORD_KEY, type: 'password', derived: { key: AUTH_KEY, text: (password) => `requirepass ${password}\n` } }],
  reads: [AUTH_KEY],
  endpoints: (platform) => {
    const access = redisAccess(platform);
    return access ? [{ name: 'redis', address: access.url }] : [];
  },
  advise: (all) => [cacheAboveLimit(all)],
  manifests: (input) => {
    const redis = input.spec.redis.managed;
    if (!redis) return [];
    const config = { 'redis.conf': conf(redis) };
    return [
      configMap(input, 'redis', config),
      service(input, 'redis', { redis: PORT }),
      deployment(input, 'redis', template(input, redis, config), 1, { type: 'Recreate' }),
    ];
  },
};
