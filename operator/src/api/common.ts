/** Shapes that several parts of the spec share. */
import { z } from 'zod';
import { bytes, defaultText, isQuantity, quantity, quantityValue, rule, transition } from './rules.ts';

/** Runs of letters and digits, with hyphens or one dot between two of them. Short, as every component repeats it in the definition. */
const DNS_NAME = '[a-z0-9]+((-+|[.])[a-z0-9]+)*';
/** At most 63 characters. */
const NAME_PART = String.raw`[A-Za-z0-9]([-.\w]{0,61}[A-Za-z0-9])?`;
const OBJECT_NAME = `^${DNS_NAME}$`;
/** A name, with the DNS name of its domain before it or without. */
const LABEL_KEY = `^(${DNS_NAME}/)?${NAME_PART}$`;
/** Its length has a maximum of its own. */
const LABEL_VALUE = String.raw`^([A-Za-z0-9]([-.\w]*[A-Za-z0-9])?)?$`;
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
  return rule(z.string().max(253).describe(description), matching(OBJECT_NAME, message));
}

/** As `objectName`, with the API server's own message: for fields of which the definition has many. */
export const nameText = (what: string, longest = 253) => z.string().max(longest).regex(new RegExp(OBJECT_NAME)).describe(what);

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

/** Scheme, host, and a port from 1 to 65535. */
const HTTP_URL = new RegExp(String.raw`^https?://([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(:${PORT_PATTERN})?(/\S*)?$`);

/** An http or https URL. */
export function httpUrl(description: string, message: string) {
  return z.string().max(512).regex(HTTP_URL, message).describe(description);
}

export function port(description: string, value: number) {
  return z.int().min(1).max(65535).default(value).describe(description);
}

/** Requests and limits. Both profiles have values of their own for every component; any of the four can be overridden alone. */
export function resources(what: string) {
  const both = z
    .strictObject({
      requests: amounts('request').describe('What the scheduler reserves.'),
      limits: amounts('limit').describe('What a pod may use.'),
    })
    .describe(`CPU and memory of ${what}.`);
  return rule(both, REQUESTS_WITHIN_LIMITS).prefault({});
}

function amounts(kind: 'request' | 'limit') {
  return z
    .strictObject({
      cpu: quantity(`CPU ${kind}.`).optional(),
      memory: bytes(`Memory ${kind}.`).optional(),
    })
    .prefault({});
}

interface Amounts {
  cpu?: string | undefined;
  memory?: string | undefined;
}

/** Compares the fields themselves: of the value of an optional the API server knows no maximum length, and estimates an excessive cost. */
const withinLimit = (part: keyof Amounts) =>
  `(!has(self.requests.${part}) || !has(self.limits.${part}) || ` +
  `quantity(string(self.requests.${part})).compareTo(quantity(string(self.limits.${part}))) < 1)`;

/** One rule for both, as every component repeats it in the definition. */
const REQUESTS_WITHIN_LIMITS = {
  cel: `!has(self.requests) || !has(self.limits) || ${withinLimit('cpu')} && ${withinLimit('memory')}`,
  message: 'a request is above its limit: raise the limit or lower the request',
  check: ({ requests, limits }: { requests: Amounts; limits: Amounts }) =>
    notAbove(requests.cpu, limits.cpu) && notAbove(requests.memory, limits.memory),
};

/** The rule of the quantity itself reports an invalid one. */
function notAbove(request: string | undefined, limit: string | undefined): boolean {
  if (request === undefined || limit === undefined || !isQuantity(request) || !isQuantity(limit)) return true;
  return quantityValue(request) <= quantityValue(limit);
}

/** A pattern as a string of CEL. */
const celText = (pattern: string) => `'${pattern.replaceAll('\\', '\\\\')}'`;

const KEY_RULE = `self.all(k, size(k) <= ${KEY_LENGTH} && k.matches(${celText(LABEL_KEY)}))`;

function isLabelKey(key: string): boolean {
  return key.length <= KEY_LENGTH && new RegExp(LABEL_KEY).test(key);
}

const KEY_MESSAGE = 'write keys such as team or example.com/team';
const VALUE_MESSAGE = 'write at most 63 letters, digits, -, _ and ., with a letter or digit at both ends';

/** The API server's own message for a pattern is enough here: a rule would repeat its text for every component. */
export const labelValue = z.string().max(LABEL_LENGTH).regex(new RegExp(LABEL_VALUE), VALUE_MESSAGE);

