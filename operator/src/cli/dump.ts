/** `bss dump`: everything that a bug report needs about a platform or a ConsumerAutoscaler, without the values of Secrets. */
import { stringify } from 'yaml';
import { AUTOSCALER_KIND, KIND, parseConsumerAutoscaler } from '../api/index.ts';
import { kindsWhere } from '../platform/index.ts';
import { decode } from '../reconcile/credentials/credentials.ts';
import { INSTANCE_LABEL } from '../reconcile/ownership/ownership.ts';
import { KubeError, type Kind, type KubeClient, type KubernetesObject, type ObjectReference } from '../runtime/index.ts';
import { redactor, withoutValues } from '../runtime/redact.ts';
import { AUTOSCALERS, PLATFORMS } from './status.ts';
import { UsageError } from './usage.ts';

const POD = { apiVersion: 'v1', kind: 'Pod' };
const EVENT = { apiVersion: 'events.k8s.io/v1', kind: 'Event' };
/** Of each container; the newest lines. */
const LOG_LINES = 5000;
const LOG_BYTES = 2 * 1024 * 1024;

export interface DumpScope {
  namespace: string;
  name: string;
  kind: typeof KIND | typeof AUTOSCALER_KIND;
  operatorNamespace: string;
}

/**
 * Reads the resource, what belongs to it, the ConsumerAutoscalers of its namespace, events and logs, and the objects of the operator. Values of every
 * Secret that they or their pods name are removed from all of it. What cannot be read is a line of `problems.txt`; without the Secrets, logs are
 * left out, because nothing could be removed from them.
 * @returns content by path
 * @throws UsageError when the resource does not exist
 */
export async function collectDump(client: KubeClient, scope: DumpScope, now: Date): Promise<Map<string, string>> {
  const { namespace, name, kind, operatorNamespace } = scope;
  const own = await client.find({ ...(kind === KIND ? PLATFORMS : AUTOSCALERS), name, namespace });
  if (own === undefined) throw new UsageError(`${kind} ${namespace}/${name} not found: set its namespace with -n`);
  const reader = new Reader(client);
  const objects = kind === KIND ? await platformObjects(reader, scope) : await scaledObject(reader, { namespace, own });
  const neighbours = (await reader.list(AUTOSCALERS, namespace)).filter(({ metadata }) => kind === KIND || metadata.name !== name);
  const operator = await operatorObjects(reader, operatorNamespace);
  const related = new Set([name, ...objects.map(({ metadata }) => metadata.name), ...neighbours.map(({ metadata }) => metadata.name)]);
  const events = (await reader.list(EVENT, namespace)).filter((event) => concerns(event, scope, related));
  const secrets = await reader.secrets(namespace, secretNames([own, ...neighbours, ...objects]));
  const pods = [...objects, ...operator].filter((one) => one.kind === 'Pod');
  const logs = secrets.complete ? await reader.logs(pods) : new Map<string, string>();
  if (!secrets.complete) reader.problems.push('logs: left out, because not every Secret could be read to remove its values');
  const files = new Map([
    [kind === KIND ? 'platform.yaml' : 'autoscaler.yaml', yaml(own)],
    ...neighbours.map((object) => [`autoscalers/${object.metadata.name}.yaml`, yaml(object)] as const),
    ...objects.map((object) => [`objects/${object.kind}/${object.metadata.name}.yaml`, yaml(object)] as const),
    ...operator.map((object) => [`operator/${object.kind}/${object.metadata.name}.yaml`, yaml(object)] as const),
    ['events.yaml', yaml(events.map((event) => withoutValues(event)))],
    ...logs,
    ['problems.txt', reader.problems.map((problem) => `${problem}\n`).join('')],
    ['about.txt', about(scope, now)],
  ]);
  const redact = redactor(secrets.values);
  return new Map([...files].map(([path, content]) => [path, redact(content)]));
}

async function platformObjects(reader: Reader, { namespace, name }: DumpScope): Promise<KubernetesObject[]> {
  const own = `${INSTANCE_LABEL}=${name},app.kubernetes.io/part-of=bss-platform`;
  const kinds = [...kindsWhere(() => true), POD];
  return (await Promise.all(kinds.map((kind) => reader.list(kind, namespace, own)))).flat();
}

/**
 * The object that the resource scales, without the template of its pods: it is another program's, and may hold what no Secret does. Its pods and
 * their logs are left out for the same reason.
 */
async function scaledObject(reader: Reader, { namespace, own }: { namespace: string; own: KubernetesObject }): Promise<KubernetesObject[]> {
  const parsed = parseConsumerAutoscaler(own['spec']);
  if (!parsed.ok) return [];
  const found = await reader.find({ ...parsed.spec.scaleTargetRef, namespace });
  return found.map(({ apiVersion, kind, metadata, spec, status }) => ({
    apiVersion,
    kind,
    metadata: { ...metadata, annotations: {} },
    spec: picked(spec, SCALED_FIELDS),
    status,
  }));
}

const SCALED_FIELDS = ['replicas', 'strategy', 'updateStrategy', 'minReadySeconds', 'paused'];

function picked(object: unknown, fields: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(object ?? {}).filter(([field]) => fields.includes(field)));
}

function about({ namespace, name, kind }: DumpScope, now: Date): string {
  return [
    `bss dump of ${kind} ${namespace}/${name} at ${now.toISOString()}`,
    'Values of Secrets are replaced by <redacted>. Read the files before you publish them: names, addresses and logs are in them.',
    `Logs have at most the last ${LOG_LINES} lines of a container.`,
    ...(kind === KIND ? [] : ['The pods of the consumers and their logs are not included: they belong to another program.']),
    '',
  ].join('\n');
}

