/** Metrics of the platforms. */
import type { Autoscaler, ConsumerGroupStatus } from '../autoscale/index.ts';
import { autoscalerKeyOf } from './autoscalers/keys.ts';
import { parseKey, type Gauge, type Metrics } from '../runtime/index.ts';

/** A group belongs to a platform or to a ConsumerAutoscaler. */
type GroupLabels = 'namespace' | 'platform' | 'autoscaler' | 'group';

/** Figures of a consumer group, by metric. An unknown figure has no series. */
const GROUP_GAUGES: { name: string; help: string; value: (group: ConsumerGroupStatus) => number | null }[] = [
  { name: 'bss_consumer_group_lag', help: 'Lag of the group in messages.', value: (group) => group.lag },
  { name: 'bss_consumer_group_delay_seconds', help: 'Age of the oldest unprocessed event.', value: (group) => group.delaySeconds },
  { name: 'bss_consumer_group_arrival_rate', help: 'Arriving events per second.', value: (group) => group.arrivalRate },
  {
    name: 'bss_consumer_group_rate_per_replica',
    help: 'Events per second that one replica processes.',
    value: (group) => group.ratePerReplica,
  },
  { name: 'bss_consumer_group_replicas', help: 'Replicas in the spec of the Deployment.', value: (group) => group.replicas },
  {
    name: 'bss_consumer_group_desired_replicas',
    help: 'Replicas that the autoscaler decided on.',
    value: (group) => group.desiredReplicas,
  },
];

export class PlatformMetrics {
  readonly #ready: Gauge<'namespace' | 'platform'>;

  /** @param keys of the autoscaler, for the platforms and ConsumerAutoscalers that exist at the time of a scrape */
  constructor(metrics: Metrics, autoscaler: Autoscaler, keys: () => Iterable<string>) {
    this.#ready = metrics.gauge('bss_platform_ready', '1 when the platform is ready, else 0.', ['namespace', 'platform']);
    for (const { name, help, value } of GROUP_GAUGES) {
      metrics.gauge<GroupLabels>(name, help, ['namespace', 'platform', 'autoscaler', 'group'], (gauge) => {
        gauge.reset();
        for (const key of keys()) setGroups(gauge, key, autoscaler.snapshot(key), value);
      });
    }
  }

  /** @param ready undefined: the platform no longer exists */
  setReady(platformKey: string, ready: boolean | undefined): void {
    const labels = platformLabels(platformKey);
    if (ready === undefined) this.#ready.remove(labels);
    else this.#ready.set(labels, ready ? 1 : 0);
  }
}

function setGroups(
  gauge: Gauge<GroupLabels>,
  key: string,
  groups: ConsumerGroupStatus[],
  value: (group: ConsumerGroupStatus) => number | null,
): void {
  for (const group of groups) {
    const figure = value(group);
    if (figure !== null) gauge.set({ ...labelsOf(key), group: group.name }, figure);
  }
}

/** An empty label keeps the Prometheus of a platform from setting its own there: it scrapes the operator with `honor_labels`. */
function labelsOf(key: string): { namespace: string; platform: string; autoscaler?: string } {
  const own = autoscalerKeyOf(key);
  if (own === undefined) return platformLabels(key);
  const { namespace = '', name } = parseKey(own);
  return { namespace, platform: '', autoscaler: name };
}

function platformLabels(platformKey: string): { namespace: string; platform: string } {
  const { namespace = '', name } = parseKey(platformKey);
  return { namespace, platform: name };
}
