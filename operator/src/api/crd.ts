/** The CustomResourceDefinitions, from the zod schemas. */
import { consumerAutoscalerSpec } from './consumer-autoscaler.ts';
import { inputSchema, type Schema } from './json-schema.ts';
import { AUTOSCALER_KIND, AUTOSCALER_PLURAL, GROUP, KIND, PLURAL, VERSION } from './names.ts';
import { consumerAutoscalerStatusSchema, statusSchema } from './status.ts';

const readyCondition = (field: string) => `.status.conditions[?(@.type=="Ready")].${field}`;

const COLUMNS = [
  { name: 'Ready', type: 'string', jsonPath: readyCondition('status'), description: 'Whether the platform is ready.' },
  { name: 'Status', type: 'string', jsonPath: readyCondition('reason'), description: 'Reason of the Ready condition.' },
  { name: 'Lag', type: 'integer', jsonPath: '.status.consumerGroups[0].lag', description: 'Lag of the interest consumer in events.' },
  { name: 'Consumers', type: 'integer', jsonPath: '.status.consumerGroups[0].replicas', description: 'Replicas of the interest consumer.' },
  { name: 'Alerts', type: 'string', jsonPath: '.status.alerts.summary', description: 'Firing alerts.' },
  { name: 'Version', type: 'string', jsonPath: '.status.version', description: 'Running version.' },
  { name: 'Message', type: 'string', priority: 1, jsonPath: readyCondition('message'), description: 'Message of the Ready condition.' },
  { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
];

/** Names of objects are `<platform>-<component>`, and Services take at most 63 characters. */
const NAME_RULE = {
  rule: "size(self.metadata.name) <= 40 && self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
  message: 'choose a name of at most 40 lower case letters, digits and -, and begin it with a letter: it is part of the names of Services',
};

function openApi(spec: Schema): Schema {
  return {
    type: 'object',
    description: 'A platform for event processing: its stores, workloads, metrics, and consumers that scale on Kafka lag.',
    'x-kubernetes-validations': [NAME_RULE],
    properties: {
      spec: { ...spec, description: 'Desired state. Every field has a default: an empty spec is a small platform.', default: {} },
      status: { ...inputSchema(statusSchema), description: 'Observed state.' },
    },
  };
}

interface Definition {
  kind: string;
  plural: string;
  shortName: string;
  schema: Schema;
  columns: readonly object[];
}

function definitionOf({ kind, plural, shortName, schema, columns }: Definition) {
  const names = { kind, listKind: `${kind}List`, plural, singular: kind.toLowerCase(), shortNames: [shortName], categories: ['all'] };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${GROUP}`, labels: { 'app.kubernetes.io/part-of': 'bss-platform' } },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      names,
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: schema },
          subresources: { status: {} },
          additionalPrinterColumns: columns,
        },
      ],
    },
  };
}

/** The CRD as an object. @param spec JSON Schema of the spec, as `inputSchema` makes it */
export function customResourceDefinition(spec: Schema) {
  return definitionOf({ kind: KIND, plural: PLURAL, shortName: 'bss', schema: openApi(spec), columns: COLUMNS });
}

const AUTOSCALER_COLUMNS = [
  { name: 'Group', type: 'string', jsonPath: '.spec.group', description: 'Consumer group.' },
  { name: 'Target', type: 'string', jsonPath: '.spec.scaleTargetRef.name', priority: 1, description: 'Object that is scaled.' },
  { name: 'Replicas', type: 'integer', jsonPath: '.status.replicas', description: 'Current spec.replicas of the object.' },
  { name: 'Desired', type: 'integer', jsonPath: '.status.desiredReplicas', description: 'Replicas that the autoscaler decided on.' },
  { name: 'Lag', type: 'integer', jsonPath: '.status.lag', description: 'Lag of the group in events.' },
  {
    name: 'Delay',
    type: 'number',
    jsonPath: '.status.delaySeconds',
    description: 'Age of the oldest event that is not committed, in seconds.',
  },
  { name: 'Reason', type: 'string', jsonPath: '.status.reason', description: 'Reason of the number of replicas.' },
  { name: 'Ready', type: 'string', jsonPath: readyCondition('status'), description: 'Whether the operator scales the group.' },
  { name: 'Message', type: 'string', priority: 1, jsonPath: readyCondition('message'), description: 'Message of the Ready condition.' },
  { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
];

/** The CRD of ConsumerAutoscaler. */
export function autoscalerDefinition() {
  const schema = {
    type: 'object',
    description: 'Scales the consumers of a Kafka consumer group on their lag.',
    required: ['spec'],
    properties: {
      spec: { ...inputSchema(consumerAutoscalerSpec), description: 'Desired state.' },
      status: { ...inputSchema(consumerAutoscalerStatusSchema), description: 'Observed state.' },
    },
  };
  return definitionOf({ kind: AUTOSCALER_KIND, plural: AUTOSCALER_PLURAL, shortName: 'cas', schema, columns: AUTOSCALER_COLUMNS });
}
