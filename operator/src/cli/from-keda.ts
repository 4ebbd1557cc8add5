/**
 * `bss from-keda`: ConsumerAutoscalers in place of KEDA's ScaledObjects with kafka triggers. Pure. What has no equivalent becomes a comment above the
 * resource, and a value that the file does not contain stays empty, so that the API server refuses it until somebody fills it in.
 */
import { stringify } from 'yaml';
import { z } from 'zod';
import { API_VERSION, AUTOSCALER_KIND } from '../api/index.ts';
import { AUTHENTICATION_KINDS, connectionOf, Text, type Trigger, type Unit } from './from-keda-access.ts';
import { UsageError } from './usage.ts';

/** KEDA's defaults. */
const DEFAULTS = { maxReplicas: 100, cooldownSeconds: 300, pollingSeconds: 30, lagThreshold: 10, failureThreshold: 3 };

/** Shorter times than between two samples are no times to scale by. */
const SAMPLE_SECONDS = 5;

const Count = z.coerce.number().int().min(0);
const Policies = z.array(z.object({ type: z.string(), value: Count, periodSeconds: Count.optional() })).default([]);
const Rules = z.object({ stabilizationWindowSeconds: Count.optional(), policies: Policies }).prefault({});

const ScaledObject = z.object({
  metadata: z.object({
    name: z.string(),
    namespace: z.string().optional(),
    labels: z.record(z.string(), z.string()).optional(),
    annotations: z.record(z.string(), Text).default({}),
  }),
  spec: z.object({
    scaleTargetRef: z.object({ apiVersion: z.string().optional(), kind: z.string().optional(), name: z.string() }),
    minReplicaCount: Count.default(0),
    maxReplicaCount: Count.default(DEFAULTS.maxReplicas),
    idleReplicaCount: Count.optional(),
    pollingInterval: Count.optional(),
    cooldownPeriod: Count.default(DEFAULTS.cooldownSeconds),
    fallback: z.object({ failureThreshold: Count.default(DEFAULTS.failureThreshold), replicas: Count }).optional(),
    advanced: z
      .object({
        restoreToOriginalReplicaCount: z.boolean().default(false),
        scalingModifiers: z.unknown().optional(),
        horizontalPodAutoscalerConfig: z.object({ behavior: z.object({ scaleUp: Rules, scaleDown: Rules }).prefault({}) }).prefault({}),
      })
      .prefault({}),
    triggers: z.array(
      z.object({
        type: z.string(),
        metadata: z.record(z.string(), Text).default({}),
        authenticationRef: z.object({ name: z.string(), kind: z.string().default('TriggerAuthentication') }).optional(),
      }),
    ),
  }),
});

type Scaled = z.output<typeof ScaledObject>;

/**
 * @param objects of the file: ScaledObjects, their authentications, and Secrets if they are in it
 * @returns YAML @throws UsageError when there is nothing to convert, or an object is not one that KEDA would take
 */
export function fromKeda(objects: readonly unknown[]): string {
  const units = objects.flatMap((object) => itemsOf(object)).flatMap((object) => unit(object));
  const scaled = units.filter(({ kind }) => kind === 'ScaledObject').map(({ object }) => parsed(object));
  const jobs = units.filter(({ kind }) => kind === 'ScaledJob').map(({ name }) => `# ScaledJob ${name}: the operator starts no Jobs.\n`);
  const converted = scaled.flatMap((one) => (kafkaTriggers(one).length > 0 ? [documentOf(one, units)] : [skipped(one)]));
  if (!scaled.some((one) => kafkaTriggers(one).length > 0)) throw new UsageError('no ScaledObject with a kafka trigger found');
  return [...jobs, ...converted].join('---\n');
}

/** `kubectl get -o yaml` prints a List. */
function itemsOf(object: unknown): unknown[] {
  const { success, data } = z.object({ kind: z.literal('List'), items: z.array(z.unknown()) }).safeParse(object);
  return success ? data.items : [object];
}

function unit(object: unknown): Unit[] {
  const { success, data } = z.object({ kind: z.string(), metadata: z.object({ name: z.string() }) }).safeParse(object);
  const known = ['ScaledObject', 'ScaledJob', 'Secret', ...AUTHENTICATION_KINDS];
  return success && known.includes(data.kind) ? [{ kind: data.kind, name: data.metadata.name, object }] : [];
}

