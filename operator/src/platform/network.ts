/** NetworkPolicies: nothing may pass, except the flows named here. */
import type {
  V1NetworkPolicyIngressRule,
  V1NetworkPolicyEgressRule,
  V1NetworkPolicyPeer,
  V1NetworkPolicyPort,
} from '@kubernetes/client-node';
import type { BssPlatformSpec } from '../api/index.ts';
import type { Draft } from './component.ts';
import { nameOf, PORTS, selectorOf } from './names.ts';
import type { PlatformInput } from './types.ts';

/** From where a flow comes or to where it goes: a component, the operator, KEDA, or any address. */
type Place = { component: string } | 'operator' | 'keda' | 'anywhere';

interface Flow {
  from: Place;
  to: Place;
  ports: number[];
}

const at = (component: string): Place => ({ component });

/** Ports of addresses host:port, each once, in order. */
function portsOf(addresses: string[]): number[] {
  return [...new Set(addresses.map((address) => Number(address.split(':').at(-1))))].toSorted((a, b) => a - b);
}

/** Endpoints outside the platform are names, which a NetworkPolicy cannot hold: their ports are open to any address. */
function stores(spec: BssPlatformSpec) {
  const { kafka, postgres, redis } = spec;
  return {
    kafka: kafka.external ? { to: 'anywhere' as const, ports: portsOf(kafka.external.brokers) } : { to: at('kafka'), ports: [PORTS.kafka] },
    postgres: postgres.external
      ? { to: 'anywhere' as const, ports: [postgres.external.port] }
      : { to: at('postgres'), ports: [PORTS.postgres] },
    redis: redis.external ? { to: 'anywhere' as const, ports: [redis.external.port] } : { to: at('redis'), ports: [PORTS.redis] },
    pgbouncer: { to: at('pgbouncer'), ports: [spec.pgbouncer.port] },
  };
}

/** Ports with metrics, by component. */
const METRICS: Record<string, number[]> = {
  pgbouncer: [PORTS.pgbouncerExporter],
  ledger: [PORTS.metrics],
  gateway: [PORTS.metrics],
  interest: [PORTS.metrics],
  'kafka-exporter': [PORTS.kafkaExporter],
  exporters: [PORTS.postgresExporter, PORTS.redisExporter],
  prometheus: [PORTS.prometheus],
};

/** API servers listen on 443 behind their Service, and on 6443 behind it. */
const API_SERVER = [443, 6443];

function flows({ spec }: PlatformInput): Flow[] {
  const store = stores(spec);
  const scraped = Object.entries(METRICS);
  return [
    { from: at('gateway'), to: at('ledger'), ports: [PORTS.http] },
    ...['gateway', 'interest', 'kafka-exporter'].map((name) => ({ from: at(name), ...store.kafka })),
    ...['migrate', 'ledger', 'interest'].map((name) => ({ from: at(name), ...store.pgbouncer })),
    ...['pgbouncer', 'migrate', 'exporters'].map((name) => ({ from: at(name), ...store.postgres })),
    ...(spec.redis.enabled ? [{ from: at('exporters'), ...store.redis }] : []),
    ...(spec.prometheus.enabled
      ? [
          ...scraped.map(([name, ports]) => ({ from: at('prometheus'), to: at(name), ports })),
          { from: at('prometheus'), to: 'anywhere' as const, ports: API_SERVER },
        ]
      : scraped.map(([name, ports]) => ({ from: 'anywhere' as const, to: at(name), ports }))),
    ...traces(spec),
    { from: 'anywhere', to: at('gateway'), ports: [PORTS.http] },
    // The operator reads lags and makes topics; KEDA, where it scales, reads lags too.
    ...(spec.kafka.external ? [] : [{ from: 'operator' as const, ...store.kafka }]),
    ...(spec.workloads.interest.autoscaling.mode === 'keda' && !spec.kafka.external ? [{ from: 'keda' as const, ...store.kafka }] : []),
  ];
}

