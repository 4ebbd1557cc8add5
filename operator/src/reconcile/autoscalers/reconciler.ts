/**
 * One pass over one ConsumerAutoscaler: checks the spec, reads the Secrets, sets the target of the autoscaler and writes the status. It creates nothing,
 * so that there is nothing to release when the resource is deleted: the object keeps its replicas.
 */
import {
  accessOf,
  parseConsumerAutoscaler,
  secretsOf,
  type ConsumerAutoscalerSpec,
  type ConsumerAutoscalerStatus,
} from '../../api/index.ts';
import type { Autoscaler } from '../../autoscale/index.ts';
import type { Clock, EventRecorder, KubeClient, Reconcile, ReconcileContext, ReconcileResult, StoreView } from '../../runtime/index.ts';
import { readSecrets } from '../credentials/secrets.ts';
import type { AutoscalerObject, Claims } from '../scaling/claims.ts';
import { setTargets } from '../scaling/scaling.ts';
import { autoscalerTarget } from '../scaling/targets.ts';
import type { EventReason } from '../status/events.ts';
import { kafkaConnection } from '../topics/kafka.ts';
import type { SecretWatch } from '../watch/secret-watch.ts';
import type { AutoscalerOutcome } from './conditions.ts';
import { scalingKey } from './keys.ts';
import type { AutoscalerStatusWriter } from './status-writer.ts';
import { autoscalerDifference, nextAutoscalerStatus, subjectOf } from './status.ts';

export interface AutoscalerReconcilerOptions {
  store: StoreView<AutoscalerObject>;
  /** Fenced. */
  client: KubeClient;
  recorder: EventRecorder;
  autoscaler: Autoscaler;
  claims: Claims;
  /** Watches Secrets that users own. */
  secrets: SecretWatch;
  status: AutoscalerStatusWriter;
  clock: Clock;
}

/** Resync, for changes that no watch reports. */
const RESYNC_MS = 10 * 60_000;

export class AutoscalerReconciler {
  readonly #options: AutoscalerReconcilerOptions;
  /** The rivals of the last pass. */
  readonly #rivals = new Map<string, string>();

  constructor(options: AutoscalerReconcilerOptions) {
    this.#options = options;
  }

  readonly reconcile: Reconcile = async (context) => {
    const resource = this.#options.store.get(context.key);
    if (resource === undefined || resource.metadata.deletionTimestamp !== undefined) return this.#forget(context.key);
    const outcome = await this.#act(context, resource);
    return this.#conclude(context, resource, outcome);
  };

  /** True when the figures of the group differ enough from those in status to update it. */
  figuresMoved(key: string): boolean {
    const { store, autoscaler, status, clock } = this.#options;
    const [resource, [group]] = [store.get(key), autoscaler.snapshot(scalingKey(key))];
    const shown = resource === undefined ? undefined : status.statusOf(resource);
    if (group === undefined || shown === undefined) return false;
    const outcome = {
      type: 'measured',
      generation: shown.observedGeneration ?? 0,
      fixed: false,
      object: '',
      subject: shown.subject ?? '',
      group,
    } as const;
    return autoscalerDifference(shown, { ...nextAutoscalerStatus(shown, outcome, clock.now()), ...told(shown) }) !== 'none';
  }

  /** True when others scale the object of the resource than at its last pass. */
  rivalsMoved(key: string): boolean {
    const resource = this.#options.store.get(key);
    return resource !== undefined && this.#rivals.has(key) && this.#rivals.get(key) !== this.#rivalsOf(resource).join();
  }

  #rivalsOf(resource: AutoscalerObject): string[] {
    return this.#options.claims.rivalsOfAutoscaler(resource);
  }

  #forget(key: string): void {
    this.#options.autoscaler.remove(scalingKey(key));
    this.#options.secrets.forget(scalingKey(key));
    this.#options.status.forget(key);
    this.#rivals.delete(key);
  }

  async #act(context: ReconcileContext, resource: AutoscalerObject): Promise<AutoscalerOutcome> {
    const generation = resource.metadata.generation ?? 0;
    const parsed = parseConsumerAutoscaler(resource.spec);
    if (parsed.ok) return this.#measure(context, resource, parsed.spec);
    this.#options.autoscaler.remove(scalingKey(context.key));
    return { type: 'invalid', generation, problems: parsed.problems };
  }

  async #measure({ key, signal }: ReconcileContext, resource: AutoscalerObject, spec: ConsumerAutoscalerSpec): Promise<AutoscalerOutcome> {
    const { autoscaler, client, secrets, status } = this.#options;
    const { namespace, generation = 0 } = resource.metadata;
    const uses = secretsOf(accessOf(spec));
    const names = uses.map(({ name }) => name);
    // Watched before they are read, so that no change is missed.
    secrets.track(
      scalingKey(key),
      names.map((name) => `${namespace}/${name}`),
    );
    const values = await readSecrets({ client, namespace, signal }, [...new Set(names)]);
    const { connection } = kafkaConnection(accessOf(spec), (name, entry) => values.get(name, entry));
    const rivals = this.#rivalsOf(resource);
    this.#rivals.set(key, rivals.join());
    const subject = subjectOf(spec);
    const shown = status.statusOf(resource);
    const known = shown?.subject === subject ? shown : undefined;
    const target = { ...autoscalerTarget(namespace, spec), rivals };
    const [group] = setTargets(autoscaler, scalingKey(key), [target], connection, () => known) ?? [];
    if (group === undefined) {
      const missing = values.missing(uses).map(({ what, remedy }) => `${what}: ${remedy}`);
      return { type: 'secretsMissing', generation, missing };
    }
    const object = `${spec.scaleTargetRef.kind} ${spec.scaleTargetRef.name}`;
    return { type: 'measured', generation, fixed: spec.mode === 'fixed', object, subject, group };
  }

  async #conclude({ signal }: ReconcileContext, resource: AutoscalerObject, outcome: AutoscalerOutcome): Promise<ReconcileResult> {
    const { status, clock } = this.#options;
    const now = clock.now();
    const old = status.statusOf(resource);
    const next = nextAutoscalerStatus(old, outcome, now);
    const result = await status.write(resource, next, now, signal);
    if (result.type === 'written') this.#announce(resource, old, next);
    return { requeueAfterMs: result.type === 'throttled' ? result.waitMs : RESYNC_MS };
  }

  /** The autoscaler itself announces its problems and changes of replicas. */
  #announce(resource: AutoscalerObject, old: ConsumerAutoscalerStatus | undefined, next: ConsumerAutoscalerStatus): void {
    const [before, after] = [ready(old), ready(next)];
    const publish = (type: 'Normal' | 'Warning', reason: EventReason) =>
      this.#options.recorder.record(resource, { type, reason, message: after?.message ?? '' });
    if (after?.status === 'True' && before?.status !== 'True') publish('Normal', 'Ready');
    for (const reason of ['InvalidSpec', 'SecretsMissing'] as const)
      if (after?.reason === reason && before?.reason !== reason) publish('Warning', reason);
  }
}

function told({
  conditions,
  observedGeneration,
}: ConsumerAutoscalerStatus): Pick<ConsumerAutoscalerStatus, 'conditions' | 'observedGeneration'> {
  return { ...(conditions === undefined ? {} : { conditions }), ...(observedGeneration === undefined ? {} : { observedGeneration }) };
}

function ready(status: ConsumerAutoscalerStatus | undefined) {
  return status?.conditions?.find(({ type }) => type === 'Ready');
}
