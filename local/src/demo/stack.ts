/** The monitoring stack in the demo: where a person, or curl, finds it. */
import type { Target } from '../target/target.ts';
import type { PlatformResource } from './platform.ts';

/** Component -> port, and a path that shows something. */
const PLACES = {
  grafana: { what: 'Grafana', port: 3000, path: '/' },
  tempo: { what: 'Tempo', port: 3200, path: '/api/search' },
  jaeger: { what: 'Jaeger', port: 16686, path: '/api/services' },
  loki: { what: 'Loki', port: 3100, path: '/loki/api/v1/labels' },
} as const;

export interface Address {
  readonly what: string;
  readonly url: string;
}

/** Opens a port for each part of the stack that the platform runs. */
export async function stackAddresses(target: Target, platform: PlatformResource): Promise<Address[]> {
  const components = (await platform.get())?.status?.components ?? [];
  const addresses: Address[] = [];
  for (const [component, { what, port, path }] of Object.entries(PLACES)) {
    if (!components.some(({ name }) => name === component)) continue;
    const url = await target.forward(platform.namespace, `${platform.name}-${component}`, port);
    addresses.push({ what, url: `${url}${path}` });
  }
  return addresses;
}
