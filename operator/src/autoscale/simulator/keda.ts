/**
 * KEDA 2.21's Kafka scaler with the HorizontalPodAutoscaler v2 of Kubernetes 1.36, as their documentation and source describe them. The
 * metric is queried afresh at every sync of the HPA; KEDA's own polling only switches between none and one.
 */
import type { GroupModel } from './model.ts';
import type { Scaler } from './run.ts';
import type { Trace } from './traces.ts';

export interface KedaSettings {
  /** `lagThreshold`: messages per replica. */
  threshold: number;
  /** `scaleDown.stabilizationWindowSeconds`. */
  window: number;
  /** Whether `behavior` is set at all; without it the window is 300 s and the HPA works by other rules. Default: when the window is not 300. */
  behavior?: boolean;
  /** Pods that may be added in 15 s by a `scaleUp` policy of its own; the HPA's default (4 pods or 100 %) when left out. */
  podsPerStep?: number;
  /** `pollingInterval`: how often KEDA itself looks, which only switches between none and one; seconds. */
  polling?: number;
  /** `offsetResetPolicy`, which also says how a group without commits is counted. */
  reset?: 'earliest' | 'latest';
}

const SYNC_SECONDS = 15;
const POLLING_SECONDS = 30;
const COOLDOWN_SECONDS = 300;
const TOLERANCE = 0.1;
const DEFAULT_WINDOW = 300;

/** A scaler in the phase `phase` (seconds) of its 15 s cycle. */
export function kedaScaler(settings: KedaSettings, trace: Trace, phase: number): Scaler {
  const recommendations: { at: number; replicas: number }[] = [{ at: 0, replicas: trace.minReplicas }];
  const scaleUps: { at: number; change: number }[] = [];
  let lastActive = 0;
  const polling = settings.polling ?? POLLING_SECONDS;
  return {
    step(group) {
      if (group.brokerDown) return;
      if (trace.minReplicas === 0 && group.time % polling === phase % polling) lastActive = poll(group, settings, lastActive);
      if (group.time % SYNC_SECONDS !== phase || group.replicas === 0) return;
      const desired = desiredReplicas(group, settings, trace);
      recommendations.push({ at: group.time, replicas: desired });
      while ((recommendations[0]?.at ?? 0) < group.time - settings.window) recommendations.shift();
      const most = recommendations.reduce((max, { replicas }) => Math.max(max, replicas), desired);
      // Without behavior the HPA goes to the most that it has recommended in five minutes, up as well as down.
      const stabilized = hasBehavior(settings) ? Math.max(desired, Math.min(group.replicas, most)) : most;
      const next = Math.min(limited(group, stabilized, settings, scaleUps), trace.maxReplicas);
      const replicas = Math.max(next, Math.max(1, trace.minReplicas));
      if (replicas > group.replicas) scaleUps.push({ at: group.time, change: replicas - group.replicas });
      if (replicas !== group.replicas) group.scale(replicas);
    },
  };
}

function hasBehavior({ window, behavior = window !== DEFAULT_WINDOW }: KedaSettings): boolean {
  return behavior;
}

/** KEDA's own loop: 0 to 1 when there is lag, back to 0 when there has been none for the cooldown. */
function poll(group: GroupModel, settings: KedaSettings, lastActive: number): number {
  if (visibleLag(group, settings) > 0) {
    if (group.replicas === 0) group.scale(1);
    return group.time;
  }
  if (group.replicas > 0 && group.time - lastActive > COOLDOWN_SECONDS) group.scale(0);
  return lastActive;
}

/** ceil(lag / threshold), unless the ratio is within the tolerance; the lag is capped so that no more than one replica per partition results. */
function desiredReplicas(group: GroupModel, settings: KedaSettings, trace: Trace): number {
  let lag = visibleLag(group, settings);
  if (Math.floor(lag / settings.threshold) > trace.partitions) lag = trace.partitions * settings.threshold;
  const ratio = lag / (settings.threshold * group.replicas);
  return Math.abs(1 - ratio) <= TOLERANCE ? group.replicas : Math.ceil(lag / settings.threshold);
}

/** End minus commit: the start of the log is not looked at, and a group without commits counts as the setting says. */
function visibleLag(group: GroupModel, settings: KedaSettings): number {
  let lag = 0;
  for (let partition = 0; partition < group.end.length; partition++) {
    const end = Math.floor(group.end[partition] ?? 0);
    const committed = Math.floor(group.committed[partition] ?? 0);
    if (committed >= 0) lag += Math.max(0, end - committed);
    else lag += settings.reset === 'latest' ? 1 : end;
  }
  return lag;
}

/** Without `behavior` to max(4, twice the present); with it 4 more or twice as many as at the beginning of the last 15 s. */
function limited(group: GroupModel, replicas: number, settings: KedaSettings, scaleUps: { at: number; change: number }[]): number {
  if (!hasBehavior(settings)) return Math.min(replicas, Math.max(4, group.replicas * 2));
  if (settings.podsPerStep !== undefined) return Math.min(replicas, group.replicas + settings.podsPerStep);
  while ((scaleUps[0]?.at ?? Infinity) <= group.time - SYNC_SECONDS) scaleUps.shift();
  const start = group.replicas - scaleUps.reduce((sum, { change }) => sum + change, 0);
  return Math.min(replicas, Math.max(start + 4, start * 2));
}
