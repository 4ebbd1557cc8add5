/** `bss doctor`: checks why a platform is not Ready, from the cluster down to the pods, and why a ConsumerAutoscaler does not scale. */
import { AUTOSCALER_KIND, KIND } from '../api/index.ts';
import { consumerAutoscalerSpec } from '../api/consumer-autoscaler.ts';
import {
  type BssPlatformSpec,
  credentialsName,
  parseSpec,
  POD_MONITOR,
  PROMETHEUS_RULE,
  referencedSecrets,
  refused,
  slotsOf,
  specSchema,
} from '../platform/index.ts';
import { podSecurity } from '../reconcile/pod-security.ts';
import { conditionOf } from '../reconcile/status/conditions.ts';
import { decode, type SecretObject } from '../reconcile/credentials/credentials.ts';
import { SecretValues } from '../reconcile/credentials/secrets.ts';
import type { PlatformObject } from '../reconcile/ownership/ownership.ts';
import { readStatus } from '../reconcile/status/status.ts';
import type { AutoscalerObject } from '../reconcile/scaling/claims.ts';
import type { KubeClient, KubernetesObject } from '../runtime/index.ts';
import { autoscalerTitle, examineAutoscaler } from './doctor-autoscaler.ts';
import { monitoring } from './doctor-monitoring.ts';
import { bad, good, note, type Finding } from './finding.ts';
import { count, type Paint } from './output.ts';
import type { Scope } from './scope.ts';
import { AUTOSCALERS, listInScope, PLATFORMS } from './status.ts';

const LEASE = 'bss-operator';
/** A leader renews its Lease every two seconds. */
const LEASE_AGE_MS = 30_000;

/** The checks of the installation, or of one resource. */
export interface Section {
  /** `Kind namespace/name` of the resource; unset for the installation. */
  resource?: string;
  findings: Finding[];
}

/**
 * Checks the installation, then every platform and ConsumerAutoscaler of the scope.
 * @param now epoch milliseconds
 */
export async function examine(client: KubeClient, scope: Scope, operatorNamespace: string, now: number): Promise<Section[]> {
  const installation = { findings: [...(await definitions(client)), await operator(client, operatorNamespace, now)] };
  if (!installation.findings[0]?.ok) return [installation];
  const [platforms, autoscalers] = await Promise.all([
    listInScope<PlatformObject>(client, PLATFORMS, scope),
    listInScope<AutoscalerObject>(client, AUTOSCALERS, scope),
  ]);
  if (platforms.length + autoscalers.length === 0) return [installation, nothingFound(scope)];
  const sections = [
    ...platforms.map(async (platform): Promise<Section> => {
      const { namespace, name } = platform.metadata;
      return { resource: `${KIND} ${namespace}/${name}`, findings: await examinePlatform(client, platform) };
    }),
    ...(await autoscalerSections(client, scope, autoscalers)),
  ];
  return [installation, ...(await Promise.all(sections))];
}

/** Who else names the object of a resource is seen in all of its namespace, whatever the scope. */
async function autoscalerSections(client: KubeClient, { namespace }: Scope, resources: AutoscalerObject[]): Promise<Promise<Section>[]> {
  if (resources.length === 0) return [];
  const place = namespace === undefined ? {} : { namespace };
  const [autoscalers, platforms] = await Promise.all([
    listInScope<AutoscalerObject>(client, AUTOSCALERS, place),
    listInScope<PlatformObject>(client, PLATFORMS, place),
  ]);
  return resources.map(async (resource) => ({
    resource: autoscalerTitle(resource),
    findings: await examineAutoscaler(client, resource, { autoscalers, platforms }),
  }));
}

