/** `bss doctor`: checks why a platform is not Ready, from the cluster down to the pods. */
import { API_VERSION, KIND } from '../api/index.ts';
import { type BssPlatformSpec, credentialsName, parseSpec, referencedSecrets, slotsOf, specSchema } from '../platform/index.ts';
import { conditionOf } from '../reconcile/status/conditions.ts';
import { decode, type SecretObject } from '../reconcile/credentials/credentials.ts';
import { SecretValues } from '../reconcile/credentials/secrets.ts';
import type { PlatformObject } from '../reconcile/ownership/ownership.ts';
import { readStatus } from '../reconcile/status/status.ts';
import type { KubeClient, KubernetesObject } from '../runtime/index.ts';
import { count, type Paint } from './output.ts';
import { selection } from './status.ts';

/** Result of one check. */
export interface Finding {
  ok: boolean;
  /** Not ok only because an earlier component is not. */
  waits?: boolean;
  what: string;
  /** What to do; set only when not ok. */
  remedy?: string;
}

const LEASE = 'bss-operator';
/** A leader renews its Lease every two seconds. */
const LEASE_AGE_MS = 30_000;

/** The checks of the installation, or of one platform. */
export interface Section {
  /** `namespace/name` of the platform; unset for the installation. */
  platform?: string;
  findings: Finding[];
}

/**
 * Checks the installation, then every platform of the scope.
 * @param scope without a name: every platform of the namespace; without a namespace: those of all namespaces
 * @param now epoch milliseconds
 */
export async function examine(
  client: KubeClient,
  scope: { namespace?: string; name?: string },
  operatorNamespace: string,
  now: number,
): Promise<Section[]> {
  const installation = { findings: [...(await definition(client)), await operator(client, operatorNamespace, now)] };
  if (!installation.findings[0]?.ok) return [installation];
  const { items } = await client.list<PlatformObject>({ apiVersion: API_VERSION, kind: KIND }, selection(scope));
  if (items.length === 0) return [installation, nothingFound(scope)];
  const platforms = items.map(async (platform): Promise<Section> => {
    const { namespace, name } = platform.metadata;
    return { platform: `${namespace}/${name}`, findings: await examinePlatform(client, platform) };
  });
  return [installation, ...(await Promise.all(platforms))];
}

/** A name without its platform is a problem; a namespace without platforms is none. */
function nothingFound({ namespace, name }: { namespace?: string; name?: string }): Section {
  if (name === undefined)
    return { findings: [good(`no ${KIND} in ${namespace === undefined ? 'any namespace' : `namespace ${namespace}`}`)] };
  return {
    findings: [bad(`${KIND} ${namespace === undefined ? '' : `${namespace}/`}${name} not found`, 'apply it, or set its namespace with -n')],
  };
}

export function describeFindings(sections: Section[], paint: Paint): string {
  const blocks = sections.map(({ platform, findings }) => {
    const lines = findings.flatMap((finding) => [
      `${mark(finding, paint)} ${finding.what}`,
      ...(finding.remedy === undefined ? [] : [`    ${paint('cyan', finding.remedy)}`]),
    ]);
    return [...(platform === undefined ? [] : [`\n${paint('bold', `${KIND} ${platform}`)}`]), ...lines].join('\n');
  });
  const wrong = sections.flatMap(({ findings }) => findings).filter(({ ok, waits }) => !ok && !waits).length;
  const verdict = isHealthy(sections) ? paint('green', 'No problem found.') : paint('red', `${count(wrong, 'problem')} found.`);
  return [...blocks, '', verdict].join('\n');
}

export function isHealthy(sections: Section[]): boolean {
  return sections.every(({ findings }) => findings.every(({ ok }) => ok));
}

function mark({ ok, waits }: Finding, paint: Paint): string {
  if (waits) return paint('dim', '○');
  return ok ? paint('green', '✓') : paint('red', '✗');
}

function good(what: string): Finding {
  return { ok: true, what };
}

function bad(what: string, remedy: string): Finding {
  return { ok: false, what, remedy };
}

interface Definition extends KubernetesObject {
  spec?: { versions?: { name: string; schema?: { openAPIV3Schema?: { properties?: { spec?: { properties?: object } } } } }[] };
}

async function definition(client: KubeClient): Promise<Finding[]> {
  const install = 'bss crd | kubectl apply --server-side -f -';
  const found = await client.find<Definition>({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    name: 'bssplatforms.bss-platform.io',
  });
  if (found === undefined) return [bad('the CustomResourceDefinition is not installed', install)];
  const served = Object.keys(found.spec?.versions?.[0]?.schema?.openAPIV3Schema?.properties?.spec?.properties ?? {});
  const missing = Object.keys(specSchema.shape).filter((field) => !served.includes(field));
  if (missing.length > 0)
    return [
      good('the CustomResourceDefinition is installed'),
      bad(`the CustomResourceDefinition is older than this program: it lacks ${missing.join(', ')}`, install),
    ];
  return [good('the CustomResourceDefinition is installed and has every field')];
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
    ...components(platform),
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
