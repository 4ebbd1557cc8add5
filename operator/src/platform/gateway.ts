/** The public HTTP entry. */
import { INTEREST_TOPIC } from '../api/index.ts';
import { blueprint, type Blueprint, type Draft } from './component.ts';
import { httpAddress, kafkaClient } from './connections.ts';
import { tokenKey } from './credentials.ts';
import { credentialsName, nameOf, PORTS } from './names.ts';
import { disruptionBudget, service } from './parts.ts';
import { fromSecret, value } from './pods.ts';
import type { PlatformInput } from './types.ts';
import { workload } from './workload.ts';

function ingress(input: PlatformInput): Draft | undefined {
  const route = input.spec.workloads.gateway.ingress;
  if (!route) return undefined;
  const { host, className, tlsSecretName, annotations } = route;
  const backend = { service: { name: nameOf(input, 'gateway'), port: { name: 'http' } } };
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    name: nameOf(input, 'gateway'),
    annotations,
    spec: {
      ...(className === undefined ? {} : { ingressClassName: className }),
      ...(tlsSecretName === undefined ? {} : { tls: [{ hosts: [host], secretName: tlsSecretName }] }),
      rules: [{ host, http: { paths: [{ path: '/', pathType: 'Prefix', backend }] } }],
    },
  };
}

/** Of the Gateway API, which not every cluster serves. */
export const HTTP_ROUTE = { apiVersion: 'gateway.networking.k8s.io/v1', kind: 'HTTPRoute' };

function httpRoute(input: PlatformInput): Draft | undefined {
  const route = input.spec.workloads.gateway.route;
  if (!route) return undefined;
  const parents = route.parentRefs.map(({ name, namespace, sectionName }) => ({
    group: 'gateway.networking.k8s.io',
    kind: 'Gateway',
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(sectionName === undefined ? {} : { sectionName }),
  }));
  const backend = { group: '', kind: 'Service', name: nameOf(input, 'gateway'), port: PORTS.http, weight: 1 };
  return {
    ...HTTP_ROUTE,
    name: nameOf(input, 'gateway'),
    spec: {
      parentRefs: parents,
      ...(route.hostnames.length > 0 ? { hostnames: route.hostnames } : {}),
      rules: [{ matches: [{ path: { type: 'PathPrefix', value: '/' } }], backendRefs: [backend] }],
    },
  };
}

export function gatewayComponent(input: PlatformInput): Blueprint | undefined {
  const { gateway } = input.spec.workloads;
  if (!gateway.enabled) return undefined;
  const kafka = kafkaClient(input);
  const secret = credentialsName(input);
  const tokens = input.slots.live.map(tokenKey);
  return blueprint('gateway', 'workloads', [
    service(input, 'gateway', { http: PORTS.http }),
    workload(input, {
      name: 'gateway',
      spec: gateway,
      replicas: gateway.replicas,
      env: [
        ...kafka.env,
        value('LEDGER_URL', httpAddress(input, 'ledger')),
        value('INTEREST_TOPIC', INTEREST_TOPIC),
        value('DEBUG_SEED_ENABLED', String(gateway.debugSeed.enabled)),
        // Two of them while they are rotated; else the same one twice.
        fromSecret('DEBUG_TOKEN', secret, tokens.at(0) ?? ''),
        fromSecret('DEBUG_TOKEN_OTHER', secret, tokens.at(-1) ?? ''),
      ],
      secrets: [...kafka.secrets, { name: secret, keys: tokens }],
      volumes: kafka.volumes,
      mounts: kafka.mounts,
      http: true,
      gracePeriodSeconds: 30,
    }),
    disruptionBudget(input, 'gateway'),
    ingress(input),
    httpRoute(input),
  ]);
}
