/** The CustomResourceDefinition, from the zod schemas. */
import { inputSchema, type Schema } from './json-schema.ts';
import { GROUP, KIND, PLURAL, VERSION } from './names.ts';
import { statusSchema } from './status.ts';

const readyCondition = (field: string) => `.status.conditions[?(@.type=="Ready")].${field}`;

const COLUMNS = [
  { name: 'Ready', type: 'string', jsonPath: readyCondition('status'), description: 'Whether the platform is ready.' },
  { name: 'Status', type: 'string', jsonPath: readyCondition('reason'), description: 'Reason of the Ready condition.' },
  { name: 'Lag', type: 'integer', jsonPath: '.status.consumerGroups[0].lag', description: 'Lag of the interest consumer in events.' },
  { name: 'Consumers', type: 'integer', jsonPath: '.status.consumerGroups[0].replicas', description: 'Replicas of the interest consumer.' },
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

/** The CRD as an object. @param spec JSON Schema of the spec, as `inputSchema` makes it */
export function customResourceDefinition(spec: Schema) {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${PLURAL}.${GROUP}`, labels: { 'app.kubernetes.io/part-of': 'bss-platform' } },
    spec: {
      group: GROUP,
      scope: 'Namespaced',
      names: { kind: KIND, listKind: `${KIND}List`, plural: PLURAL, singular: 'bssplatform', shortNames: ['bss'], categories: ['all'] },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          schema: { openAPIV3Schema: openApi(spec) },
          subresources: { status: {} },
          additionalPrinterColumns: COLUMNS,
        },
      ],
    },
  };
}
