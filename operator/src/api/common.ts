/** Shapes that several parts of the spec share. */
import { z } from 'zod';
import { bytes, defaultText, isQuantity, quantity, quantityValue, rule, transition } from './rules.ts';

const DNS_NAME = '[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*';
/** At most 63 characters. */
const NAME_PART = '[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?';
const OBJECT_NAME = `^${DNS_NAME}$`;
/** A name, with the DNS name of its domain before it or without. */
const LABEL_KEY = `^(${DNS_NAME}/)?${NAME_PART}$`;
const LABEL_VALUE = `^(${NAME_PART})?$`;
const LABEL_LENGTH = 63;
/** A DNS name, a slash and a name. */
const KEY_LENGTH = 253 + 1 + LABEL_LENGTH;

/** A rule that a string must match a pattern, for the API server and for zod. */
function matching(pattern: string, message: string) {
  return { cel: `self.matches('${pattern}')`, message, check: (value: string) => new RegExp(pattern).test(value) };
}

/** Name of another object (Secret, StorageClass, ...). */
export function objectName(description: string) {
  const message = 'write the name of an object: lower-case letters, digits, - and .';
  return rule(z.string().min(1).max(253).describe(description), matching(OBJECT_NAME, message));
}

/** Host name or IP address, without a port. */
export function host(description: string) {
  return rule(z.string().min(1).max(253).describe(description), {
    cel: "self.matches('^[A-Za-z0-9_]([-A-Za-z0-9_.]*[A-Za-z0-9])?$')",
    message: 'write a host name or an IPv4 address alone; the port has a field of its own',
    check: (value) => /^[A-Za-z0-9_]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/.test(value),
  });
}

/** A port number from 1 to 65535 as text, for patterns. */
export const PORT_PATTERN = '([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])';

export function port(description: string, value: number) {
  return z.int().min(1).max(65535).default(value).describe(description);
}

/** Requests and limits. Both profiles have values of their own for every component; any of the four can be overridden alone. */
export function resources(what: string) {
  const both = z
    .strictObject({
      requests: amounts('request').describe('Resources that the scheduler reserves.'),
      limits: amounts('limit').describe('Resources that a pod may use.'),
    })
    .describe(`CPU and memory of ${what}.`);
  return rule(rule(both, requestAtMostLimit('cpu')), requestAtMostLimit('memory')).prefault({});
}

function amounts(kind: 'request' | 'limit') {
  return z
    .strictObject({
      cpu: quantity(`CPU ${kind}, such as 1 or 250m.`).optional(),
      memory: bytes(`Memory ${kind}, such as 256Mi.`).optional(),
    })
    .prefault({});
}

function requestAtMostLimit(part: 'cpu' | 'memory') {
  return {
    cel:
      `!self.?requests.?${part}.hasValue() || !self.?limits.?${part}.hasValue() || ` +
      `quantity(string(self.requests.${part})).compareTo(quantity(string(self.limits.${part}))) <= 0`,
    message: `requests.${part} is above limits.${part}: raise the limit or lower the request`,
    check: (value: { requests: Amounts; limits: Amounts }) => notAbove(value.requests[part], value.limits[part]),
  };
}

interface Amounts {
  cpu?: string | undefined;
  memory?: string | undefined;
}

/** The rule of the quantity itself reports an invalid one. */
function notAbove(request: string | undefined, limit: string | undefined): boolean {
  if (request === undefined || limit === undefined || !isQuantity(request) || !isQuantity(limit)) return true;
  return quantityValue(request) <= quantityValue(limit);
}

const isKey = (key: string) => `size(${key}) <= ${KEY_LENGTH} && ${key}.matches('${LABEL_KEY}')`;

function isLabelKey(key: string): boolean {
  return key.length <= KEY_LENGTH && new RegExp(LABEL_KEY).test(key);
}

const KEY_MESSAGE = 'write each key as a label name, such as team or example.com/team';
const VALUE_MESSAGE = 'write at most 63 letters, digits, -, _ and ., with a letter or digit at both ends';

/** The API server's own message for a pattern is enough here: a rule would repeat its text for every component. */
const labelValue = z.string().max(LABEL_LENGTH).regex(new RegExp(LABEL_VALUE), VALUE_MESSAGE);

/** Labels: at most 32 of them. */
function labelMap(description: string) {
  return rule(z.record(z.string(), labelValue).default({}).meta({ maxProperties: 32 }).describe(description), {
    cel: `self.all(k, ${isKey('k')})`,
    message: KEY_MESSAGE,
    check: (labels) => Object.keys(labels).every(isLabelKey),
  });
}

/** Annotations of an object: keys as those of labels, values as they please. The operator's own are refused. */
export function annotationMap(description: string) {
  const map = z.record(z.string(), z.string().max(4096)).default({}).meta({ maxProperties: 32 }).describe(description);
  return rule(withoutOwnKeys('annotations', map), {
    cel: `self.all(k, ${isKey('k')})`,
    message: KEY_MESSAGE,
    check: (annotations) => Object.keys(annotations).every(isLabelKey),
  });
}

const OWN_KEYS = ['app.kubernetes.io/', 'bss-platform.io/'];

