/** The gateway: the public HTTP entry. */
import { z } from 'zod';
import { annotationMap, host, objectName } from '../../api/common.ts';
import { piece } from '../../api/piece.ts';
import { amounts } from '../../api/profiles.ts';
import { rule } from '../../api/rules.ts';
import type { Draft } from '../component.ts';
import type { BuildInput, ComponentDefinition } from '../definition.ts';
import { KINDS } from '../kinds.ts';
import { slotKey } from '../logins.ts';
import { addressOf, credentialsName, nameOf } from '../names.ts';
import { disruptionBudget, service } from '../parts.ts';
import { fromSecret, value } from '../pods.ts';
import type { BssPlatformSpec } from '../spec.ts';
import type { Advice, Endpoint, PlatformInput } from '../types.ts';
import { httpAddress, HTTP_PORT, METRICS_PORT, replicas, workload, workloadConnections, workloadFields } from '../workload.ts';
import { INTEREST_TOPIC } from './interest.ts';
import { kafkaClient } from './kafka.ts';

const ingressSchema = z
  .strictObject({
    host: host('Host name of the gateway.'),
    className: objectName("IngressClass; the cluster's default class when absent.").optional(),
    tlsSecretName: objectName('Secret with the certificate (kubernetes.io/tls). Without it the route is plain HTTP.').optional(),
    annotations: annotationMap('Annotations of the Ingress: settings of the ingress controller, the issuer of the certificate.'),
  })
  .describe('An Ingress for the gateway.');

const parentRef = z.strictObject({
  name: objectName('Name of a Gateway.'),
  namespace: objectName("Its namespace; the platform's own when absent.").optional(),
  sectionName: objectName('Name of one of its listeners; all that admit the route when absent.').optional(),
});

const HOSTNAME = '^([*][.])?[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)+$';

const hostname = rule(z.string().min(1).max(253), {
  cel: `self.matches('${HOSTNAME}')`,
  message: 'write a host name in lower case, such as bss.example.com or *.example.com, without a scheme or port',
  check: (given) => new RegExp(HOSTNAME).test(given),
});

const routeSchema = z
  .strictObject({
    parentRefs: z
      .array(parentRef)
      .min(1)
      .max(8)
      .meta({ 'x-kubernetes-list-type': 'atomic' })
      .describe('Gateways that the route attaches to. Their listeners have the certificates.'),
    hostnames: z
      .array(hostname)
      .max(16)
      .default([])
      .meta({ 'x-kubernetes-list-type': 'set' })
      .describe('Host names of the gateway; those of the listeners when empty.'),
  })
  .describe('An HTTPRoute of the Gateway API (gateway.networking.k8s.io/v1) for the gateway. The Gateway terminates TLS.');

const schema = rule(
  z.strictObject({
    ...workloadFields('the gateway'),
    replicas,
    debugSeed: z
      .strictObject({
        enabled: z
          .boolean()
          .default(false)
          .describe(
            'Serve POST /debug/seed, which publishes random events. Callers need the debug-token of the credentials Secret. Not for production.',
          ),
      })
      .prefault({})
      .describe('Random events for demonstrations and load tests.'),
    ingress: ingressSchema.optional(),
    route: routeSchema.optional(),
  }),
  {
    cel: '!(has(self.ingress) && has(self.route))',
    message: 'set either ingress or route: remove route to use an Ingress, or remove ingress to attach to a Gateway',
    fieldPath: '.route',
    check: (given) => given.ingress === undefined || given.route === undefined,
  },
)
  .prefault({})
  .describe('Public HTTP entry.');

export const specPiece = piece('workloads.gateway', schema, {
  profiles: {
    small: { resources: amounts('50m', '128Mi', '1', '384Mi') },
    production: { replicas: 2, resources: amounts('250m', '256Mi', undefined, '512Mi') },
  },
  groupRules: [
    {
      cel: '!self.gateway.enabled || self.ledger.enabled',
      message: 'the gateway needs the ledger: set workloads.ledger.enabled to true, or workloads.gateway.enabled to false',
      fieldPath: '.ledger.enabled',
      check: ({ gateway, ledger }) => !gateway?.enabled || ledger?.enabled === true,
    },
  ],
});

/** Key of the token for POST /debug/seed. */
const TOKEN_KEY = 'debug-token';

