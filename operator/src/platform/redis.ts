/** One Redis, as a cache. */
import { quantityValue } from '../api/index.ts';
import { blueprint, type Blueprint } from './component.ts';
import { credentialsName, nameOf, PORTS } from './names.ts';
import { configMap, deployment, service, type Managed } from './parts.ts';
import { configVolume, container, podTemplate, probes, scratch, secretVolume } from './pods.ts';
import type { PlatformInput } from './types.ts';

const USER = 999;

function conf(redis: Managed<'redis'>): string {
  return [
    `port ${PORTS.redis}`,
    'bind * -::*',
    'protected-mode no',
    'dir /data',
    'save ""',
    'appendonly no',
    `maxmemory ${Math.floor(quantityValue(redis.maxMemory))}`,
    `maxmemory-policy ${redis.evictionPolicy}`,
    // The password: out of a Secret, and in nobody's list of processes.
    'include /etc/redis-auth/auth.conf',
    '',
  ].join('\n');
}

/** The managed cache; nothing when Redis is external or off. */
export function redisComponent(input: PlatformInput): Blueprint | undefined {
  const redis = input.spec.redis.enabled ? input.spec.redis.managed : undefined;
  if (!redis) return undefined;
  const config = { 'redis.conf': conf(redis) };
  const template = podTemplate(input, {
    component: 'redis',
    placement: redis,
    user: USER,
    config,
    secrets: [{ name: credentialsName(input), keys: ['redis-auth'] }],
    gracePeriodSeconds: 15,
    containers: [
      container(input, {
        name: 'redis',
        image: 'redis',
        command: ['redis-server', '/etc/redis/redis.conf'],
        ports: { redis: PORTS.redis },
        resources: redis.resources,
        mounts: { '/etc/redis': 'config', '/etc/redis-auth': 'auth', '/data': 'data' },
        probes: probes({ tcpSocket: { port: PORTS.redis } }),
      }),
    ],
    volumes: [
      configVolume('config', nameOf(input, 'redis')),
      secretVolume('auth', credentialsName(input), { 'redis-auth': 'auth.conf' }),
      scratch('data', '64Mi'),
    ],
  });
  return blueprint('redis', 'stores', [
    configMap(input, 'redis', config),
    service(input, 'redis', { redis: PORTS.redis }),
    deployment(input, 'redis', template, 1, { type: 'Recreate' }),
  ]);
}
