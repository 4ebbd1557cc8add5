/** Where a user finds what the platform runs: `status.endpoints`. */
import { kafkaAccess, redisAccess } from './connections.ts';
import { addressOf, PORTS } from './names.ts';
import type { PlatformInput } from './types.ts';

export interface Endpoint {
  name: string;
  /** URL or host:port inside the cluster; the public URL of an Ingress; the first host name of a route, whose scheme its Gateway decides. */
  address: string;
}

/** In order of their names. Hibernation changes nothing: the addresses stay. */
export function endpoints(platform: Pick<PlatformInput, 'name' | 'namespace' | 'spec'>): Endpoint[] {
  const { workloads, prometheus, pgbouncer } = platform.spec;
  const redis = redisAccess(platform);
  const list: (Endpoint | false | undefined)[] = [
    workloads.gateway.enabled && { name: 'gateway', address: `http://${addressOf(platform, 'gateway')}:${PORTS.http}` },
    publicGateway(platform.spec),
    { name: 'kafka', address: kafkaAccess(platform).brokers.join(',') },
    workloads.ledger.enabled && { name: 'ledger', address: `http://${addressOf(platform, 'ledger')}:${PORTS.http}` },
    { name: 'postgres', address: `${addressOf(platform, 'pgbouncer')}:${pgbouncer.port}` },
    prometheus.enabled && { name: 'prometheus', address: `http://${addressOf(platform, 'prometheus')}:${PORTS.prometheus}` },
    redis && { name: 'redis', address: redis.url },
  ];
  return list.filter((entry) => typeof entry === 'object');
}

function publicGateway({ workloads: { gateway } }: PlatformInput['spec']): Endpoint | undefined {
  const { enabled, ingress, route } = gateway;
  const hostname = route?.hostnames[0];
  const scheme = ingress?.tlsSecretName === undefined ? 'http' : 'https';
  const address = ingress ? `${scheme}://${ingress.host}` : hostname;
  return enabled && address !== undefined ? { name: 'gateway-public', address } : undefined;
}
