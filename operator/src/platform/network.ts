/** NetworkPolicies, from the connections that the definitions declare. Nothing else is allowed. */
import type { V1NetworkPolicyEgressRule, V1NetworkPolicyPeer, V1NetworkPolicyPort } from '@kubernetes/client-node';
import type { Draft } from './component.ts';
import { isMetricsPort, presentIn, type BuildInput, type ComponentDefinition, type Connection } from './definition.ts';
import type { IngressRule } from './kinds.ts';
import { nameOf, selectorOf } from './names.ts';
import type { BssPlatformSpec } from './spec.ts';
import type { PlatformInput } from './types.ts';

/** One end of a flow: a component, networks in CIDR notation, the pods of the platform's namespace, the operator, KEDA, or any address. */
type Place = { component: string } | { networks: string[] } | 'namespace' | 'operator' | 'keda' | 'anywhere';

interface Flow {
  from: Place;
  to: Place;
  ports: number[];
}

const at = (component: string): Place => ({ component });

/** Ports of a component: those with metrics, or all others. */
function portsOf({ ports }: ComponentDefinition, spec: BssPlatformSpec, scraped: boolean): number[] {
  const open = Object.entries(ports?.(spec) ?? {});
  return open.filter(([name]) => isMetricsPort(name) === scraped).map(([, port]) => port);
}

/** Ports for clients: those without metrics, or all if there are no others. */
function servicePorts(definition: ComponentDefinition, spec: BssPlatformSpec): number[] {
  const ports = portsOf(definition, spec, false);
  return ports.length > 0 ? ports : portsOf(definition, spec, true);
}

/** Destinations with metrics, for every component that has some. */
function metricsOf(present: ComponentDefinition[], spec: BssPlatformSpec): Omit<Flow, 'from'>[] {
  return present.map((definition) => ({ to: at(definition.name), ports: portsOf(definition, spec, true) })).filter(hasPorts);
}

const hasPorts = ({ ports }: { ports: number[] }) => ports.length > 0;

/**
 * Destinations of a connection. What is external to the platform has names and not addresses, which a NetworkPolicy cannot hold: its ports are
 * open to any address.
 */
function destinations(connection: Connection, { definitions, spec }: BuildInput): Omit<Flow, 'from'>[] {
  if (typeof connection === 'object') {
    if ('outside' in connection) return [outside(connection)];
    if ('component' in connection) return toComponent(connection, definitions, spec);
    if ('operator' in connection) return [{ to: 'operator', ports: connection.operator }];
    return metricsOf(presentIn(definitions, spec), spec);
  }
  const target = definitions.find(({ name }) => name === connection);
  if (target === undefined) throw new Error(`a component connects to ${connection}, which no definition has`);
  const isPresent = target.present?.(spec) ?? true;
  const flow = isPresent
    ? { to: at(target.name), ports: servicePorts(target, spec) }
    : { to: 'anywhere' as const, ports: target.external?.(spec) ?? [] };
  return [flow].filter(hasPorts);
}

/** Nothing, while the platform does not have the component. */
function toComponent(
  { component, ports }: { component: string; ports: number[] },
  definitions: readonly ComponentDefinition[],
  spec: BssPlatformSpec,
) {
  return presentIn(definitions, spec).some(({ name }) => name === component) ? [{ to: at(component), ports }] : [];
}

function outside({ outside: ports, of: networks = [] }: { outside: number[]; of?: string[] }): Omit<Flow, 'from'> {
  return { to: networks.length > 0 ? { networks } : 'anywhere', ports };
}

function flows(input: BuildInput): Flow[] {
  const { definitions, spec } = input;
  const present = presentIn(definitions, spec);
  const connections = present.map((definition) => ({ from: at(definition.name), all: definition.connections?.(spec) ?? [] }));
  // Without a component that scrapes, a Prometheus of the user's may.
  const scraped = connections.some(({ all }) => all.some((one) => typeof one === 'object' && 'metrics' in one));
  return [
    ...connections.flatMap(({ from, all }) => all.flatMap((one) => destinations(one, input)).map((flow) => ({ from, ...flow }))),
    ...present.flatMap(({ name, admits }) => (admits?.(spec) ?? []).map(({ from, ports }): Flow => ({ from, to: at(name), ports }))),
    ...(scraped ? [] : metricsOf(present, spec).map((flow): Flow => ({ from: 'anywhere', ...flow }))),
  ];
}

function peer(input: PlatformInput, place: Place): V1NetworkPolicyPeer[] | undefined {
  if (place === 'anywhere') return undefined;
  if (place === 'namespace') return [{ podSelector: {} }];
  if (place === 'keda')
    return [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': input.spec.networkPolicies.kedaNamespace } } }];
  if (place === 'operator') {
    return [
      {
        namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': input.operatorNamespace } },
        podSelector: { matchLabels: { 'app.kubernetes.io/name': 'bss-operator' } },
      },
    ];
  }
  if ('networks' in place) return place.networks.map((cidr) => ({ ipBlock: { cidr } }));
  return [{ podSelector: { matchLabels: selectorOf(input, place.component) } }];
}

function tcp(ports: number[]): V1NetworkPolicyPort[] {
  return ports.map((port) => ({ protocol: 'TCP', port }));
}

const is = (place: Place, component: string) => typeof place === 'object' && 'component' in place && place.component === component;

function policy(input: PlatformInput, name: string, all: Flow[]): Draft<'NetworkPolicy'> | undefined {
  const ingress = all
    .filter((flow) => is(flow.to, name))
    .map((flow): IngressRule => ({ ...wrap('from', peer(input, flow.from)), ports: tcp(flow.ports) }));
  const egress = all
    .filter((flow) => is(flow.from, name))
    .map((flow): V1NetworkPolicyEgressRule => ({ ...wrap('to', peer(input, flow.to)), ports: tcp(flow.ports) }));
  if (ingress.length + egress.length === 0) return undefined;
  return {
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
function defaultDeny(input: PlatformInput): Draft<'NetworkPolicy'> {
  const dns = input.spec.networkPolicies.dnsPorts.flatMap((port): V1NetworkPolicyPort[] =>
    ['UDP', 'TCP'].map((protocol) => ({ protocol, port })),
  );
  return {
    kind: 'NetworkPolicy',
    name: nameOf(input, 'default-deny'),
    spec: {
      podSelector: { matchLabels: { 'app.kubernetes.io/instance': input.name, 'app.kubernetes.io/part-of': 'bss-platform' } },
      policyTypes: ['Ingress', 'Egress'],
      egress: [{ ports: dns }],
    },
  };
}

export function networkPolicies(input: BuildInput): Draft[] {
  const { definitions, spec } = input;
  if (!spec.networkPolicies.enabled) return [];
  const all = flows(input);
  const policies = presentIn(definitions, spec).map(({ name }) => policy(input, name, all));
  return [defaultDeny(input), ...policies.filter((draft) => draft !== undefined)];
}