function parsed(object: unknown): Scaled {
  const { success, data, error } = ScaledObject.safeParse(object);
  if (success) return data;
  throw new UsageError(`a ScaledObject is not valid: ${z.prettifyError(error)}`);
}

const kafkaTriggers = ({ spec }: Scaled): Trigger[] => spec.triggers.filter(({ type }) => type === 'kafka');

const skipped = ({ metadata }: Scaled): string => `# ScaledObject ${metadata.name}: it has no kafka trigger, so KEDA keeps it.\n`;

function documentOf(scaled: Scaled, units: readonly Unit[]): string {
  const { name, namespace, labels } = scaled.metadata;
  const notes: string[] = [];
  const [first, ...others] = kafkaTriggers(scaled);
  if (first === undefined) return skipped(scaled);
  const spec = {
    scaleTargetRef: scaled.spec.scaleTargetRef,
    ...groupOf(first, others, notes),
    ...connectionOf(first, units, notes),
    ...policyOf(scaled, first, notes),
  };
  notes.push(...unconverted(scaled), ...triggerNotes(first));
  const metadata = { name, ...(namespace === undefined ? {} : { namespace }), ...(labels === undefined ? {} : { labels }) };
  const text = stringify({ apiVersion: API_VERSION, kind: AUTOSCALER_KIND, metadata, spec }, { lineWidth: 0 });
  return `# From ScaledObject ${name}.\n${notes.map((note) => `# - ${note}\n`).join('')}${text}`;
}

/** Triggers of one group are one resource with all their topics. */
function groupOf(first: Trigger, others: readonly Trigger[], notes: string[]): { group: string; topics: string[] } {
  const { consumerGroup = '', topic } = first.metadata;
  if (consumerGroup === '') notes.push('group: KEDA reads it from the environment of the pods; write it here.');
  const same = others.filter(({ metadata }) => metadata['consumerGroup'] === consumerGroup);
  const rest = others.filter((trigger) => !same.includes(trigger));
  for (const { metadata } of rest)
    notes.push(`The trigger for group ${metadata['consumerGroup'] ?? '?'} is left out: an object is scaled on one group.`);
  const topics = [topic, ...same.map(({ metadata }) => metadata['topic'])].flatMap((list) => list?.split(',') ?? []);
  const named = [...new Set(topics.map((one) => one.trim()).filter((one) => one !== ''))];
  if (named.length === 0)
    notes.push('topics: KEDA takes all topics of the group, or reads the name from the environment; write them here.');
  return { group: consumerGroup, topics: named };
}

function policyOf(scaled: Scaled, trigger: Trigger, notes: string[]): Record<string, unknown> {
  return {
    ...modeOf(scaled, notes),
    ...boundsOf(scaled, trigger),
    ...lagOf(trigger, notes),
    ...stepsOf(scaled, notes),
    ...fallbackOf(scaled, notes),
  };
}

function modeOf({ metadata: { annotations } }: Scaled, notes: string[]): Record<string, unknown> {
  const paused = Object.keys(annotations).filter((key) => key.startsWith('autoscaling.keda.sh/paused') && annotations[key] !== 'false');
  if (paused.length === 0) return {};
  notes.push(`mode: fixed, because of the annotation ${paused.join(', ')}; remove it to scale.`);
  return { mode: 'fixed' };
}

function boundsOf({ spec }: Scaled, { metadata }: Trigger): Record<string, unknown> {
  const { minReplicaCount: least, maxReplicaCount: most, cooldownPeriod } = spec;
  if (least > 0) return { minReplicas: least, maxReplicas: most };
  const activation = Number(metadata['activationLagThreshold'] ?? 0);
  return {
    scaleToZero: true,
    maxReplicas: most,
    idleTime: `${Math.max(SAMPLE_SECONDS, cooldownPeriod)}s`,
    ...(activation > 0 ? { activationLag: activation } : {}),
  };
}

function lagOf({ metadata }: Trigger, notes: string[]): Record<string, unknown> {
  const threshold = Number(metadata['lagThreshold'] ?? DEFAULTS.lagThreshold);
  notes.push('lagPerReplica keeps at least the replicas that KEDA would. Remove it to scale on the time that events wait (maxDelay).');
  return { lagPerReplica: Math.max(1, Math.round(threshold)) };
}

