/**
 * Who asks for the scaling of which object. An object has one scaler: its owner's if it belongs to a platform, otherwise that of the oldest resource.
 * The others measure the group and change nothing.
 */
import { z } from 'zod';
import { AUTOSCALER_KIND, KIND, parseConsumerAutoscaler, type ConsumerAutoscaler } from '../../api/index.ts';
import { DEPLOYMENT, type ScaledKind } from '../../autoscale/index.ts';
import type { KubernetesObject, StoreView } from '../../runtime/index.ts';
import { platformKeysOf, type PlatformObject } from '../ownership/ownership.ts';
import type { Cache } from '../watch/cache.ts';

/** A ConsumerAutoscaler as the cache holds it. */
export type AutoscalerObject = ConsumerAutoscaler & KubernetesObject;

/** One wish to scale one object. */
export interface Claim {
  /** `Kind/name` of the resource that has it. */
  by: string;
  /** The object, within the namespace: `group Kind/name`. */
  object: string;
  /** When the resource was created, RFC 3339. */
  since: string;
}

/** Those of the claims on the same object that come before `mine`, by their resources. Sorted, each once. */
export function claimsBefore(all: readonly Claim[], mine: Claim): string[] {
  const earlier = all.filter(({ by, object }) => object === mine.object && by !== mine.by).filter((claim) => isBefore(claim, mine));
  return [...new Set(earlier.map(({ by }) => by))].toSorted();
}

/** Creation times have whole seconds: names decide between two of the same one. */
function isBefore(one: Claim, other: Claim): boolean {
  return one.since === other.since ? one.by < other.by : one.since < other.since;
}

/** Versions of one group serve the same objects. */
function objectKey({ apiVersion, kind }: ScaledKind, name: string): string {
  return `${apiVersion.includes('/') ? apiVersion.split('/')[0] : ''} ${kind}/${name}`;
}

type Parsed = ReturnType<typeof parseConsumerAutoscaler>;

/** What was read of each object, for as long as the caches hold it: with a change in a namespace all of its claims are compared. */
const read = new WeakMap<AutoscalerObject, Parsed>();

function specOf(resource: AutoscalerObject): Parsed {
  const known = read.get(resource);
  if (known !== undefined) return known;
  const parsed = parseConsumerAutoscaler(resource.spec);
  read.set(resource, parsed);
  return parsed;
}

/** The claim of a ConsumerAutoscaler; none while it only measures, or its spec is invalid. */
export function claimOf(resource: AutoscalerObject): Claim[] {
  const parsed = specOf(resource);
  if (!parsed.ok || parsed.spec.mode === 'fixed') return [];
  const { scaleTargetRef: target } = parsed.spec;
  const { name, creationTimestamp: since = '' } = resource.metadata;
  return [{ by: `${AUTOSCALER_KIND}/${name}`, object: objectKey(target, target.name), since }];
}

const Groups = z.array(z.object({ deployment: z.string(), autoscaling: z.object({ mode: z.string().optional() }).optional() }));
const Spec = z.object({ consumerGroups: Groups.default([]) });

/** The claims of a platform on the Deployments of other programs. */
export function claimsOf({ metadata, spec }: Pick<PlatformObject, 'metadata' | 'spec'>): Claim[] {
  const { data } = Spec.safeParse(spec ?? {});
  const scaled = (data?.consumerGroups ?? []).filter(({ autoscaling }) => autoscaling?.mode !== 'fixed');
  const { name, creationTimestamp: since = '' } = metadata;

  return scaled.map(({ deployment }) => ({ by: `${KIND}/${name}`, object: objectKey(DEPLOYMENT, deployment), since }));
}

/** The claims of a namespace, read from the caches. */
export class Claims {
  readonly #platforms: Cache | undefined;
  readonly #autoscalers: StoreView<AutoscalerObject>;

  /** @param platforms undefined: the operator runs no platforms */
  constructor(platforms: Cache | undefined, autoscalers: StoreView<AutoscalerObject>) {
    this.#platforms = platforms;
    this.#autoscalers = autoscalers;
  }

  /** Keys of the ConsumerAutoscalers of a namespace. */
  autoscalersIn(namespace: string): string[] {
    return [...this.#autoscalers.keys()].filter((key) => key.startsWith(`${namespace}/`));
  }

  /** Keys of the platforms of a namespace. */
  platformsIn(namespace: string): string[] {
    return [...(this.#platforms?.platforms.store.keys() ?? [])].filter((key) => key.startsWith(`${namespace}/`));
  }

  /** Who scales the object of the ConsumerAutoscaler in its place, as `Kind/name`. */
  rivalsOfAutoscaler(resource: AutoscalerObject): string[] {
    const { namespace } = resource.metadata;
    return claimOf(resource).flatMap((mine) => [...this.#owners(resource), ...claimsBefore(this.#all(namespace), mine)]);
  }

  /** Who scales this Deployment of another program in place of the platform. */
  rivalsOfPlatform(platform: PlatformObject, deployment: string): string[] {
    const object = objectKey(DEPLOYMENT, deployment);
    const mine = claimsOf(platform).find((claim) => claim.object === object);
    return mine === undefined ? [] : claimsBefore(this.#all(platform.metadata.namespace), mine);
  }

  /** A platform applies its objects with all their fields: nobody else sets their replicas. */
  #owners(resource: AutoscalerObject): string[] {
    const { namespace } = resource.metadata;
    const parsed = specOf(resource);
    const live = parsed.ok ? this.#platforms?.get({ ...parsed.spec.scaleTargetRef, namespace }) : undefined;
    return live === undefined ? [] : platformKeysOf(live).map((key) => `${KIND}/${key.slice(namespace.length + 1)}`);
  }

  #all(namespace: string): Claim[] {
    const autoscalers = this.autoscalersIn(namespace).flatMap((key) => {
      const found = this.#autoscalers.get(key);
      return found === undefined ? [] : claimOf(found);
    });
    const store = this.#platforms?.platforms.store;
    const platforms = this.platformsIn(namespace).flatMap((key) => {
      const found = store?.get(key);
      return found === undefined ? [] : claimsOf(found);
    });
    return [...platforms, ...autoscalers];
  }
}
