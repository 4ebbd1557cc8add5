/**
 * The profiles: defaults that depend on `spec.profile`. They lie under the user's spec, so that every field can be overridden alone. What
 * both profiles share is a default of the schema; where only `production` differs, the schema's default is that of `small`.
 */
import { OWN_TOPICS } from './topics.ts';
import { quantityValue } from './rules.ts';

type Raw = Record<string, unknown>;

/** [CPU request, memory request, CPU limit, memory limit]; the CPU limit may be absent. */
function amounts(cpu: string, memory: string, cpuLimit: string | undefined, memoryLimit: string): Raw {
  return { requests: { cpu, memory }, limits: { ...(cpuLimit ? { cpu: cpuLimit } : {}), memory: memoryLimit } };
}

const small: Raw = {
  kafka: { managed: { resources: amounts('100m', '640Mi', '1', '1Gi') } },
  postgres: { managed: { resources: amounts('100m', '192Mi', '1', '768Mi') } },
  pgbouncer: { resources: amounts('25m', '32Mi', '500m', '128Mi') },
  redis: { managed: { resources: amounts('20m', '32Mi', '250m', '128Mi') } },
  workloads: {
    gateway: { resources: amounts('50m', '128Mi', '1', '384Mi') },
    ledger: { resources: amounts('50m', '128Mi', '500m', '384Mi') },
    interest: { resources: amounts('100m', '160Mi', '1', '512Mi') },
    kafkaExporter: { resources: amounts('20m', '96Mi', '250m', '256Mi') },
  },
  prometheus: { resources: amounts('50m', '192Mi', '500m', '768Mi') },
};

const production: Raw = {
  kafka: { managed: { storage: { size: '100Gi' }, heap: '2Gi', resources: amounts('1', '4Gi', undefined, '6Gi') } },
  postgres: { managed: { storage: { size: '100Gi' }, maxConnections: 200, resources: amounts('1', '4Gi', undefined, '8Gi') } },
  pgbouncer: { replicas: 2, resources: amounts('100m', '64Mi', undefined, '256Mi') },
  redis: { managed: { maxMemory: '768Mi', resources: amounts('100m', '256Mi', undefined, '1Gi') } },
  workloads: {
    gateway: { replicas: 2, resources: amounts('250m', '256Mi', undefined, '512Mi') },
    ledger: { replicas: 2, resources: amounts('250m', '256Mi', undefined, '512Mi') },
    interest: { autoscaling: { maxReplicas: 12 }, resources: amounts('500m', '384Mi', undefined, '768Mi') },
    kafkaExporter: { resources: amounts('50m', '128Mi', undefined, '256Mi') },
  },
  prometheus: { retentionSize: '50G', storage: { size: '60Gi' }, resources: amounts('500m', '2Gi', undefined, '4Gi') },
  telemetry: { samplePercent: 10 },
};

export const profiles = { small, production };

/** The raw spec with its profile underneath. What is not an object comes back as it is: the schema says what is wrong with it. */
export function withProfile(raw: unknown): unknown {
  if (!isObject(raw)) return raw;
  const profile = raw['profile'] === 'production' ? production : small;
  const merged = mergeObjects(profile, raw);
  for (const store of ['kafka', 'postgres', 'redis']) settleStore(merged, raw, store);
  settleScaling(merged);
  if (Array.isArray(merged['consumerGroups'])) merged['consumerGroups'] = merged['consumerGroups'].map(settleGroup);
  merged['topics'] = withOwnTopics(raw['topics']);
  return merged;
}

function isObject(value: unknown): value is Raw {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Objects are merged key by key; everything else, lists included, is replaced. A null counts as absent, as it does for the API server. */
function merge(under: unknown, over: unknown): unknown {
  if (over === undefined || over === null) return under;
  return isObject(under) && isObject(over) ? mergeObjects(under, over) : over;
}

function mergeObjects(under: Raw, over: Raw): Raw {
  const result: Raw = { ...under };
  for (const [key, value] of Object.entries(over)) {
    const merged = key === 'resources' ? mergeResources(under[key], value) : merge(under[key], value);
    if (merged !== undefined) result[key] = merged;
  }
  return result;
}

/** A default request never stands above a limit that the user wrote (nor a default limit below a request). */
function mergeResources(under: unknown, over: unknown): unknown {
  const merged = merge(under, over);
  if (!isObject(merged) || !isObject(over)) return merged;
  const [requests, limits] = [merged['requests'], merged['limits']];
  if (!isObject(requests) || !isObject(limits)) return merged;
  const given = (part: string, key: string) => isObject(over[part]) && over[part][key] !== undefined;
  const result = { ...merged, requests: { ...requests }, limits: { ...limits } };
  for (const key of ['cpu', 'memory']) {
    if (!above(requests[key], limits[key])) continue;
    if (!given('requests', key)) result.requests[key] = limits[key];
    else if (!given('limits', key)) result.limits[key] = requests[key];
  }
  return result;
}

function above(request: unknown, limit: unknown): boolean {
  const [asked, most] = [amount(request), amount(limit)];
  return asked !== undefined && most !== undefined && asked > most;
}

/** Undefined for what is no quantity: the schema says so later. */
function amount(value: unknown): number | undefined {
  if (typeof value === 'number') return value;
  if (typeof value !== 'string') return undefined;
  try {
    return quantityValue(value);
  } catch {
    return undefined;
  }
}

/** A store is managed unless the user gave an external one. */
function settleStore(merged: Raw, raw: Raw, store: string): void {
  const [value, given] = [merged[store], raw[store]];
  if (!isObject(value)) return;
  if (!isObject(given) || !isObject(given['external'])) return;
  if (given['managed'] === undefined || given['managed'] === null) delete value['managed'];
}

/** A replica count without a mode means that the count is fixed; a group that may stop has no least number. */
function settleScaling(merged: Raw): void {
  const workloads = merged['workloads'];
  const interest = isObject(workloads) ? workloads['interest'] : undefined;
  if (!isObject(workloads) || !isObject(interest)) return;
  const scaling: Raw = isObject(interest['autoscaling']) ? { ...interest['autoscaling'] } : {};
  if (scaling['mode'] === undefined && typeof interest['replicas'] === 'number') scaling['mode'] = 'fixed';
  if (scaling['minReplicas'] === undefined && scaling['scaleToZero'] === true) scaling['minReplicas'] = 0;
  if (interest['autoscaling'] !== undefined && !isObject(interest['autoscaling'])) return;
  merged['workloads'] = { ...workloads, interest: { ...interest, autoscaling: scaling } };
}

/** As for the platform's own group: one that may stop has no least number. */
function settleGroup(group: unknown): unknown {
  if (!isObject(group) || !isObject(group['autoscaling'])) return group;
  const { minReplicas, scaleToZero } = group['autoscaling'];
  const none = scaleToZero === true && (minReplicas === undefined || minReplicas === null);
  return none ? { ...group, autoscaling: { ...group['autoscaling'], minReplicas: 0 } } : group;
}

/** The platform's own topics, with the user's settings for them, then the user's other topics. */
function withOwnTopics(given: unknown): unknown {
  if (given !== undefined && given !== null && !Array.isArray(given)) return given;
  const list = (given ?? []) as unknown[];
  const named = (name: string) => list.find((topic) => isObject(topic) && topic['name'] === name);
  const own = OWN_TOPICS.map((topic) => merge(topic, named(topic.name)));
  return [...own, ...list.filter((topic) => !isObject(topic) || !OWN_TOPICS.some((known) => known.name === topic['name']))];
}
