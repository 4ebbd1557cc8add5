/** The Secret with a platform's generated passwords: made once, completed when keys are missing, rotated on request. */
import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { API_VERSION, KIND, ROTATE_ANNOTATION, type BssPlatformSpec } from '../../api/index.ts';
import {
  beginRotation,
  completeCredentials,
  credentialsName,
  endRotation,
  KEEP_ANNOTATION,
  labelsOf,
  withRequest,
  type Credentials,
} from '../../platform/index.ts';
import { isAlreadyExists, referenceOf, type KubeClient, type KubernetesObject, type OwnerReference } from '../../runtime/index.ts';
import type { Publish } from '../status/events.ts';
import { ownershipOf, withoutFormerSelf, type PlatformObject } from '../ownership/ownership.ts';

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
 * Values of the Secret after it was made or completed, and after a rotation that the user asks for has begun.
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
  const request = platform.metadata.annotations?.[ROTATE_ANNOTATION] || undefined;
  const existing = live ?? (await client.find<SecretObject>(referenceOf(wanted), { signal }));
  if (existing === undefined) return create(client, wanted, firstValues(known, request), publish, signal);
  if (isTaken(platform, existing)) throw new CredentialsTakenError(`Secret ${wanted.metadata.name} belongs to another owner`);
  const values = decode(existing.data ?? {});
  const complete = completeCredentials(values, randomBytes, known);
  const next = request === undefined ? complete : beginRotation(complete, request, randomBytes);
  const patch = difference(platform, existing, wanted, values, next);
  if (patch === undefined) return next;
  await client.patch(referenceOf(wanted), patch, { signal });
  if (!isDeepStrictEqual(values, complete))
    publish('Normal', 'CredentialsCompleted', `put into Secret ${wanted.metadata.name} what was missing or had been edited`);
  return next;
}

/** Known ones are those of a Secret that was deleted; new ones have nothing older to rotate away from. */
function firstValues(known: Credentials, request: string | undefined): Credentials {
  const values = completeCredentials({}, randomBytes, known);
  return Object.keys(known).length === 0 ? withRequest(values, request) : values;
}

/**
 * Forgets the former values, once nothing uses them.
 * @param existing the Secret as it is
 * @param values complete ones, as they are in it
 * @returns the values after that
 * @throws KubeError Conflict when the Secret is no longer as it was
 */
export async function finishRotation(
  existing: SecretObject,
  values: Credentials,
  { client, signal }: Pick<Deps, 'client' | 'signal'>,
): Promise<Credentials> {
  const next = endRotation(values, randomBytes);
  const gone = Object.keys(values).filter((key) => !(key in next));
  const changed = Object.fromEntries(Object.entries(next).filter(([key, value]) => values[key] !== value));
  const data = { ...encode(changed), ...Object.fromEntries(gone.map((key) => [key, null])) };
  await client.patch(referenceOf(existing), { metadata: { resourceVersion: existing.metadata.resourceVersion }, data }, { signal });
  return next;
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

/** Merge patch with what is missing, for the Secret as it was seen and no other; undefined when nothing is missing. */
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
  const { resourceVersion } = existing.metadata;
  return { ...(Object.keys(data).length > 0 ? { data: encode(data) } : {}), metadata: { resourceVersion, ...metadata } };
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
