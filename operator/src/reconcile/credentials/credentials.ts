/** The Secret with a platform's generated passwords: made once, completed when keys are missing, rotated on request. */
import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { API_VERSION, KIND, ROTATE_ANNOTATION } from '../../api/index.ts';
import {
  beginRotation,
  type BssPlatformSpec,
  completeCredentials,
  type Credentials,
  credentialsName,
  endRotation,
  KEEP_ANNOTATION,
  labelsOf,
  withRequest,
} from '../../platform/index.ts';
import { isAlreadyExists, referenceOf, type KubeClient, type KubernetesObject, type OwnerReference } from '../../runtime/index.ts';
import type { Publish } from '../status/events.ts';
import { ownershipOf, withoutFormerSelf, type PlatformObject } from '../ownership/ownership.ts';

export interface SecretObject extends KubernetesObject {
  data?: Record<string, string>;
}

/** A foreign Secret has the name. */
export class CredentialsTakenError extends Error {}

interface Deps {
  client: KubeClient;
  publish: Publish;
  signal: AbortSignal;
}

/**
 * Creates or completes the Secret, and begins a requested rotation. Returns the resulting values.
 * @param known values that this process saw earlier: a deleted key is restored with its value, because the stores still use it
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
  if (isTaken(platform, existing)) throw new CredentialsTakenError(`Secret ${wanted.metadata.name} has another owner`);
  const values = decode(existing.data ?? {});
  const complete = completeCredentials(values, randomBytes, known);
  const next = request === undefined ? complete : beginRotation(complete, request, randomBytes);
  const patch = difference(platform, existing, wanted, values, next);
  if (patch === undefined) return next;
  await client.patch(referenceOf(wanted), patch, { signal });
  if (!isDeepStrictEqual(values, complete))
    publish('Normal', 'CredentialsCompleted', `restored missing or edited keys of Secret ${wanted.metadata.name}`);
  return next;
}

/** Known values are those of a deleted Secret. New values satisfy a rotation request at once: no older ones are in use. */
function firstValues(known: Credentials, request: string | undefined): Credentials {
  const values = completeCredentials({}, randomBytes, known);
  return Object.keys(known).length === 0 ? withRequest(values, request) : values;
}

/**
 * Removes the former values, once nothing uses them.
 * @param existing the live Secret
 * @param values its complete values
 * @returns the remaining values
 * @throws KubeError Conflict when the Secret has changed
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

/** A Secret without a controller is not foreign: users may create it with their own passwords or restore it from a backup. */
function isTaken(platform: PlatformObject, existing: KubernetesObject): boolean {
  const controlled = existing.metadata.ownerReferences?.some((reference) => reference.controller) ?? false;
  return controlled && ownershipOf(platform, existing) === 'foreign';
}

/** Kept volumes need the passwords that they were created with, so the Secret is kept with them. */
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
    // Another client created it first: the next pass reads it.
    if (isAlreadyExists(error)) throw new Error(`another client created Secret ${wanted.metadata.name} meanwhile`, { cause: error });
    throw error;
  }
  publish('Normal', 'CredentialsCreated', `created Secret ${wanted.metadata.name} with random passwords`);
  return values;
}

/** Merge patch that completes exactly the Secret version that was read; undefined when it is complete. */
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
