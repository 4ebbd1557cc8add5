/** `bss doctor`: checks why a ConsumerAutoscaler does not scale. */
import {
  accessOf,
  AUTOSCALER_KIND,
  parseConsumerAutoscaler,
  secretsOf,
  type ConsumerAutoscalerSpec,
  type ConsumerAutoscalerStatus,
} from '../api/index.ts';
import { readAutoscalerStatus } from '../reconcile/autoscalers/status.ts';
import { decode, type SecretObject } from '../reconcile/credentials/credentials.ts';
import { SecretValues } from '../reconcile/credentials/secrets.ts';
import { claimOf, claimsBefore, claimsOf, type AutoscalerObject, type Claim } from '../reconcile/scaling/claims.ts';
import type { PlatformObject } from '../reconcile/ownership/ownership.ts';
import { KubeError, type KubeClient } from '../runtime/index.ts';
import { bad, good, note, type Finding } from './finding.ts';
import { figuresText, replicasText } from './status-text.ts';

/** What asks for the scaling of objects in one namespace. */
export interface Neighbours {
  autoscalers: readonly AutoscalerObject[];
  platforms: readonly PlatformObject[];
}

/** What was found in the cluster beside the resource. */
export interface AutoscalerFacts {
  /** Whether the object exists; unknown where the user must not read it. */
  object: 'present' | 'absent' | 'unknownKind' | 'unknown';
  /** What is missing of the Secrets that the spec names. */
  secrets: { what: string; remedy: string }[];
  /** Other resources that name the same object, as `Kind/name`. */
  others: string[];
}

/** @param neighbours every resource of the namespace */
export async function examineAutoscaler(client: KubeClient, resource: AutoscalerObject, neighbours: Neighbours): Promise<Finding[]> {
  const parsed = parseConsumerAutoscaler(resource.spec);
  if (!parsed.ok) return parsed.problems.map(({ path, message }) => bad(`${path} is not valid`, message));
  const { namespace } = resource.metadata;
  const [object, secrets] = await Promise.all([objectOf(client, namespace, parsed.spec), missingSecrets(client, namespace, parsed.spec)]);
  return judgeAutoscaler(resource, parsed.spec, { object, secrets, others: othersOf(resource, neighbours) });
}

const isForbidden = (error: unknown) => error instanceof KubeError && error.status === 403;

async function objectOf(
  client: KubeClient,
  namespace: string,
  { scaleTargetRef }: ConsumerAutoscalerSpec,
): Promise<AutoscalerFacts['object']> {
  try {
    if (!(await client.serves(scaleTargetRef))) return 'unknownKind';
    return (await client.find({ ...scaleTargetRef, namespace })) === undefined ? 'absent' : 'present';
  } catch (error) {
    if (isForbidden(error)) return 'unknown';
    throw error;
  }
}

async function missingSecrets(client: KubeClient, namespace: string, spec: ConsumerAutoscalerSpec): Promise<AutoscalerFacts['secrets']> {
  const uses = secretsOf(accessOf(spec));
  const values = new Map<string, Record<string, string>>();
  try {
    for (const { name } of uses) {
      const secret = await client.find<SecretObject>({ apiVersion: 'v1', kind: 'Secret', name, namespace });
      if (secret !== undefined) values.set(name, decode(secret.data ?? {}));
    }
  } catch (error) {
    // Whoever must not read Secrets still gets what the operator says of them in status.
    if (isForbidden(error)) return [];
    throw error;
  }
  return new SecretValues(values).missing(uses);
}

/** Others that would scale the object, were this one not there. */
function othersOf(resource: AutoscalerObject, neighbours: Neighbours): string[] {
  const [mine] = claimOf(resource);
  const others = claimsIn(resource, neighbours).filter(({ by, object }) => object === mine?.object && by !== mine.by);
  return [...new Set(others.map(({ by }) => by))].toSorted();
}

/** Those that scale the object in place of the resource, as `Kind/name`. */
export function earlierClaims(resource: AutoscalerObject, neighbours: Neighbours): string[] {
  return claimOf(resource).flatMap((mine) => claimsBefore(claimsIn(resource, neighbours), mine));
}

function claimsIn(resource: AutoscalerObject, { autoscalers, platforms }: Neighbours): Claim[] {
  const here = ({ metadata }: { metadata: { namespace?: string } }) => metadata.namespace === resource.metadata.namespace;
  return [
    ...autoscalers.filter((one) => here(one)).flatMap((one) => claimOf(one)),
    ...platforms.filter((one) => here(one)).flatMap((one) => claimsOf(one)),
  ];
}

/** Pure. */
export function judgeAutoscaler(resource: AutoscalerObject, spec: ConsumerAutoscalerSpec, facts: AutoscalerFacts): Finding[] {
  const status = readAutoscalerStatus(resource.status);
  return [...objectFindings(resource, spec, facts), ...secretFindings(spec, facts), ...statusFindings(resource, spec, status, facts)];
}

const objectName = ({ scaleTargetRef: { kind, name } }: ConsumerAutoscalerSpec) => `${kind} ${name}`;