function withoutOwnKeys<S extends z.ZodType<Record<string, string>>>(what: 'labels' | 'annotations', map: S): S {
  return rule(map, {
    cel: `self.all(k, ${OWN_KEYS.map((prefix) => `!k.startsWith('${prefix}')`).join(' && ')})`,
    message: `the operator sets ${what} under app.kubernetes.io/ and bss-platform.io/: use another prefix`,
    check: (value) => Object.keys(value).every((key) => !OWN_KEYS.some((prefix) => key.startsWith(prefix))),
  });
}

const taintKey = rule(z.string().max(KEY_LENGTH), {
  cel: `self == '' || (${isKey('self')})`,
  message: KEY_MESSAGE,
  check: (key) => key === '' || isLabelKey(key),
});

const tolerationFields = z.strictObject({
  key: taintKey.optional().describe('Taint key.'),
  operator: z.enum(['Equal', 'Exists']).default('Equal').describe('Comparison of the value.'),
  value: labelValue.optional().describe('Taint value.'),
  effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']).optional().describe('Taint effect; absent: all.'),
  tolerationSeconds: z.int().min(0).max(86_400).optional().describe('Seconds until eviction, for NoExecute.'),
});

/** Errors that the API server would report for the pods are reported for the field. */
const toleration = rule(
  rule(
    rule(tolerationFields, {
      cel: "self.operator != 'Exists' || !has(self.value) || self.value == ''",
      message: 'operator Exists has no value: remove value, or set operator to Equal',
      fieldPath: '.value',
      check: ({ operator, value }) => operator !== 'Exists' || value === undefined || value === '',
    }),
    {
      cel: "self.operator == 'Exists' || (has(self.key) && self.key != '')",
      message: 'operator Equal needs a key: set key, or set operator to Exists',
      fieldPath: '.key',
      check: ({ operator, key }) => operator === 'Exists' || (key !== undefined && key !== ''),
    },
  ),
  {
    cel: "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
    message: 'tolerationSeconds needs effect NoExecute: set effect, or remove tolerationSeconds',
    fieldPath: '.tolerationSeconds',
    check: ({ tolerationSeconds, effect }) => tolerationSeconds === undefined || effect === 'NoExecute',
  },
);

/** Where pods run and what marks them: the same fields on every component. */
export function placement() {
  return {
    nodeSelector: labelMap('Labels that a node must have.'),
    tolerations: z
      .array(toleration)
      .max(16)
      .default([])
      .meta({ 'x-kubernetes-list-type': 'atomic' })
      .describe('Taints that the pods tolerate.'),
    priorityClassName: objectName('PriorityClass of the pods.').optional(),
    labels: withoutOwnKeys('labels', labelMap('Additional labels of the pods.')),
  };
}

/** A persistent volume: it can grow, but neither shrink nor change its class. */
export function storage(what: string, size: string) {
  const shape = z.strictObject({
    size: bytes(`Size of the volume for ${what}. It can grow if the storage class allows it, and never shrink.`).prefault(size),
    storageClass: defaultText(
      objectName('StorageClass of the volume. Cannot be changed once the volume exists.').optional(),
      "the cluster's default class",
    ),
  });
  const sized = transition(
    shape.describe(`Persistent volume for ${what}.`),
    '!has(self.size) || !has(oldSelf.size) || quantity(string(self.size)).compareTo(quantity(string(oldSelf.size))) >= 0',
    'a volume cannot shrink: keep the present size or write a larger one',
    '.size',
  );
  return transition(
    sized,
    "(has(self.storageClass) ? self.storageClass : '') == (has(oldSelf.storageClass) ? oldSelf.storageClass : '')",
    'storageClass is immutable once the volume exists: write the former class, or create a new platform and move the data',
    '.storageClass',
  ).prefault({});
}

/** A key in the data of a Secret: the API server refuses pods that name another one. @param key the default */
export function dataKey(description: string, key: string) {
  const message = 'write a key of a Secret: letters, digits, -, _ and .';
  // Not `.`, and not `..` at the start: such a key could leave the folder of a volume.
  const pattern = '^([.]?[-_a-zA-Z0-9])[-._a-zA-Z0-9]*$';
  return rule(z.string().min(1).max(253).default(key).describe(description), matching(pattern, message));
}

/** Key of a Secret in the platform's namespace. */
export function secretKey(description: string, key: string) {
  return z
    .strictObject({
      name: objectName("Name of a Secret in the platform's namespace."),
      key: dataKey('Key in the Secret.', key),
    })
    .describe(description);
}

/** The API server refuses doubles by itself: the list is a map by name. */
export const environment = z
  .array(
    z.strictObject({
      name: z
        .string()
        .max(128)
        .regex(/^[A-Za-z_][A-Za-z0-9_]*$/)
        .describe('Name of the variable.'),
      value: z.string().max(4096).describe('Value of the variable. It is visible in the pod: use no passwords.'),
    }),
  )
  .max(64)
  .refine((value) => new Set(value.map((entry) => entry.name)).size === value.length, 'each variable may occur once: remove the duplicate')
  .default([])
  .meta({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] })
  .describe('Environment variables, which replace those of the operator.');

/** At most one of `managed` and `external` is set; without both the store is managed with defaults. */
export function managedXorExternal<S extends z.ZodType<{ managed?: unknown; external?: unknown }>>(schema: S, store: string): S {
  return rule(schema, {
    cel: '!(has(self.managed) && has(self.external))',
    message: `set either managed or external: remove managed to use your own ${store}, or remove external to let the operator run one`,
    check: (value) => value.managed === undefined || value.external === undefined,
  });
}