function yaml(content: KubernetesObject | KubernetesObject[]): string {
  if (Array.isArray(content)) return stringify(content, { lineWidth: 0 });
  const { managedFields: _fields, ...metadata } = content.metadata;
  return stringify(withoutValues({ ...content, metadata }), { lineWidth: 0 });
}

async function operatorObjects(reader: Reader, namespace: string): Promise<KubernetesObject[]> {
  const selector = 'app.kubernetes.io/name=bss-operator';
  const [deployments, pods, leases] = await Promise.all([
    reader.list({ apiVersion: 'apps/v1', kind: 'Deployment' }, namespace, selector),
    reader.list(POD, namespace, selector),
    reader.list({ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease' }, namespace),
  ]);
  return [...deployments, ...pods, ...leases];
}

/** Objects of a platform have its name, or begin with it and a hyphen. @param related names of what is in the dump */
function concerns(event: KubernetesObject, { name, kind }: DumpScope, related: ReadonlySet<string>): boolean {
  const { name: regarding = '' } = (event['regarding'] ?? {}) as { name?: string };
  return related.has(regarding) || (kind === KIND && regarding.startsWith(`${name}-`));
}

/** Names of the Secrets that objects refer to: `passwordSecret: {name}`, `secretKeyRef: {name}`, `secret: {secretName}` and the like; and Secrets themselves. */
export function secretNames(objects: readonly KubernetesObject[]): string[] {
  const names = new Set<string>();
  const visit = (value: unknown, field: string): void => {
    if (typeof value === 'string' && /^secretName$/i.test(field)) names.add(value);
    if (typeof value !== 'object' || value === null) return;
    if (/secret/i.test(field) && 'name' in value && typeof value.name === 'string') names.add(value.name);
    for (const [key, part] of Object.entries(value)) visit(part, Array.isArray(value) ? field : key);
  };
  for (const object of objects) {
    if (object.kind === 'Secret') names.add(object.metadata.name);
    visit(object['spec'], 'spec');
  }
  return [...names].toSorted();
}

interface Pod extends KubernetesObject {
  spec?: { containers?: { name: string }[]; initContainers?: { name: string }[] };
  status?: {
    containerStatuses?: { name: string; restartCount: number }[];
    initContainerStatuses?: { name: string; restartCount: number }[];
  };
}

/** Reads as much as the user's rights allow. */
class Reader {
  readonly problems: string[] = [];
  readonly #client: KubeClient;

  constructor(client: KubeClient) {
    this.#client = client;
  }

  async list(kind: Kind, namespace: string, labelSelector?: string): Promise<KubernetesObject[]> {
    const options = { namespace, ...(labelSelector === undefined ? {} : { labelSelector }) };
    try {
      return (await this.#client.serves(kind)) ? (await this.#client.list(kind, options)).items : [];
    } catch (error) {
      this.#note(error);
      return [];
    }
  }

  async find(reference: ObjectReference): Promise<KubernetesObject[]> {
    try {
      const found = await this.#client.find(reference);
      return found === undefined ? [] : [found];
    } catch (error) {
      this.#note(error);
      return [];
    }
  }

  /** Decoded values. `complete` is false when a Secret exists and cannot be read. */
  async secrets(namespace: string, names: readonly string[]): Promise<{ values: string[]; complete: boolean }> {
    const before = this.problems.length;
    const found = await Promise.all(
      names.map(async (name): Promise<string[]> => {
        try {
          const secret = await this.#client.find({ apiVersion: 'v1', kind: 'Secret', name, namespace });
          return Object.values(decode((secret?.['data'] ?? {}) as Record<string, string>));
        } catch (error) {
          this.#note(error);
          return [];
        }
      }),
    );
    return { values: found.flat(), complete: this.problems.length === before };
  }

  /** Logs of all containers by path; of a restarted one those before its restart too. */
  async logs(pods: readonly KubernetesObject[]): Promise<Map<string, string>> {
    const reads = pods.flatMap((pod) => containersOf(pod).map(async (container) => this.#log(pod, container)));
    return new Map((await Promise.all(reads)).flatMap((log) => (log === undefined ? [] : [log])));
  }

  async #log({ metadata }: KubernetesObject, { name, previous }: LogOf): Promise<readonly [string, string] | undefined> {
    const query = new URLSearchParams({ container: name, tailLines: String(LOG_LINES), limitBytes: String(LOG_BYTES), timestamps: 'true' });
    if (previous) query.set('previous', 'true');
    const pod = metadata.name;
    try {
      const answer = await this.#client.raw('GET', `/api/v1/namespaces/${metadata.namespace}/pods/${pod}/log?${query.toString()}`);
      const content = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body);
      if (answer.status === 200) return [`logs/${pod}/${name}${previous ? '.previous' : ''}.log`, content];
      this.problems.push(`log of ${pod}/${name}: HTTP ${answer.status}: ${content.slice(0, 300)}`);
    } catch (error) {
      this.#note(error);
    }
    return undefined;
  }

  #note(error: unknown): void {
    if (!(error instanceof KubeError)) throw error;
    this.problems.push(error.message);
  }
}

interface LogOf {
  name: string;
  previous: boolean;
}

function containersOf(pod: KubernetesObject): LogOf[] {
  const { spec = {}, status = {} } = pod as Pod;
  const states = [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
  return [...(spec.initContainers ?? []), ...(spec.containers ?? [])].flatMap(({ name }) => {
    const restarted = states.some((state) => state.name === name && state.restartCount > 0);
    return [{ name, previous: false }, ...(restarted ? [{ name, previous: true }] : [])];
  });
}
