/** Server-side apply under one field manager; sends no request when nothing differs. */
import { canonical, fingerprint } from '../objects/canonical.ts';
import type { CallOptions, KubeClient } from './client.ts';
import { isConflict, KubeError } from './errors.ts';
import type { Counter, Metrics } from './metrics.ts';
import { keyOf, referenceOf } from '../objects/object.ts';
import type { KubernetesObject } from '../objects/object.ts';
import { appliedBy, ownsAll } from './managed-fields.ts';

/** Fingerprint of the last applied manifest. A field that was dropped from the manifest shows only here: every remaining field is still present. */
export const APPLIED_ANNOTATION = 'bss-platform.io/applied';

/** A field that another manager had set to another value. */
export interface FieldConflict {
  field: string;
  manager: string;
}

export interface ApplyResult {
  /** The object after the apply (in a dry run: as it would be). */
  object: KubernetesObject;
  /** The object before the apply; undefined when it did not exist. */
  before: KubernetesObject | undefined;
  /** `skipped`: no request was sent. `unchanged`: the server found no difference. */
  action: 'created' | 'changed' | 'unchanged' | 'skipped';
  /** Fields taken back from other managers, sorted. */
  conflicts: FieldConflict[];
}

export interface ApplyOptions extends CallOptions {
  /** False: fail with Conflict instead of taking fields from other managers. Default true. */
  force?: boolean;
  /** Server-side dry run. */
  dryRun?: boolean;
}

export interface ApplierOptions {
  client: KubeClient;
  fieldManager: string;
  metrics: Metrics;
}

const ACTIONS = ['created', 'changed', 'unchanged', 'skipped'] as const;

export class Applier {
  readonly #client: KubeClient;
  readonly #manager: string;
  readonly #actions: Counter<'action'>;
  /**
   * Objects of which the server does not store every field that was sent (write-only ones such as `stringData`), by key: the fingerprint of the
   * manifest and of the owned fields. They count as up to date while both stay the same. Few objects, if any, are in here.
   */
  readonly #lossy = new Map<string, string>();

  constructor({ client, fieldManager, metrics }: ApplierOptions) {
    this.#client = client;
    this.#manager = fieldManager;
    this.#actions = metrics.counter('bss_operator_apply_total', 'Applied objects, by result.', ['action']);
    for (const action of ACTIONS) this.#actions.inc({ action }, 0);
  }

  /**
   * Applies `desired`, which lists all fields that this manager sets; it releases fields that are no longer listed. It takes back fields that other
   * managers own, and names them in the result.
   * @throws KubeError; Conflict only when `force` is false
   */
  async apply(desired: KubernetesObject, options: ApplyOptions = {}): Promise<ApplyResult> {
    const { signal, timeoutMs } = options;
    const call = { ...(signal ? { signal } : {}), ...(timeoutMs === undefined ? {} : { timeoutMs }) };
    return this.#send(desired, await this.#client.find(referenceOf(desired), call), options);
  }

  /**
   * Like `apply`, but sends no request when `live` already matches `desired`. `live` comes from a cache or from the server, with the managedFields
   * of this manager.
   */
  async applyIfChanged(desired: KubernetesObject, live: KubernetesObject | undefined, options: CallOptions = {}): Promise<ApplyResult> {
    if (!live || !this.#isUpToDate(desired, live)) return this.#send(desired, live, options);
    this.#actions.inc({ action: 'skipped' });
    return { object: live, before: live, action: 'skipped', conflicts: [] };
  }

  #isUpToDate(desired: KubernetesObject, live: KubernetesObject): boolean {
    const hash = fingerprint(desired);
    const owned = appliedBy(this.#manager, live)?.fieldsV1;
    if (!owned || live.metadata.annotations?.[APPLIED_ANNOTATION] !== hash) return false;
    return ownsAll(withHash(desired, hash), owned) || this.#lossy.get(lossyKey(live)) === hash + fingerprint(owned);
  }

  async #send(desired: KubernetesObject, before: KubernetesObject | undefined, options: ApplyOptions): Promise<ApplyResult> {
    const { dryRun = false, force = true } = options;
    const hash = fingerprint(desired);
    const { object, conflicts } = await this.#forced(withHash(desired, hash), force, options);
    const action = before ? (isSame(before, object, dryRun) ? 'unchanged' : 'changed') : 'created';
    if (!dryRun) {
      this.#actions.inc({ action });
      this.#remember(desired, hash, object);
    }
    return { object, before, action, conflicts };
  }

  /** Applies without force first: only a conflict names the other managers. */
  async #forced(
    object: KubernetesObject,
    force: boolean,
    options: ApplyOptions,
  ): Promise<{ object: KubernetesObject; conflicts: FieldConflict[] }> {
    const call = { ...options, fieldManager: this.#manager };
    try {
      return { object: await this.#client.apply(object, { ...call, force: false }), conflicts: [] };
    } catch (error) {
      if (!force || !(error instanceof KubeError && isConflict(error))) throw error;
      return { object: await this.#client.apply(object, { ...call, force: true }), conflicts: conflictsOf(error) };
    }
  }

  #remember(desired: KubernetesObject, hash: string, object: KubernetesObject): void {
    const owned = appliedBy(this.#manager, object)?.fieldsV1 ?? {};
    if (ownsAll(withHash(desired, hash), owned)) this.#lossy.delete(lossyKey(object));
    else this.#lossy.set(lossyKey(object), hash + fingerprint(owned));
  }
}

function withHash(desired: KubernetesObject, hash: string): KubernetesObject {
  const annotations = { ...desired.metadata.annotations, [APPLIED_ANNOTATION]: hash };
  return { ...desired, metadata: { ...desired.metadata, annotations } };
}

function lossyKey(object: KubernetesObject): string {
  return `${object.apiVersion} ${object.kind} ${keyOf(object.metadata)}`;
}

/** The server assigns a new version to each change. In a dry run it does not, so the contents are compared, without the bookkeeping. */
function isSame(before: KubernetesObject, after: KubernetesObject, dryRun: boolean): boolean {
  if (!dryRun) return before.metadata.resourceVersion === after.metadata.resourceVersion;
  return canonical(withoutBookkeeping(before)) === canonical(withoutBookkeeping(after));
}

/** The object without the bookkeeping of the server and of this runtime: what a person compares. */
export function withoutBookkeeping(object: KubernetesObject): KubernetesObject {
  const { managedFields: _fields, resourceVersion: _version, generation: _generation, annotations, ...metadata } = object.metadata;
  const { [APPLIED_ANNOTATION]: _applied, ...others } = annotations ?? {};
  return { ...object, metadata: { ...metadata, ...(Object.keys(others).length > 0 ? { annotations: others } : {}) } };
}

/** `conflict with "kubectl-edit" using apps/v1` and the like. */
const MANAGER_IN_MESSAGE = /conflict with "((?:[^"\\]|\\.)*)"/;

function conflictsOf({ causes }: KubeError): FieldConflict[] {
  const conflicts = causes.map(({ field = '', message = '' }) => ({ field, manager: MANAGER_IN_MESSAGE.exec(message)?.[1] ?? 'unknown' }));
  return conflicts.toSorted((a, b) => (a.field < b.field ? -1 : 1));
}