function objectFindings(
  { metadata: { namespace } }: AutoscalerObject,
  spec: ConsumerAutoscalerSpec,
  { object }: AutoscalerFacts,
): Finding[] {
  const { apiVersion, kind } = spec.scaleTargetRef;
  switch (object) {
    case 'present':
      return [good(`${objectName(spec)} exists`)];
    case 'absent':
      return [bad(`${objectName(spec)} does not exist in namespace ${namespace}`, 'create it, or correct spec.scaleTargetRef')];
    case 'unknownKind':
      return [bad(`the cluster serves no kind ${kind} of ${apiVersion}`, 'install its definition, or correct spec.scaleTargetRef')];
    case 'unknown':
      return [];
  }
}

function secretFindings(spec: ConsumerAutoscalerSpec, { secrets }: AutoscalerFacts): Finding[] {
  if (secrets.length > 0) return secrets.map(({ what, remedy }) => bad(what, remedy));
  return secretsOf(accessOf(spec)).length > 0 ? [good('every Secret that it uses exists')] : [];
}

type Condition = NonNullable<ConsumerAutoscalerStatus['conditions']>[number];

function statusFindings(
  resource: AutoscalerObject,
  spec: ConsumerAutoscalerSpec,
  status: ConsumerAutoscalerStatus | undefined,
  facts: AutoscalerFacts,
): Finding[] {
  const find = (type: string) => status?.conditions?.find((one) => one.type === type);
  const [ready, limited] = [find('Ready'), find('ScalingLimited')];
  if (ready === undefined) return [bad('the operator has not reconciled it yet', UNRECONCILED)];
  if ((ready.observedGeneration ?? 0) < (resource.metadata.generation ?? 0))
    return [bad('the operator has not reconciled the newest generation yet', UNRECONCILED)];
  return [
    ...readiness(resource, spec, status, ready, facts),
    ...(limited?.status === 'True' ? [bad(`${limited.reason}: ${limited.message}`, remedyOf(limited, resource, spec))] : []),
    ...yielding(ready, facts),
  ];
}

const UNRECONCILED =
  'wait a moment; if this persists, read the log of the operator, and check that it watches this namespace (watchNamespaces)';

function readiness(
  resource: AutoscalerObject,
  spec: ConsumerAutoscalerSpec,
  status: ConsumerAutoscalerStatus | undefined,
  ready: Condition,
  { object, secrets }: AutoscalerFacts,
): Finding[] {
  if (ready.status === 'True') return [good(`${ready.message}: ${figuresText(status ?? {})}, replicas ${replicasText(status ?? {})}`)];
  const found = (ready.reason === 'SecretsMissing' && secrets.length > 0) || (ready.reason === 'DeploymentUnknown' && object === 'absent');
  return found ? [] : [bad(`${ready.reason}: ${ready.message}`, remedyOf(ready, resource, spec))];
}

/** The resource that scales says so of those that wait in its place. */
function yielding(ready: Condition, { others }: AutoscalerFacts): Finding[] {
  if (ready.reason === 'ForeignScaler' || others.length === 0) return [];
  return [
    note(`${others.join(', ')} would scale the same object`, 'the oldest resource scales: delete the others, or set mode: fixed in them'),
  ];
}

/** What to do about a reason of a condition. */
function remedyOf({ reason, message }: Condition, { metadata }: AutoscalerObject, spec: ConsumerAutoscalerSpec): string {
  const { group, topics, sasl, scaleTargetRef, maxReplicas } = spec;
  const logs = `read the log of the consumers: kubectl -n ${metadata.namespace} logs ${scaleTargetRef.kind.toLowerCase()}/${scaleTargetRef.name}`;
  const chart = `grant it to the operator: name the kind ${scaleTargetRef.kind} in the value scaleTargets of the chart`;
  const isForbiddenKind = /HTTP 403/.test(message);
  const remedies: Record<string, string> = {
    Starting: UNRECONCILED,
    ForeignScaler: `an object has one scaler: delete the other, or set mode: fixed here to measure only`,
    CredentialsRefused:
      sasl === undefined ? 'the brokers want a login: set spec.sasl' : `correct user and password in Secret ${sasl.secretName}`,
    NotAuthorized: `permit the Kafka user to describe them: kafka-acls --add --allow-principal User:NAME --operation Describe --group ${group} ${topics.map((topic) => `--topic ${topic}`).join(' ')}`,
    BrokerAway:
      'check spec.brokers, spec.tls and spec.sasl, the addresses that the brokers advertise, and that network policies admit the operator to them',
    UnknownTopic: 'create the topic, or correct spec.topics; a Kafka user sees only the topics that it may describe',
    UnknownGroup: `correct spec.group, or ${logs}`,
    DeploymentUnknown: isForbiddenKind ? chart : 'create the object, or correct spec.scaleTargetRef: it needs a scale subresource',
    ScaleFailed: isForbiddenKind ? chart : 'the operator retries; if this persists, read its log',
    ScalersUnknown: 'the ClusterRole of the chart permits the operator to list HorizontalPodAutoscalers: install it again',
    AtMaximum: `raise spec.maxReplicas (${maxReplicas}) or spec.maxDelay`,
    HotPartition: 'spread the keys of its events over more partitions: no replica can help one partition',
    Ineffective: 'look for what the consumers share: a database, an API, the brokers',
    NoProgress: logs,
    ManualChange: 'set spec.minReplicas in place of the replicas, or mode: fixed to keep a number',
  };
  return remedies[reason] ?? 'see docs/autoscaling.md';
}

/** Title of its section. */
export function autoscalerTitle({ metadata: { namespace, name } }: AutoscalerObject): string {
  return `${AUTOSCALER_KIND} ${namespace}/${name}`;
}