/** The key of a label in a list, with the API server's own message. */
export const keyText = (what: string) => z.string().max(KEY_LENGTH).regex(new RegExp(LABEL_KEY)).describe(what);

/** Labels: at most 32 of them. */
export function labelMap(description: string, value: Record<string, string> = {}) {
  return rule(z.record(z.string(), labelValue).default(value).meta({ maxProperties: 32 }).describe(description), {
    cel: KEY_RULE,
    message: KEY_MESSAGE,
    check: (labels) => Object.keys(labels).every(isLabelKey),
  });
}

/** Further labels of an object. The operator's own are refused. */
export function objectLabels(description: string, value: Record<string, string> = {}) {
  return withoutOwnKeys('labels', labelMap(description, value));
}

/** Annotations of an object: keys as those of labels, values as they please. The operator's own are refused. */
export function annotationMap(description: string, value: Record<string, string> = {}) {
  const map = z.record(z.string(), z.string().max(4096)).default(value).meta({ maxProperties: 32 }).describe(description);
  return rule(withoutOwnKeys('annotations', map), {
    cel: KEY_RULE,
    message: KEY_MESSAGE,
    check: (annotations) => Object.keys(annotations).every(isLabelKey),
  });
}

const OWN_KEYS = ['app.kubernetes.io/', 'bss-platform.io/'];

function withoutOwnKeys<S extends z.ZodType<Record<string, string>>>(what: 'labels' | 'annotations', map: S): S {
  return rule(map, {
    cel: "!self.exists(k, k.matches('^(app[.]kubernetes|bss-platform)[.]io/'))",
    message: `the operator sets ${what} under app.kubernetes.io/ and bss-platform.io/: use another prefix`,
    check: (value) => Object.keys(value).every((key) => !OWN_KEYS.some((prefix) => key.startsWith(prefix))),
  });
}

/** A label's key, or none. */
const taintKey = z
  .string()
  .max(KEY_LENGTH)
  .regex(new RegExp(`^((${DNS_NAME}/)?${NAME_PART})?$`));

const tolerationFields = z.strictObject({
  key: taintKey.optional().describe('Taint key.'),
  operator: z.enum(['Equal', 'Exists']).default('Equal').describe('Comparison.'),
  value: labelValue.optional().describe('Taint value.'),
  effect: z.enum(['NoSchedule', 'PreferNoSchedule', 'NoExecute']).optional().describe('Taint effect; absent: all.'),
  tolerationSeconds: z.int().min(0).max(86_400).optional().describe('Seconds until eviction, for NoExecute.'),
});

/** Errors that the API server would report for the pods are reported for the field. One rule, as every component repeats it in the definition. */
const toleration = rule(tolerationFields, {
  cel:
    "(self.operator == 'Exists' ? self.?value.orValue('') == '' : self.?key.orValue('') != '') && " +
    "(!has(self.tolerationSeconds) || self.?effect.orValue('') == 'NoExecute')",
  message: 'operator Equal needs a key, Exists has no value, and tolerationSeconds needs effect NoExecute',
  check: ({ operator, key = '', value = '', tolerationSeconds, effect }) =>
    (operator === 'Exists' ? value === '' : key !== '') && (tolerationSeconds === undefined || effect === 'NoExecute'),
});

export const tolerations = (more = '') => z.array(toleration).max(16).default([]).describe(`Taints that the pods tolerate. ${more}`.trim());

/** Where pods run and what marks them: the same fields on every component. */
export function placement() {
  return {
    nodeSelector: labelMap('Labels of the nodes.'),
    tolerations: tolerations(),
    priorityClassName: nameText('PriorityClass of the pods.').optional(),
    labels: objectLabels('Additional labels of the pods.'),
  };
}

/** A persistent volume: it can grow, but neither shrink nor change its class. */
export function storage(what: string, size: string) {
  const shape = z.strictObject({
    size: transition(
      bytes(`Size of the volume for ${what}. It can grow if the storage class allows it, and never shrink.`),
      'quantity(string(self)).compareTo(quantity(string(oldSelf))) >= 0',
      'a volume cannot shrink: keep the present size or write a larger one',
    ).prefault(size),
    storageClass: defaultText(
      nameText('StorageClass of the volume. Cannot be changed once the volume exists.').optional(),
      "the cluster's default class",
    ),
  });
  return transition(
    shape.describe(`Persistent volume for ${what}.`),
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
  return rule(z.string().max(253).default(key).describe(description), matching(pattern, message));
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
        .describe('Name.'),
      value: z.string().max(4096).describe('Value. It is visible in the pod: use no passwords.'),
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