function stepsOf({ spec: { advanced } }: Scaled, notes: string[]): Record<string, unknown> {
  const { scaleUp, scaleDown } = advanced.horizontalPodAutoscalerConfig.behavior;
  const window = scaleDown.stabilizationWindowSeconds;
  const pods = scaleUp.policies.filter(({ type }) => type === 'Pods').map(({ value }) => value);
  const percent = scaleUp.policies.filter(({ type }) => type === 'Percent').map(({ value }) => value);
  if (scaleUp.policies.length > 0)
    notes.push('stepUpReplicas and stepUpFactor are for each decision, at most one in 5 s: periodSeconds is left out.');
  if (scaleDown.policies.length > 0)
    notes.push('behavior.scaleDown.policies: the operator scales down in one step, after scaleDownWindow.');
  if (scaleUp.stabilizationWindowSeconds !== undefined)
    notes.push('behavior.scaleUp.stabilizationWindowSeconds: the operator scales up at once.');
  return {
    ...(window === undefined ? {} : { scaleDownWindow: `${Math.max(SAMPLE_SECONDS, window)}s` }),
    ...(pods.length > 0 ? { stepUpReplicas: Math.max(1, ...pods) } : {}),
    ...(percent.length > 0 ? { stepUpFactor: Math.max(1, ...percent.map((value) => Math.round(1 + value / 100))) } : {}),
  };
}

function fallbackOf({ spec }: Scaled, notes: string[]): Record<string, unknown> {
  const { fallback, pollingInterval = DEFAULTS.pollingSeconds, minReplicaCount: least, maxReplicaCount: most } = spec;
  if (fallback === undefined) return {};
  const replicas = Math.min(Math.max(fallback.replicas, least), most);
  notes.push(
    replicas === fallback.replicas
      ? 'safeReplicas only ever scales up.'
      : `safeReplicas only ever scales up, and must lie within the bounds: ${replicas} in place of ${fallback.replicas}.`,
  );
  return { safeReplicas: replicas, lagUnknownAfter: `${fallback.failureThreshold * pollingInterval}s` };
}

/** Fields of the ScaledObject without an equivalent. */
function unconverted({ spec }: Scaled): string[] {
  const { pollingInterval, idleReplicaCount, advanced } = spec;
  const other = spec.triggers.filter(({ type }) => type !== 'kafka').map(({ type }) => type);
  const notes: [present: boolean, note: string][] = [
    [other.length > 0, `Triggers of type ${other.join(', ')} are left out: the operator scales on the lag alone.`],
    [pollingInterval !== undefined, 'pollingInterval: the group is sampled every 5 s.'],
    [idleReplicaCount !== undefined, 'idleReplicaCount: a group without lag and arrivals has minReplicas, or none with scaleToZero.'],
    [
      advanced.restoreToOriginalReplicaCount,
      'restoreToOriginalReplicaCount: when this resource is deleted, the replicas stay as they are.',
    ],
    [advanced.scalingModifiers !== undefined, 'scalingModifiers: there is no formula.'],
  ];
  return notes.filter(([present]) => present).map(([, note]) => note);
}

/** Fields of a kafka trigger without an equivalent. */
const TRIGGER_NOTES: Record<string, string> = {
  partitionLimitation: 'partitionLimitation: all partitions of the topics count.',
  offsetResetPolicy: 'offsetResetPolicy: a partition without a commit counts from the start of the log.',
  allowIdleConsumers: 'allowIdleConsumers: there are never more replicas than partitions make useful.',
  scaleToZeroOnInvalidOffset: 'scaleToZeroOnInvalidOffset: a partition without a commit counts from the start of the log.',
  ensureEvenDistributionOfPartitions:
    'ensureEvenDistributionOfPartitions: the operator always prefers numbers that divide the partitions evenly.',
};

function triggerNotes({ metadata }: Trigger): string[] {
  return Object.entries(TRIGGER_NOTES).flatMap(([key, note]) => (metadata[key] === undefined || metadata[key] === 'false' ? [] : [note]));
}