/** A name without its resource is a problem; a namespace without resources is none. */
function nothingFound({ namespace, name, kind }: Scope): Section {
  if (name === undefined)
    return {
      findings: [good(`no ${KIND} and no ${AUTOSCALER_KIND} in ${namespace === undefined ? 'any namespace' : `namespace ${namespace}`}`)],
    };
  return {
    findings: [bad(`${kind} ${namespace === undefined ? '' : `${namespace}/`}${name} not found`, 'apply it, or set its namespace with -n')],
  };
}

export function describeFindings(sections: Section[], paint: Paint): string {
  const blocks = sections.map(({ resource, findings }) => {
    const lines = findings.flatMap((finding) => [
      `${mark(finding, paint)} ${finding.what}`,
      ...(finding.remedy === undefined ? [] : [`    ${paint('cyan', finding.remedy)}`]),
    ]);
    return [...(resource === undefined ? [] : [`\n${paint('bold', resource)}`]), ...lines].join('\n');
  });
  const wrong = sections.flatMap(({ findings }) => findings).filter(({ ok, waits }) => !ok && !waits).length;
  const verdict = isHealthy(sections) ? paint('green', 'No problem found.') : paint('red', `${count(wrong, 'problem')} found.`);
  return [...blocks, '', verdict].join('\n');
}

export function isHealthy(sections: Section[]): boolean {
  return sections.every(({ findings }) => findings.every(({ ok }) => ok));
}

function mark({ ok, waits, note: isNote }: Finding, paint: Paint): string {
  if (isNote) return paint('yellow', '!');
  if (waits) return paint('dim', '○');
  return ok ? paint('green', '✓') : paint('red', '✗');
}

interface Definition extends KubernetesObject {
  spec?: { versions?: { name: string; schema?: { openAPIV3Schema?: { properties?: { spec?: { properties?: object } } } } }[] };
}

const INSTALL = 'bss crd | kubectl apply --server-side -f -';

/** The first finding is about the definition of platforms. */
async function definitions(client: KubeClient): Promise<Finding[]> {
  const [platforms, autoscalers] = await Promise.all([
    definition(client, 'bssplatforms.bss-platform.io'),
    definition(client, 'consumerautoscalers.bss-platform.io'),
  ]);
  if (platforms === undefined) return [bad('the CustomResourceDefinition is not installed', INSTALL)];
  const missing = (served: string[], shape: object) => Object.keys(shape).filter((field) => !served.includes(field));
  const older = [
    ...missing(platforms, specSchema.shape),
    ...(autoscalers === undefined ? [] : missing(autoscalers, consumerAutoscalerSpec.shape).map((field) => `${AUTOSCALER_KIND}.${field}`)),
  ];
  return [
    older.length === 0
      ? good('the CustomResourceDefinition is installed and has every field')
      : good('the CustomResourceDefinition is installed'),
    ...(older.length === 0 ? [] : [bad(`the CustomResourceDefinition is older than this program: it lacks ${older.join(', ')}`, INSTALL)]),
    ...(autoscalers === undefined
      ? [note(`the CustomResourceDefinition of ${AUTOSCALER_KIND} is not installed`, `to use it: ${INSTALL}`)]
      : []),
  ];
}

