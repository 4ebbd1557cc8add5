/** The Secret with a platform's generated passwords: made once, completed when keys are missing, values never overwritten. */
import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { API_VERSION, KIND, type BssPlatformSpec } from '../api/index.ts';
import { completeCredentials, credentialsName, KEEP_ANNOTATION, labelsOf, type Credentials } from '../platform/index.ts';
import { isAlreadyExists, referenceOf, type KubeClient, type KubernetesObject, type OwnerReference } from '../runtime/index.ts';
import type { Publish } from './events.ts';
import { ownershipOf, withoutFormerSelf, type PlatformObject } from './ownership.ts';

export interface SecretObject extends KubernetesObject {
  data?: Record<string, string>;
}

/** The name is taken by something that is not ours to change. */
export class CredentialsTakenError extends Error {}

interface Deps {
  client: KubeClient;
  publish: Publish;
  signal: AbortSignal;
}

/**
 * Values of the Secret after it was made or completed.
 * @param known values seen earlier in the life of this process: a key that was deleted gets its value back, as the stores go on using it
 * @throws CredentialsTakenError, KubeError
 */
export async function ensureCredentials(
  platform: PlatformObject,
  spec: BssPlatformSpec,
  live: SecretObject | undefined,
  known: Credentials,
  { client, publish, signal }: Deps,
): Promise<Credentials> {
  const wanted = emptySecret(platform, spec);
  const existing = live ?? (await client.find<SecretObject>(referenceOf(wanted), { signal }));
  if (existing === undefined) return create(client, wanted, completeCredentials(known, randomBytes), publish, signal);
  if (isTaken(platform, existing)) throw new CredentialsTakenError(`Secret ${wanted.metadata.name} belongs to another owner`);
  const values = decode(existing.data ?? {});
  const complete = completeCredentials({ ...known, ...withoutEmpty(values) }, randomBytes);
  const patch = difference(platform, existing, wanted, values, complete);
  if (patch === undefined) return complete;
  await client.patch(referenceOf(wanted), patch, { signal });
  if ('data' in patch) publish('Normal', 'CredentialsCompleted', `added missing keys to Secret ${wanted.metadata.name}`);
  return complete;
}

/** A Secret without a controller may have been put there by the user: with passwords of their own, or from a backup. */
function isTaken(platform: PlatformObject, existing: KubernetesObject): boolean {
  const controlled = existing.metadata.ownerReferences?.some((reference) => reference.controller) ?? false;
  return controlled && ownershipOf(platform, existing) === 'foreign';
}

/** Kept volumes can be read only with the passwords they were made with: the Secret stays as long as they do. */
function emptySecret(platform: PlatformObject, spec: BssPlatformSpec): SecretObject {
  const { name, namespace, uid } = platform.metadata;
  const keep = spec.deletionPolicy === 'keep' || uid === undefined;
  const owner: OwnerReference[] = keep
    ? []
    : [{ apiVersion: API_VERSION, kind: KIND, name, uid, controller: true, blockOwnerDeletion: true }];
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: credentialsName({ name, namespace }),
      namespace,
      labels: labelsOf({ name, namespace, spec }, 'credentials'),
      annotations: keep ? { [KEEP_ANNOTATION]: 'true' } : {},
      ownerReferences: owner,
    },
    type: 'Opaque',
  };
}

async function create(
  client: KubeClient,
  wanted: SecretObject,
  values: Credentials,
  publish: Publish,
  signal: AbortSignal,
): Promise<Credentials> {
  try {
    await client.create({ ...wanted, data: encode(values) }, { signal });
  } catch (error) {
    // Somebody was quicker: the next pass reads what they wrote.
    if (isAlreadyExists(error)) throw new Error(`Secret ${wanted.metadata.name} has appeared meanwhile`, { cause: error });
    throw error;
  }
  publish('Normal', 'CredentialsCreated', `made Secret ${wanted.metadata.name} with random passwords`);
  return values;
}

/** Merge patch with what is missing; undefined when nothing is. */
function difference(
  platform: PlatformObject,
  existing: SecretObject,
  wanted: SecretObject,
  values: Credentials,
  complete: Credentials,
): Record<string, unknown> | undefined {
  const data = Object.fromEntries(Object.entries(complete).filter(([key, value]) => values[key] !== value));
  const metadata = metadataDifference(platform, existing, wanted);
  if (Object.keys(data).length === 0 && metadata === undefined) return undefined;
  return { ...(Object.keys(data).length > 0 ? { data: encode(data) } : {}), ...(metadata ? { metadata } : {}) };
}

function metadataDifference(platform: PlatformObject, existing: SecretObject, wanted: SecretObject): object | undefined {
  const others = (withoutFormerSelf(platform, existing) ?? existing.metadata.ownerReferences ?? []).filter(
    (reference) => reference.uid !== platform.metadata.uid,
  );
  const ownerReferences = [...others, ...(wanted.metadata.ownerReferences ?? [])];
  const kept = wanted.metadata.annotations?.[KEEP_ANNOTATION];
  const labels = missingEntries(existing.metadata.labels, wanted.metadata.labels);
  const parts = {
    ...(labels ? { labels } : {}),
    ...(existing.metadata.annotations?.[KEEP_ANNOTATION] === kept ? {} : { annotations: { [KEEP_ANNOTATION]: kept ?? null } }),
    ...(isDeepStrictEqual(existing.metadata.ownerReferences ?? [], ownerReferences) ? {} : { ownerReferences }),
  };
  return Object.keys(parts).length === 0 ? undefined : parts;
}

function missingEntries(have: Record<string, string> = {}, want: Record<string, string> = {}): Record<string, string> | undefined {
  const missing = Object.entries(want).filter(([key, value]) => have[key] !== value);
  return missing.length === 0 ? undefined : Object.fromEntries(missing);
}

export function decode(data: Record<string, string>): Credentials {
  return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]));
}

function encode(values: Credentials): Record<string, string> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, Buffer.from(value).toString('base64')]));
}

function withoutEmpty(values: Credentials): Credentials {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== ''));
}
