/**
 * `spec.templates`: what users add to the pods of a component. One map by component, and not a field of each component: the definition of the resource
 * must stay below 262,144 bytes, and this schema is larger than all other fields of a workload.
 */
import { z } from 'zod';
import { annotationMap, keyText, labelMap, labelValue, nameText } from './common.ts';
import { piece } from './piece.ts';
import { bytes, rule } from './rules.ts';

/** More components than the platform has or is to have: the API server estimates the cost of the rules by it. */
const MOST_TEMPLATES = 40;
const MOST_VOLUMES = 8;

const mapBy = (...keys: string[]) => ({ 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': keys });

const requirement = rule(
  z.strictObject({
    key: keyText('Label.'),
    operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']).describe('How it compares.'),
    values: z.array(labelValue).max(16).optional().describe('Values, for In and NotIn.'),
  }),
  {
    cel: "self.operator.endsWith('In') == (size(self.?values.orValue([])) > 0)",
    message: 'In and NotIn need values, the other operators have none',
    fieldPath: '.values',
    check: ({ operator, values = [] }) => operator.endsWith('In') === values.length > 0,
  },
);

const nodeTerm = z.strictObject({
  matchExpressions: z.array(requirement).min(1).max(8).describe('All must match.'),
});

const podTerm = z.strictObject({
  topologyKey: keyText('Label of nodes.'),
  labelSelector: z.strictObject({ matchLabels: labelMap('Their labels.') }).describe('The pods.'),
});

const weight = z.int().min(1).max(100).describe('Weight.');
/** @param term a schema of one term */
const required = <S extends z.ZodType>(term: S) => z.array(term).max(4).optional().describe('Must hold.');
const preferred = <S extends z.ZodRawShape>(shape: S) =>
  z
    .array(z.strictObject({ weight, ...shape }))
    .max(4)
    .optional()

    .describe('Should hold.');

const podAffinity = (description: string) =>
  z
    .strictObject({
      requiredDuringSchedulingIgnoredDuringExecution: required(podTerm),
      preferredDuringSchedulingIgnoredDuringExecution: preferred({ podAffinityTerm: podTerm.describe('What.') }),
    })
    .optional()
    .describe(description);

const affinity = z
  .strictObject({
    nodeAffinity: z
      .strictObject({
        requiredDuringSchedulingIgnoredDuringExecution: z
          .strictObject({ nodeSelectorTerms: z.array(nodeTerm).min(1).max(4).describe('One of them must match.') })
          .optional()
          .describe('Must hold.'),
        preferredDuringSchedulingIgnoredDuringExecution: preferred({ preference: nodeTerm.describe('What.') }),
      })
      .optional()
      .describe('Nodes.'),
    podAffinity: podAffinity('Places with these pods.'),
    podAntiAffinity: podAffinity('Places without these pods.'),
  })
  .optional()
  .describe('Where the pods run, as Kubernetes defines it.');

const spread = z
  .array(
    z.strictObject({
      topologyKey: keyText('Label of nodes.'),
      whenUnsatisfiable: z.enum(['DoNotSchedule', 'ScheduleAnyway']).describe('What a pod does that would break it.'),
      maxSkew: z.int().min(1).max(100).describe('Difference between two places in pods.'),
    }),
  )
  .max(4)
  .refine(
    (list) => unique(list.map(({ topologyKey, whenUnsatisfiable }) => `${topologyKey} ${whenUnsatisfiable}`)),
    'each pair of topologyKey and whenUnsatisfiable may occur once: remove the duplicate',
  )
  .optional()
  .meta(mapBy('topologyKey', 'whenUnsatisfiable'))
  .describe("How the component's pods spread, in place of evenly over nodes where possible.");

function unique(values: readonly string[]): boolean {
  return new Set(values).size === values.length;
}

/** Exactly one of the optional fields of an object. */
function oneOf<S extends z.ZodRawShape, O extends z.ZodRawShape>(shape: S, others: O, message: string) {
  const names = Object.keys(shape);
  return rule(z.strictObject({ ...others, ...shape }), {
    cel: `[${names.map((name) => `has(self.${name})`).join(', ')}].filter(x, x).size() == 1`,
    message,
    check: (value) => names.filter((name) => (value as Record<string, unknown>)[name] !== undefined).length === 1,
  });
}

const configMap = z
  .strictObject({ name: nameText('Its name.') })
  .optional()
  .describe('A ConfigMap.');

const source = oneOf(
  {
    configMap,
    secret: z
      .strictObject({ name: nameText('Its name.') })
      .optional()
      .describe('A Secret.'),
    serviceAccountToken: z
      .strictObject({
        audience: z.string().min(1).max(253).describe('Who accepts the token. Not the API server: the pods have no rights there.'),
        expirationSeconds: z.int().min(600).max(86_400).default(3600).describe('Its lifetime.'),
        path: z
          .string()
          .max(63)
          .regex(/^[A-Za-z0-9_-][A-Za-z0-9_.-]*$/)
          .describe('Its file.'),
      })
      .optional()
      .describe("A token of the pods' account."),
  },
  {},
  'write exactly one of configMap, secret and serviceAccountToken',
);

const sources = rule(z.array(source).min(1).max(4).describe('What it joins.'), {
  cel: 'self.filter(s, has(s.serviceAccountToken)).size() <= 1',
  message: 'a volume holds one serviceAccountToken: write another volume for another token',
  check: (list) => list.filter(({ serviceAccountToken }) => serviceAccountToken !== undefined).length <= 1,
});

const volumeName = z
  .string()
  .max(58)
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/);

const volume = oneOf(
  {
    configMap,
    secret: z
      .strictObject({ secretName: nameText('Its name.') })
      .optional()
      .describe('A Secret.'),
    emptyDir: z
      .strictObject({
        medium: z.enum(['Memory']).optional().describe("Memory: it counts as the container's."),
        sizeLimit: bytes('Its size.').prefault('64Mi'),
      })
      .optional()
      .describe('Temporary files.'),
    projected: z.strictObject({ sources }).optional().describe('Several of these in one.'),
    persistentVolumeClaim: z
      .strictObject({ claimName: nameText('Its name.'), readOnly: z.boolean().optional().describe('Read only.') })
      .optional()
      .describe('A claim.'),
    csi: z
      .strictObject({
        driver: nameText('Its driver.', 63),
        readOnly: z.boolean().optional().describe('Read only.'),
        volumeAttributes: z
          .record(z.string(), z.string().max(1024))
          .optional()
          .meta({ maxProperties: 16 })
          .describe('What the driver reads.'),
      })
      .optional()
      .describe('An inline volume of a driver.'),
  },
  { name: volumeName.describe('Its name; in the pod with user- before it.') },
  'write exactly one of configMap, secret, emptyDir, projected, persistentVolumeClaim and csi',
);

const mountPath = rule(z.string().max(253).describe('A folder below /mnt.'), {
  cel: "self.matches('^/mnt(/[-A-Za-z0-9_][-A-Za-z0-9_.]*)+$')",
  message: 'write a path below /mnt, such as /mnt/certs: the other paths belong to the platform and the images',
  check: (path) => /^\/mnt(\/[-A-Za-z0-9_][-A-Za-z0-9_.]*)+$/.test(path),
});

const mount = z.strictObject({
  name: volumeName.describe('One of volumes.'),
  mountPath,
  readOnly: z.boolean().optional().describe('Read only.'),
});

const byUnique = <S extends z.ZodType<Record<string, unknown>>>(item: S, key: string) =>
  z
    .array(item)
    .max(MOST_VOLUMES)
    .refine((list) => unique(list.map((entry) => String(entry[key]))), `each ${key} may occur once: remove the duplicate`)
    .optional()
    .meta(mapBy(key));

/** A field with one right value, which users may state. @param message what to write in place of the other one */
const only = (right: boolean, name: string, message: string) =>
  rule(z.boolean().describe(`${right} at most.`), {
    cel: `self == ${right}`,
    message: `${name}: ${message}`,
    check: (value) => value === right,
  }).optional();

const anyId = z.int().min(0).max(2_147_483_647);
const id = (what: string) => anyId.describe(what);

const seccomp = rule(
  z.strictObject({
    type: z.enum(['RuntimeDefault', 'Localhost']).describe('Which.'),
    localhostProfile: z
      .string()
      .max(253)
      .regex(/^[A-Za-z0-9_-][A-Za-z0-9_.-]*(\/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*$/)
      .optional()
      .describe('File of the node, for Localhost.'),
  }),
  {
    cel: "(self.type == 'Localhost') == has(self.localhostProfile)",
    message: 'set localhostProfile exactly if type is Localhost',
    check: ({ type, localhostProfile }) => (type === 'Localhost') === (localhostProfile !== undefined),
  },
);

const securityContext = z
  .strictObject({
    runAsUser: rule(id('User.'), {
      cel: 'self != 0',
      message: 'pods do not run as root: write another user, or set spec.security.assignedUserIds if the cluster assigns one',
      check: (user) => user !== 0,
    }).optional(),
    runAsGroup: id('Group.').optional(),
    runAsNonRoot: only(true, 'runAsNonRoot', 'pods do not run as root: write true or remove it'),
    fsGroup: id('Group of the volumes.').optional(),
    fsGroupChangePolicy: z.enum(['OnRootMismatch', 'Always']).optional().describe('When files of volumes get it.'),
    supplementalGroups: z.array(anyId).max(16).optional().describe('More groups.'),
    seLinuxOptions: z
      .strictObject({ level: z.string().min(1).max(128).describe('Level.') })
      .optional()
      .describe('SELinux.'),
    seccompProfile: seccomp.optional().describe('System calls.'),
  })
  .optional()
  .describe('Fields of the security context of the pods that replace those of the platform.');

const containerSecurityContext = z
  .strictObject({
    readOnlyRootFilesystem: z.boolean().optional().describe('Whether the root file system is read-only.'),
    privileged: only(false, 'privileged', 'no pod of the platform is privileged: write false or remove it'),
    allowPrivilegeEscalation: only(false, 'allowPrivilegeEscalation', 'no program of the platform needs it: write false or remove it'),
    capabilities: rule(
      z.strictObject({
        add: z.array(z.string().max(32)).max(8).optional().describe('None.'),
        drop: z
          .array(z.enum(['ALL']))
          .max(1)
          .optional()

          .describe('All are dropped.'),
      }),
      {
        cel: 'size(self.?add.orValue([])) == 0',
        message: 'no program of the platform needs a capability: remove add',
        fieldPath: '.add',
        check: ({ add = [] }) => add.length === 0,
      },
    )
      .optional()
      .describe('Capabilities.'),
  })
  .optional()
  .describe('Fields of the security context of each container that replace those of the platform.');

/** Kubernetes reads these annotations as fields of the pod, past the other rules. */
const FIELD_PREFIXES = ['container.apparmor.security.beta.kubernetes.io/', 'kubernetes.io/config.'];

const annotations = rule(annotationMap('Annotations of the pods.'), {
  cel: `self.all(k, ${FIELD_PREFIXES.map((prefix) => `!k.startsWith('${prefix}')`).join(' && ')})`,
  message: `annotations under ${FIELD_PREFIXES.join(' and ')} change how pods are confined: remove them`,
  check: (map) => Object.keys(map).every((key) => !FIELD_PREFIXES.some((prefix) => key.startsWith(prefix))),
});

const template = rule(
  z.strictObject({
    annotations,
    affinity,
    topologySpreadConstraints: spread,
    volumes: byUnique(volume, 'name').describe('More volumes.'),
    volumeMounts: byUnique(mount, 'mountPath').describe('Where each container finds them.'),
    securityContext,
    containerSecurityContext,
  }),
  {
    cel: '!has(self.volumeMounts) || self.volumeMounts.all(m, has(self.volumes) && self.volumes.exists(v, v.name == m.name))',
    message: 'a mount names no volume of the template: add the volume, or correct name',
    fieldPath: '.volumeMounts',
    check: ({ volumes = [], volumeMounts = [] }) => volumeMounts.every(({ name }) => volumes.some((one) => one.name === name)),
  },
);

/** @param components names of the components with pods */
export function templatesPiece(components: readonly string[]) {
  const map = z
    .record(z.string(), template)
    .default({})
    .meta({ maxProperties: MOST_TEMPLATES })
    .describe(
      'What the pods of a component have besides what the platform gives them, by the name of the component in status. Labels, nodeSelector, tolerations and priorityClassName are fields of the component itself.',
    );
  const schema = rule(map, {
    cel: `self.all(k, k in ['${components.join("', '")}'])`,
    message: `write names of components: ${components.join(', ')}`,
    check: (templates) => Object.keys(templates).every((name) => components.includes(name)),
  });
  return piece('templates', schema);
}
