/** The gateway: the public HTTP entry. */
import { z } from 'zod';
import { annotationMap, objectName } from '../../api/common.ts';
import { authSchema, issuerPorts, publicAuthentication } from '../authentication.ts';
import { piece } from '../../api/piece.ts';
import { amounts } from '../../api/profiles.ts';
import { rule } from '../../api/rules.ts';
import type { Draft } from '../component.ts';
import type { BuildInput, ComponentDefinition } from '../definition.ts';
import { KINDS } from '../kinds.ts';
import { acceptedKeys, callerOf, type CalledService } from '../api-keys.ts';
import { addressOf, nameOf } from '../names.ts';
import { disruptionBudget, service } from '../parts.ts';
import { value, type Requirements } from '../pods.ts';
import type { BssPlatformSpec } from '../spec.ts';
import type { Advice, Endpoint, PlatformInput } from '../types.ts';
import { HTTP_PORT, METRICS_PORT, replicas, workload, workloadConnections, workloadFields } from '../workload.ts';
import { INTEREST_TOPIC } from './interest.ts';
import { kafkaClient } from './kafka.ts';
import { hasAccounts, hasCrm, hasOrchestrator, hasReadModel } from '../event-path.ts';
import { ACCOUNTS } from './accounts.ts';
import { CRM } from './crm.ts';
import { LEDGER } from './ledger.ts';
import { ORCHESTRATOR } from './orchestrator.ts';
import { READ_MODEL } from './read-model.ts';

const INGRESS_HOST = '^([*][.])?[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$';
const NUMBERS = '^[0-9.]+$';

/** The API server refuses capital letters and addresses in an Ingress. */
const ingressHost = rule(z.string().min(1).max(253).describe('Host name of the gateway.'), {
  cel: `self.matches('${INGRESS_HOST}') && !self.matches('${NUMBERS}')`,
  message: 'write a host name in lower case, such as bss.example.com, without a scheme or port; an address is no host name',
  check: (given) => new RegExp(INGRESS_HOST).test(given) && !new RegExp(NUMBERS).test(given),
});

const ingressSchema = z
  .strictObject({
    host: ingressHost,
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
            'Serve POST /debug/seed, which publishes random events. Callers need the scope debug:seed, which the api-key of the credentials Secret has. Not for production.',
          ),
      })
      .prefault({})
      .describe('Random events for demonstrations and load tests.'),
    auth: authSchema,
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

/** Key of the API key that has every scope. */
const KEY = 'api-key';

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

function anonymousReads({ profile, workloads: { gateway } }: BssPlatformSpec): Advice | undefined {
  const scopes = gateway.auth.anonymousScopes;
  if (profile !== 'production' || !gateway.enabled || scopes.length === 0) return undefined;
  return {
    path: 'spec.workloads.gateway.auth.anonymousScopes',
    message: `whoever reaches the gateway has the scopes ${scopes.join(', ')} without a credential: set API keys or issuers for the clients, and remove the list`,
  };
}

/** The services behind the gateway. It has the routes of those that the platform has. */
function services(spec: BssPlatformSpec): CalledService[] {
  return [
    LEDGER,
    ...(hasOrchestrator(spec) ? [ORCHESTRATOR] : []),
    ...(hasReadModel(spec) ? [READ_MODEL] : []),
    ...(hasAccounts(spec) ? [ACCOUNTS] : []),
    ...(hasCrm(spec) ? [CRM] : []),
  ];
}

function gatewayDeployment(input: BuildInput): Draft<'Deployment'> {
  const { gateway } = input.spec.workloads;
  const called = services(input.spec).map((one) => callerOf(input, one));
  const parts: Requirements[] = [kafkaClient(input), acceptedKeys(input, KEY), publicAuthentication(gateway.auth), ...called];
  return workload(input, {
    name: 'gateway',
    spec: gateway,
    replicas: gateway.replicas,
    env: [
      ...parts.flatMap(({ env }) => env),
      value('INTEREST_TOPIC', INTEREST_TOPIC),
      value('DEBUG_SEED_ENABLED', String(gateway.debugSeed.enabled)),
    ],
    secrets: parts.flatMap(({ secrets }) => secrets),
    volumes: parts.flatMap(({ volumes = [] }) => volumes),
    mounts: Object.assign({}, ...parts.map(({ mounts }) => mounts ?? {})) as Record<string, string>,
    http: true,
    gracePeriodSeconds: 30,
  });
}

export const definition: ComponentDefinition = {
  name: 'gateway',
  stage: 'workloads',
  present: ({ workloads }) => workloads.gateway.enabled,
  ports: () => ({ http: HTTP_PORT, metrics: METRICS_PORT }),
  connections: (all) => [
    ...workloadConnections(all, ...services(all).map(({ component }) => component), 'kafka'),
    ...issuerPorts(all.workloads.gateway.auth),
  ],
  admits: () => [{ from: 'anywhere', ports: [HTTP_PORT] }],
  credentials: [{ key: KEY, type: 'token' }],
  reads: [KEY, ...[LEDGER, ORCHESTRATOR, READ_MODEL, ACCOUNTS, CRM].map(({ key }) => key)],
  endpoints: (platform) =>
    platform.spec.workloads.gateway.enabled
      ? [{ name: 'gateway', address: `http://${addressOf(platform, 'gateway')}:${HTTP_PORT}` }, ...publicAddress(platform.spec)]
      : [],
  advise: (all) => [seedInProduction(all), anonymousReads(all)],
  manifests: (input) => [
    service(input, 'gateway', { http: HTTP_PORT }),
    gatewayDeployment(input),
    disruptionBudget(input, 'gateway'),
    ingress(input),
    httpRoute(input),
  ],
};