function traces(spec: BssPlatformSpec): Flow[] {
  if (spec.telemetry.otlpEndpoint === undefined) return [];
  const url = new URL(spec.telemetry.otlpEndpoint);
  const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port);
  return ['gateway', 'ledger', 'interest', 'kafka-exporter', 'migrate'].map((name) => ({ from: at(name), to: 'anywhere', ports: [port] }));
}

function peer(input: PlatformInput, place: Place): V1NetworkPolicyPeer[] | undefined {
  if (place === 'anywhere') return undefined;
  if (place === 'keda') return [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'keda' } } }];
  if (place === 'operator') {
    return [
      {
        namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': input.operatorNamespace } },
        podSelector: { matchLabels: { 'app.kubernetes.io/name': 'bss-operator' } },
      },
    ];
  }
  return [{ podSelector: { matchLabels: selectorOf(input, place.component) } }];
}

function tcp(ports: number[]): V1NetworkPolicyPort[] {
  return ports.map((port) => ({ protocol: 'TCP', port }));
}

/** Names of the components that the platform has pods of. */
function present({ spec }: PlatformInput): string[] {
  const { workloads } = spec;
  const all: [string, unknown][] = [
    ['kafka', spec.kafka.managed],
    ['postgres', spec.postgres.managed],
    ['pgbouncer', true],
    ['redis', spec.redis.enabled && spec.redis.managed],
    ['migrate', true],
    ['ledger', workloads.ledger.enabled],
    ['gateway', workloads.gateway.enabled],
    ['interest', workloads.interest.enabled],
    ['kafka-exporter', workloads.kafkaExporter.enabled],
    ['exporters', spec.prometheus.enabled],
    ['prometheus', spec.prometheus.enabled],
  ];
  return all.filter(([, there]) => Boolean(there)).map(([name]) => name);
}

const is = (place: Place, component: string) => typeof place === 'object' && place.component === component;

function policy(input: PlatformInput, name: string, all: Flow[]): Draft | undefined {
  const ingress = all
    .filter((flow) => is(flow.to, name))
    .map((flow): V1NetworkPolicyIngressRule => ({ ...wrap('from', peer(input, flow.from)), ports: tcp(flow.ports) }));
  const egress = all
    .filter((flow) => is(flow.from, name))
    .map((flow): V1NetworkPolicyEgressRule => ({ ...wrap('to', peer(input, flow.to)), ports: tcp(flow.ports) }));
  if (ingress.length + egress.length === 0) return undefined;
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    name: nameOf(input, name),
    spec: {
      podSelector: { matchLabels: selectorOf(input, name) },
      policyTypes: ['Ingress', 'Egress'],
      ...(ingress.length > 0 ? { ingress } : {}),
      ...(egress.length > 0 ? { egress } : {}),
    },
  };
}

function wrap(key: 'from' | 'to', peers: V1NetworkPolicyPeer[] | undefined) {
  return peers ? { [key]: peers } : {};
}

/** All pods of the platform: nothing in, and nothing out but name resolution. */
function defaultDeny(input: PlatformInput): Draft {
  const dns: V1NetworkPolicyPort[] = [
    { protocol: 'UDP', port: 53 },
    { protocol: 'TCP', port: 53 },
  ];
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    name: nameOf(input, 'default-deny'),
    spec: {
      podSelector: { matchLabels: { 'app.kubernetes.io/instance': input.name, 'app.kubernetes.io/part-of': 'bss-platform' } },
      policyTypes: ['Ingress', 'Egress'],
      egress: [{ ports: dns }],
    },
  };
}

export function networkPolicies(input: PlatformInput): Draft[] {
  if (!input.spec.networkPolicies.enabled) return [];
  const components = present(input);
  const there = (place: Place) => typeof place !== 'object' || components.includes(place.component);
  const all = flows(input).filter((flow) => there(flow.from) && there(flow.to));
  const policies = components.map((name) => policy(input, name, all)).filter((draft) => draft !== undefined);
  return [defaultDeny(input), ...policies];
}