function ingress(input: PlatformInput): Draft<'Ingress'> | undefined {
  const route = input.spec.workloads.gateway.ingress;
  if (!route) return undefined;
  const { className, tlsSecretName, annotations } = route;
  const backend = { service: { name: nameOf(input, 'gateway'), port: { name: 'http' } } };
  return {
    kind: 'Ingress',
    name: nameOf(input, 'gateway'),
    annotations,
    spec: {
      ...(className === undefined ? {} : { ingressClassName: className }),
      ...(tlsSecretName === undefined ? {} : { tls: [{ hosts: [route.host], secretName: tlsSecretName }] }),
      rules: [{ host: route.host, http: { paths: [{ path: '/', pathType: 'Prefix', backend }] } }],
    },
  };
}

/** A kind of the Gateway API, which not every cluster serves. */
export const HTTP_ROUTE = { apiVersion: KINDS.HTTPRoute.apiVersion, kind: 'HTTPRoute' };

function httpRoute(input: PlatformInput): Draft<'HTTPRoute'> | undefined {
  const route = input.spec.workloads.gateway.route;
  if (!route) return undefined;
  const parents = route.parentRefs.map(({ name, namespace, sectionName }) => ({
    group: 'gateway.networking.k8s.io',
    kind: 'Gateway',
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(sectionName === undefined ? {} : { sectionName }),
  }));
  const backend = { group: '', kind: 'Service', name: nameOf(input, 'gateway'), port: HTTP_PORT, weight: 1 };
  return {
    kind: 'HTTPRoute',
    name: nameOf(input, 'gateway'),
    spec: {
      parentRefs: parents,
      ...(route.hostnames.length > 0 ? { hostnames: route.hostnames } : {}),
      rules: [{ matches: [{ path: { type: 'PathPrefix', value: '/' } }], backendRefs: [backend] }],
    },
  };
}

function publicAddress({ workloads: { gateway } }: BssPlatformSpec): Endpoint[] {
  const { ingress: entry, route } = gateway;
  const scheme = entry?.tlsSecretName === undefined ? 'http' : 'https';
  const address = entry ? `${scheme}://${entry.host}` : route?.hostnames[0];
  return address === undefined ? [] : [{ name: 'gateway-public', address }];
}

function seedInProduction({ profile, workloads: { gateway } }: BssPlatformSpec): Advice | undefined {
  if (profile !== 'production' || !gateway.enabled || !gateway.debugSeed.enabled) return undefined;
  return {
    path: 'spec.workloads.gateway.debugSeed.enabled',
    message: 'the seed endpoint is open in the production profile: turn it off unless this is a load test',
  };
}

function gatewayDeployment(input: BuildInput): Draft<'Deployment'> {
  const { gateway } = input.spec.workloads;
  const kafka = kafkaClient(input);
  const secret = credentialsName(input);
  const tokens = input.slots.live.map((slot) => slotKey(TOKEN_KEY, slot));
  return workload(input, {
    name: 'gateway',
    spec: gateway,
    replicas: gateway.replicas,
    env: [
      ...kafka.env,
      value('LEDGER_URL', httpAddress(input, 'ledger')),
      value('INTEREST_TOPIC', INTEREST_TOPIC),
      value('DEBUG_SEED_ENABLED', String(gateway.debugSeed.enabled)),
      // Two tokens during a rotation, otherwise the same one twice.
      fromSecret('DEBUG_TOKEN', secret, tokens.at(0) ?? ''),
      fromSecret('DEBUG_TOKEN_OTHER', secret, tokens.at(-1) ?? ''),
    ],
    secrets: [...kafka.secrets, { name: secret, keys: tokens }],
    volumes: kafka.volumes,
    mounts: kafka.mounts,
    http: true,
    gracePeriodSeconds: 30,
  });
}

export const definition: ComponentDefinition = {
  name: 'gateway',
  stage: 'workloads',
  present: ({ workloads }) => workloads.gateway.enabled,
  ports: () => ({ http: HTTP_PORT, metrics: METRICS_PORT }),
  connections: (all) => workloadConnections(all, 'ledger', 'kafka'),
  admits: () => [{ from: 'anywhere', ports: [HTTP_PORT] }],
  credentials: [{ key: TOKEN_KEY, type: 'token' }],
  reads: [TOKEN_KEY],
  endpoints: (platform) =>
    platform.spec.workloads.gateway.enabled
      ? [{ name: 'gateway', address: `http://${addressOf(platform, 'gateway')}:${HTTP_PORT}` }, ...publicAddress(platform.spec)]
      : [],
  advise: (all) => [seedInProduction(all)],
  manifests: (input) => [
    service(input, 'gateway', { http: HTTP_PORT }),
    gatewayDeployment(input),
    disruptionBudget(input, 'gateway'),
    ingress(input),
    httpRoute(input),
  ],
};
