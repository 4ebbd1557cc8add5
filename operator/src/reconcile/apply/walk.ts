/**
 * Applies the components in the order of their stages. A stage starts when every component of the earlier stages is healthy. Within a stage, missing
 * and unhealthy components are applied at once. Healthy ones are changed one at a time, so that an upgrade stops at the first component that does
 * not become healthy. Held components keep running, and drift of their objects is still corrected.
 */
import { STAGES, type Component, type Stage } from '../../platform/index.ts';
import type { KubernetesObject } from '../../runtime/index.ts';
import { applyComponent, objectKey, type Applied } from './apply.ts';
import { combine, judge, type Health } from '../health/health.ts';
import type { ComponentState } from '../status/outcome.ts';
import { COMPONENT_LABEL } from '../ownership/ownership.ts';
import type { Pass } from '../pass.ts';
import { settleAll } from '../settle-all.ts';
import type { PodObject } from '../health/pods.ts';

/** A step without manifests that has a place in the order: the topics. */
export interface Task {
  name: string;
  kind: string;
  stage: Stage;
  /** Returns the current health and starts work that is due. Not called while the task is held. */
  ensure: () => Health;
}

export interface WalkResult {
  /** In the order of the components. */
  states: ComponentState[];
  /** Every component is applied and healthy. */
  settled: boolean;
}

/** Hibernation reverses the order: consumers finish their batches while their stores still run. */
function order(hibernate: boolean): Stage[] {
  return hibernate ? [...STAGES].toReversed() : [...STAGES];
}

/** @throws KubeError when a retry may succeed */
export async function walk(pass: Pass, components: Component[], tasks: Task[], hibernate: boolean): Promise<WalkResult> {
  const states = new Map<string, ComponentState>();
  let blockers: string[] = [];
  for (const stage of order(hibernate)) {
    const members = components.filter((component) => component.stage === stage);
    for (const state of await walkStage(pass, members, blockers, hibernate)) states.set(state.name, state);
    for (const task of tasks.filter((candidate) => candidate.stage === stage)) states.set(task.name, taskState(task, blockers));
    blockers = blocking([...states.values()]);
  }
  const names = [...components, ...tasks].toSorted((a, b) => STAGES.indexOf(a.stage) - STAGES.indexOf(b.stage)).map(({ name }) => name);
  const ordered = names.map((name) => states.get(name)).filter((state) => state !== undefined);
  return { states: ordered, settled: ordered.every(({ state, health }) => state === 'applied' && health.healthy) };
}

/** The states of all components; applies nothing. */
export function observe(pass: Pass, components: Component[]): ComponentState[] {
  return components.map((component) => stateOf(pass, component, { live: cachedObjects(pass, component), refusals: [], heldBack: 0 }));
}

async function walkStage(pass: Pass, members: Component[], blockers: string[], together: boolean): Promise<ComponentState[]> {
  if (blockers.length > 0) return settleAll(members.map((component) => heldState(pass, component, blockers)));
  const serving = new Set(together ? [] : members.filter((component) => isServing(pass, component)));
  const urgent = await settleAll(members.filter((component) => !serving.has(component)).map((component) => appliedState(pass, component)));
  const states = [...urgent];
  for (const component of serving) {
    const waitsFor = blocking(states);
    states.push(waitsFor.length > 0 ? await heldState(pass, component, waitsFor) : await appliedState(pass, component));
  }
  return states;
}

/** Components that block others. Held components are not named, because they are not the cause. */
function blocking(states: ComponentState[]): string[] {
  return states.filter(({ state, health }) => state !== 'held' && !(health.healthy && state === 'applied')).map(({ name }) => name);
}

/** The component is healthy and has ready pods, so a change of it is a risk. */
function isServing(pass: Pass, component: Component): boolean {
  if (component.health.length === 0) return false;
  const { health } = stateOf(pass, component, { live: cachedObjects(pass, component), refusals: [], heldBack: 0 });
  return health.healthy && health.ready > 0;
}

async function appliedState(pass: Pass, component: Component): Promise<ComponentState> {
  return stateOf(pass, component, await applyComponent(pass, component, { hold: false }));
}

async function heldState(pass: Pass, component: Component, waitsFor: string[]): Promise<ComponentState> {
  const applied = await applyComponent(pass, component, { hold: true });
  const state = stateOf(pass, component, applied);
  if (applied.heldBack === 0 || state.state === 'refused') return state;
  return { ...state, state: 'held', health: { ...state.health, message: `waits for ${waitsFor.join(', ')}` } };
}

function taskState({ name, kind, ensure }: Task, blockers: string[]): ComponentState {
  if (blockers.length === 0) return { name, kind, health: ensure(), state: 'applied' };
  const health = { healthy: false, failing: false, ready: 0, desired: 1, message: `waits for ${blockers.join(', ')}` };
  return { name, kind, health, state: 'held' };
}

function cachedObjects({ cache, platform }: Pass, { manifests }: Component): Map<string, KubernetesObject> {
  const { namespace } = platform.metadata;
  const live = manifests.map((manifest) =>
    cache.get({ apiVersion: manifest.apiVersion, kind: manifest.kind, name: manifest.metadata.name, namespace }),
  );
  return new Map(live.filter((object) => object !== undefined).map((object) => [objectKey(object), object]));
}

function stateOf(pass: Pass, component: Component, { live, refusals }: Applied): ComponentState {
  const pods = pass.cache.podsOf(pass.key).filter(({ metadata }) => metadata.labels?.[COMPONENT_LABEL] === component.name);
  const claims = [...live.values()].filter(({ kind }) => kind === 'PersistentVolumeClaim');
  const parts = component.health.map(({ kind, name }) => {
    const manifest = component.manifests.find((candidate) => candidate.kind === kind && candidate.metadata.name === name);
    const own = kind === 'Job' ? pods.filter((pod) => isOfJob(pod, name)) : pods;
    return judge(live.get(`${kind}/${name}`), { pods: own, claims, autoscaled: isAutoscaled(manifest), now: pass.now });
  });
  const health = combine(parts);
  const kind = component.health[0]?.kind ?? '';
  if (refusals.length === 0) return { name: component.name, kind, health, state: 'applied' };
  return { name: component.name, kind, health: { ...health, healthy: false, message: refusals.join('; ') }, state: 'refused' };
}

function isOfJob({ metadata: { labels } }: PodObject, job: string): boolean {
  return labels?.['batch.kubernetes.io/job-name'] === job;
}

/** The manifest does not set replicas: an autoscaler does. */
function isAutoscaled(manifest: KubernetesObject | undefined): boolean {
  return manifest?.kind === 'Deployment' && (manifest['spec'] as { replicas?: number }).replicas === undefined;
}
