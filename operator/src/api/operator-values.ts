/** Values of the chart bss-operator: the schema that helm checks them by, and the defaults that values.yaml must repeat. */
import { z } from 'zod';
import { placement } from './common.ts';
import { bytes, quantity } from './rules.ts';

const amounts = (cpu: string | undefined, memory: string) =>
  z
    .strictObject({
      cpu: cpu === undefined ? quantity('CPU.').optional() : quantity('CPU.').prefault(cpu),
      memory: bytes('Memory.').prefault(memory),
    })
    .prefault({});

const { nodeSelector, tolerations, priorityClassName } = placement();

export const operatorValues = z.strictObject({
  image: z
    .strictObject({
      repository: z.string().min(1).default('bss-platform/operator').describe('Image of the operator.'),
      tag: z.string().default('').describe("Tag; the chart's appVersion when empty."),
      pullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']).default('IfNotPresent').describe('When nodes pull it.'),
      pullSecrets: z.array(z.string().min(1)).default([]).describe('Names of Secrets to pull it with.'),
    })
    .prefault({}),
  replicas: z.int().min(0).max(3).default(1).describe('Number of operator pods. One is the leader, the others are standbys.'),
  watchNamespaces: z
    .array(z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/))
    .default([])
    .describe(
      'Namespaces whose platforms and ConsumerAutoscalers the operator looks after; they must exist. Empty: all. With a list, it has rights in these namespaces only.',
    ),
  platforms: z
    .strictObject({
      enabled: z
        .boolean()
        .default(true)
        .describe('False: the operator scales ConsumerAutoscalers only, and has no rights for the objects of platforms.'),
    })
    .prefault({}),
  scaleTargets: z
    .array(
      z.strictObject({
        apiGroup: z.string().max(253).describe('API group, such as argoproj.io.'),
        resource: z
          .string()
          .regex(/^[a-z0-9]+$/)
          .describe('Plural of the kind, such as rollouts.'),
      }),
    )
    .default([])
    .describe(
      'Kinds beside Deployments and StatefulSets that ConsumerAutoscalers may scale: the operator gets the rights of their scale subresource.',
    ),
  aggregatedRoles: z
    .boolean()
    .default(true)
    .describe(
      'Create the ClusterRoles by which users who may edit or view a namespace may do so with its platforms and ConsumerAutoscalers. They exist once in a cluster.',
    ),
  logLevel: z.enum(['debug', 'info', 'warn', 'error']).default('info').describe('Lowest level of log lines that are written.'),
  resources: z.strictObject({ requests: amounts('50m', '128Mi'), limits: amounts(undefined, '384Mi') }).prefault({}),
  networkPolicy: z
    .strictObject({
      enabled: z.boolean().default(true).describe("Admit connections to the operator's metrics port only."),
    })
    .prefault({}),
  security: z
    .strictObject({
      assignedUserIds: z
        .boolean()
        .default(false)
        .describe('The cluster assigns user and group of the pods, as OpenShift does: they name none.'),
    })
    .prefault({}),
  nodeSelector,
  tolerations,
  priorityClassName,
  podAnnotations: z.record(z.string(), z.string()).default({}).describe('More annotations for the pods.'),
  podLabels: z.record(z.string(), z.string()).default({}).describe('More labels for the pods.'),
  serviceMonitor: z
    .strictObject({
      enabled: z
        .boolean()
        .default(false)
        .describe('Create a ServiceMonitor. The cluster must have the definitions of prometheus-operator.'),
      interval: z
        .string()
        .regex(/^([0-9]+(ms|s|m|h))?$/)
        .default('')
        .describe('Time between two scrapes, such as 15s; that of your Prometheus when empty.'),
      labels: z.record(z.string(), z.string()).default({}).describe('Labels by which your Prometheus selects ServiceMonitors.'),
    })
    .prefault({})
    .describe('Scraping by a Prometheus of your own.'),
});