/** Fields of `spec` that the API server knows; undefined when the definition is not installed. */
async function definition(client: KubeClient, name: string): Promise<string[] | undefined> {
  const found = await client.find<Definition>({ apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition', name });
  if (found === undefined) return undefined;
  return Object.keys(found.spec?.versions?.[0]?.schema?.openAPIV3Schema?.properties?.spec?.properties ?? {});
}

interface Lease extends KubernetesObject {
  spec?: { holderIdentity?: string; renewTime?: string };
}

async function operator(client: KubeClient, namespace: string, now: number): Promise<Finding> {
  const lease = await client.find<Lease>({ apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', name: LEASE, namespace });
  const { holderIdentity = '', renewTime } = lease?.spec ?? {};
  const logs = `kubectl -n ${namespace} get pods -l app.kubernetes.io/name=bss-operator; kubectl -n ${namespace} logs -l app.kubernetes.io/name=bss-operator`;
  if (lease === undefined)
    return bad(
      `no operator found in namespace ${namespace}: the Lease ${LEASE} does not exist`,
      `install it with Helm, or set its namespace with --operator-namespace; ${logs}`,
    );
  const age = now - Date.parse(renewTime ?? '');
  if (holderIdentity === '' || !(age < LEASE_AGE_MS))
    return bad(`no operator holds the Lease ${namespace}/${LEASE}: last renewed ${renewTime ?? 'never'}`, logs);
  return good(`the operator ${holderIdentity} holds the lease`);
}

async function examinePlatform(client: KubeClient, platform: PlatformObject): Promise<Finding[]> {
  const parsed = parseSpec(platform.spec);
  if (!parsed.ok) return parsed.problems.map(({ path, message }) => bad(`${path} is not valid`, message));
  return [
    good('the spec is valid'),
    ...state(platform),
    ...(await secrets(client, platform, parsed.spec)),
    ...(await volumes(client, platform)),
    ...(await keda(client, parsed.spec)),
    ...(await prometheusOperator(client, parsed.spec)),
    ...(await agents(client, platform, parsed.spec)),
    ...components(platform),
    ...(await monitoring(client, platform, parsed.spec)),
  ];
}

function state(platform: PlatformObject): Finding[] {
  const status = readStatus(platform.status);
  const { generation = 0 } = platform.metadata;
  const ready = conditionOf(status, 'Ready');
  if (ready === undefined)
    return [bad('the operator has not reconciled it yet', 'wait a moment; if this persists, read the log of the operator')];
  const paused = conditionOf(status, 'Paused')?.status === 'True' ? [bad('the platform is paused', 'set spec.paused to false')] : [];
  const hibernating =
    ready.reason === 'Hibernated' || ready.reason === 'Hibernating' ? [bad('the platform hibernates', 'set spec.hibernate to false')] : [];
  const behind =
    paused.length === 0 && (status?.observedGeneration ?? 0) < generation
      ? [bad('the operator has not applied the newest generation yet', 'wait a moment; if this persists, read the log of the operator')]
      : [];
  const alarms = (['Degraded', 'LagUnknown', 'ScalingLimited', 'TopicsDiffer', 'RetentionAtRisk'] as const).flatMap((type) => {
    const condition = conditionOf(status, type);
    return condition?.status === 'True' ? [bad(`${type}: ${condition.reason}`, condition.message)] : [];
  });
  return [...paused, ...hibernating, ...behind, ...alarms];
}

async function secrets(client: KubeClient, platform: PlatformObject, spec: BssPlatformSpec): Promise<Finding[]> {
  const { name, namespace } = platform.metadata;
  const credentials = { apiVersion: 'v1', kind: 'Secret', name: credentialsName({ name, namespace }), namespace };
  const values = decode((await client.find<SecretObject>(credentials))?.data ?? {});
  const input = { name, namespace, spec, operatorNamespace: '', slots: slotsOf(values) };
  const uses = referencedSecrets(input);
  const read = async (use: string): Promise<[string, Record<string, string>][]> => {
    const secret = await client.find<SecretObject>({ ...credentials, name: use });
    return secret === undefined ? [] : [[use, decode(secret.data ?? {})]];
  };
  const found = new SecretValues(new Map((await Promise.all(uses.map((use) => read(use.name)))).flat()));
  const missing = uses.flatMap((use) => {
    const generated = use.name === credentials.name ? { remedy: 'the operator creates it: read the log of the operator' } : {};
    return found.missing([use]).map((gap) => ({ ...gap, ...generated }));
  });
  return missing.length > 0 ? missing.map(({ what, remedy }) => bad(what, remedy)) : [good('every Secret that the platform uses exists')];
}

async function volumes(client: KubeClient, { metadata: { name, namespace } }: PlatformObject): Promise<Finding[]> {
  const labelSelector = `app.kubernetes.io/instance=${name},app.kubernetes.io/part-of=bss-platform`;
  const { items } = await client.list({ apiVersion: 'v1', kind: 'PersistentVolumeClaim' }, { namespace, labelSelector });
  const waiting = items.filter((claim) => (claim['status'] as { phase?: string } | undefined)?.phase !== 'Bound');
  if (waiting.length === 0) return items.length > 0 ? [good('every volume is bound')] : [];
  const classes = await client.list({ apiVersion: 'storage.k8s.io/v1', kind: 'StorageClass' });
  const isDefault = ({ metadata }: KubernetesObject) => metadata.annotations?.['storageclass.kubernetes.io/is-default-class'] === 'true';
  const classless = waiting.some((claim) => (claim['spec'] as { storageClassName?: string } | undefined)?.storageClassName === undefined);
  const remedy =
    classless && !classes.items.some((one) => isDefault(one))
      ? 'the cluster has no default StorageClass: mark one as the default, or set storage.storageClass in the spec'
      : `kubectl -n ${namespace} describe pvc ${waiting[0]?.metadata.name}`;
  return [bad(`volume claims are not bound: ${waiting.map(({ metadata }) => metadata.name).join(', ')}`, remedy)];
}

async function keda(client: KubeClient, { workloads: { interest } }: BssPlatformSpec): Promise<Finding[]> {
  if (!interest.enabled || interest.autoscaling.mode !== 'keda') return [];
  if (await client.serves({ apiVersion: 'keda.sh/v1alpha1', kind: 'ScaledObject' })) return [good('KEDA is installed')];
  return [
    bad(
      'spec.workloads.interest.autoscaling.mode is keda, but KEDA is not installed',
      'install KEDA, or set spec.workloads.interest.autoscaling.mode to builtin',
    ),
  ];
}

async function prometheusOperator(client: KubeClient, { observability }: BssPlatformSpec): Promise<Finding[]> {
  if (observability.mode !== 'existing') return [];
  const served = await Promise.all([POD_MONITOR, PROMETHEUS_RULE].map((kind) => client.serves(kind)));
  if (served.every(Boolean)) return [good('prometheus-operator is installed')];
  return [
    bad(
      'spec.observability.mode is existing, but prometheus-operator is not installed: nothing scrapes the platform',
      'install prometheus-operator, or set spec.observability.mode to managed',
    ),
  ];
}

/** Components that the namespace refuses: the platform runs without them. */
async function agents(client: KubeClient, { metadata: { namespace } }: PlatformObject, spec: BssPlatformSpec): Promise<Finding[]> {
  const left = refused({ spec, namespace, ...(await podSecurity(client, namespace)) });
  return left.map(({ path, what, remedy }) => note(`${path}: ${what}`, remedy));
}

function components(platform: PlatformObject): Finding[] {
  const { namespace, name } = platform.metadata;
  const list = readStatus(platform.status)?.components ?? [];
  const waiting = list.filter(({ ready, desired, message = '' }) => ready < desired && message.startsWith('waits for'));
  const checked = list.filter((component) => !waiting.includes(component));
  const findings = checked.map(({ name: component, kind, ready, desired, message = '' }) => {
    if (ready >= desired) return good(`${component} ${ready}/${desired}`);
    const pods = `kubectl -n ${namespace} describe pods -l app.kubernetes.io/instance=${name},app.kubernetes.io/name=${component}`;
    const brokers = `check that the brokers run and that network policies admit the operator: kubectl -n ${namespace} describe bss ${name}`;
    return bad(`${component} ${ready}/${desired}: ${message}`, kind === 'KafkaTopics' ? brokers : pods);
  });
  return [
    ...findings,
    ...waiting.map(({ name: component, message = '' }) => ({ ok: false, waits: true, what: `${component} ${message}` })),
  ];
}
