/**
 * Plans what the annotation of a platform proposes, by dry runs. A plan is made again only when something that it follows from has changed, so that
 * a settled platform with a plan costs nothing.
 */
import { parseSpec, type Problem } from '../../api/index.ts';
import { fingerprint, KubeError, referenceOf } from '../../runtime/index.ts';
import type { Pass } from '../pass.ts';
import { planChanges } from './plan.ts';
import { mergePatch, PLAN_ANNOTATION, readPlanRequest } from './plan-request.ts';
import { invalidPlan, planEntry, type PlanEntry } from './plan-status.ts';
import { appliedHash, type PlatformObject } from '../ownership/ownership.ts';

/** Secrets of users and kinds of the cluster change without a sign on the platform. */
const REPEAT_MS = 10 * 60_000;
/** When the API server did not answer. */
const RETRY_MS = 15_000;

export interface Planned {
  /** Undefined when nothing is proposed. */
  plan: PlanEntry | undefined;
  /** Milliseconds after which to look again. */
  againMs: number;
}

interface Known {
  /** Of all that the plan follows from. */
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
  async look(pass: Pass): Promise<Planned> {
    const text = pass.platform.metadata.annotations?.[PLAN_ANNOTATION];
    if (text === undefined) {
      this.forget(pass.key);
      return { plan: undefined, againMs: Infinity };
    }
    const known = this.#known.get(pass.key);
    const now = sources(pass, text);
    if (known?.fingerprint === now && pass.now - known.at < REPEAT_MS) return { plan: known.plan, againMs: REPEAT_MS };
    try {
      const plan = await this.#plan(pass, text);
      this.#known.set(pass.key, { fingerprint: now, plan, at: pass.now });
      return { plan, againMs: REPEAT_MS };
    } catch (error) {
      if (!(error instanceof KubeError) || error.reason === 'Aborted') throw error;
      pass.logger.warn({ error: error.message }, 'the proposed spec could not be planned');
      return { plan: pass.platform.status?.plan, againMs: RETRY_MS };
    }
  }

  async #plan(pass: Pass, text: string): Promise<PlanEntry> {
    const { id, patch, problems } = readPlanRequest(text);
    const about = { request: id, observedGeneration: pass.platform.metadata.generation ?? 0 };
    if (patch === undefined) return invalidPlan(about, problems);
    // The API server would drop unknown fields without a word, so the schema is asked first.
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

/** The platform as the API server would store it, or what it holds against it: rules about changes are known to it alone. */
async function dryRun({ client, platform, signal }: Pass, spec: Record<string, unknown>): Promise<PlatformObject | Problem[]> {
  try {
    return await client.patch<PlatformObject>(referenceOf(platform), { spec }, { dryRun: true, signal });
  } catch (error) {
    if (!(error instanceof KubeError) || error.retriable || error.reason === 'Aborted') throw error;
    // Rules of the definition name the field; policies of the cluster that forbid the change need not.
    const causes = error.causes.map(({ field = 'spec', message = '' }) => ({ path: field, message }));
    return causes.length > 0 ? causes : [{ path: 'spec', message: error.message }];
  }
}

/** What is proposed, what it is laid over, and what is there. */
function sources({ platform, cache, key }: Pass, text: string): string {
  const applied = cache.ofPlatform(key).map((object) => [object.kind, object.metadata.name, appliedHash(object) ?? '']);
  return fingerprint([text, platform.spec, applied.map((entry) => entry.join('/')).toSorted()]);
}
