/**
 * Plans the spec that the annotation of a platform proposes, by dry runs. A plan is recomputed only when one of its inputs changed, so that a settled
 * platform with a plan causes no requests.
 */
import type { Problem } from '../../api/index.ts';
import { parseSpec } from '../../platform/index.ts';
import { fingerprint, KubeError, referenceOf } from '../../runtime/index.ts';
import type { Pass } from '../pass.ts';
import { planChanges } from './plan.ts';
import { mergePatch, PLAN_ANNOTATION, readPlanRequest } from './plan-request.ts';
import { invalidPlan, planEntry, type PlanEntry } from './plan-status.ts';
import { appliedHash, type PlatformObject } from '../ownership/ownership.ts';

/** Maximum age of a plan: Secrets of users and the kinds that the cluster serves change without an event of the platform. */
const REPEAT_MS = 10 * 60_000;
/** Retry interval after a failed dry run. */
const RETRY_MS = 15_000;

export interface Planned {
  /** Undefined when no plan is requested. */
  plan: PlanEntry | undefined;
  /** Milliseconds after which to requeue. */
  requeueAfterMs: number;
}

interface Known {
  /** Fingerprint of all inputs of the plan. */
  fingerprint: string;
  plan: PlanEntry;
  /** Epoch milliseconds. */
  at: number;
}

export class Planner {
  readonly #operatorNamespace: string;
  readonly #known = new Map<string, Known>();

  constructor(operatorNamespace: string) {
    this.#operatorNamespace = operatorNamespace;
  }

  forget(platformKey: string): void {
    this.#known.delete(platformKey);
  }

  /** The plan of the pass's platform. @throws KubeError when the pass was aborted */
  async plan(pass: Pass): Promise<Planned> {
    const text = pass.platform.metadata.annotations?.[PLAN_ANNOTATION];
    if (text === undefined) {
      this.forget(pass.key);
      return { plan: undefined, requeueAfterMs: Infinity };
    }
    const known = this.#known.get(pass.key);
    const inputs = inputsOf(pass, text);
    if (known?.fingerprint === inputs && pass.now - known.at < REPEAT_MS) return { plan: known.plan, requeueAfterMs: REPEAT_MS };
    try {
      const plan = await this.#compute(pass, text);
      this.#known.set(pass.key, { fingerprint: inputs, plan, at: pass.now });
      return { plan, requeueAfterMs: REPEAT_MS };
    } catch (error) {
      if (!(error instanceof KubeError) || error.reason === 'Aborted') throw error;
      pass.logger.warn({ error: error.message }, 'cannot plan the proposed spec, retrying');
      return { plan: pass.platform.status?.plan, requeueAfterMs: RETRY_MS };
    }
  }

  async #compute(pass: Pass, text: string): Promise<PlanEntry> {
    const { id, patch, problems } = readPlanRequest(text);
    const about = { request: id, observedGeneration: pass.platform.metadata.generation ?? 0 };
    if (patch === undefined) return invalidPlan(about, problems);
    // The API server drops unknown fields silently, so the schema is checked first.
    const parsed = parseSpec(mergePatch(pass.platform.spec, patch));
    if (!parsed.ok) return invalidPlan(about, parsed.problems);
    const next = await dryRun(pass, patch);
    if (Array.isArray(next)) return invalidPlan(about, next);
    const stored = parseSpec(next.spec);
    if (!stored.ok) return invalidPlan(about, stored.problems);
    const proposal = { live: pass.platform, next, spec: stored.spec, operatorNamespace: this.#operatorNamespace };
    return planEntry(about, await planChanges(pass.client, proposal, { signal: pass.signal }));
  }
}

/** The platform as the API server would store it, or why it refuses: only the API server evaluates transition rules. */
async function dryRun({ client, platform, signal }: Pass, spec: Record<string, unknown>): Promise<PlatformObject | Problem[]> {
  try {
    return await client.patch<PlatformObject>(referenceOf(platform), { spec }, { dryRun: true, signal });
  } catch (error) {
    if (!(error instanceof KubeError) || error.retriable || error.reason === 'Aborted') throw error;
    // CEL rules of the CRD name the field; admission policies of the cluster may not.
    const causes = error.causes.map(({ field = 'spec', message = '' }) => ({ path: field, message }));
    return causes.length > 0 ? causes : [{ path: 'spec', message: error.message }];
  }
}

/** Fingerprint of the proposal, the current spec and the applied objects. */
function inputsOf({ platform, cache, key }: Pass, text: string): string {
  const applied = cache.ofPlatform(key).map((object) => [object.kind, object.metadata.name, appliedHash(object) ?? '']);
  return fingerprint([text, platform.spec, applied.map((entry) => entry.join('/')).toSorted()]);
}
