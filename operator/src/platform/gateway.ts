/** The public HTTP entry. */
import { INTEREST_TOPIC } from '../api/index.ts';
import { blueprint, type Blueprint, type Draft } from './component.ts';
import { httpAddress, kafkaClient } from './connections.ts';
import { credentialsName, nameOf, PORTS } from './names.ts';
import { disruptionBudget, service } from './parts.ts';
import { fromSecret, value } from './pods.ts';
import type { PlatformInput } from './types.ts';
import { workload } from './workload.ts';

function ingress(input: PlatformInput): Draft | undefined {
  const route = input.spec.workloads.gateway.ingress;
  if (!route) return undefined;
  const { host, className, tlsSecretName } = route;
  const backend = { service: { name: nameOf(input, 'gateway'), port: { name: 'http' } } };
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    name: nameOf(input, 'gateway'),
    spec: {
      ...(className === undefined ? {} : { ingressClassName: className }),
      ...(tlsSecretName === undefined ? {} : { tls: [{ hosts: [host], secretName: tlsSecretName }] }),
      rules: [{ host, http: { paths: [{ path: '/', pathType: 'Prefix', backend }] } }],
    },
  };
}

export function gatewayComponent(input: PlatformInput): Blueprint | undefined {
  const { gateway } = input.spec.workloads;
  if (!gateway.enabled) return undefined;
  const kafka = kafkaClient(input);
  const token = { name: credentialsName(input), keys: ['debug-token'] };
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
        fromSecret('DEBUG_TOKEN', token.name, 'debug-token'),
      ],
      secrets: [...kafka.secrets, token],
      volumes: kafka.volumes,
      mounts: kafka.mounts,
      http: true,
      gracePeriodSeconds: 30,
    }),
    disruptionBudget(input, 'gateway'),
    ingress(input),
  ]);
}
