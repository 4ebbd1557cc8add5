/** What Prometheus learns about the platforms themselves. */
import type { Autoscaler, ConsumerGroupStatus } from '../autoscale/index.ts';
import { parseKey, type Gauge, type Metrics } from '../runtime/index.ts';

type GroupLabels = 'namespace' | 'platform' | 'group';

/** Figures of a consumer group, by metric. A figure that is not known has no series. */
const GROUP_GAUGES: { name: string; help: string; value: (group: ConsumerGroupStatus) => number | null }[] = [
  { name: 'bss_consumer_group_lag', help: 'Events that wait for the group.', value: (group) => group.lag },
  { name: 'bss_consumer_group_delay_seconds', help: 'Age of the oldest event that waits.', value: (group) => group.delaySeconds },
  { name: 'bss_consumer_group_arrival_rate', help: 'Events that arrive, per second.', value: (group) => group.arrivalRate },
  {
    name: 'bss_consumer_group_rate_per_replica',
    help: 'Events that one replica applies, per second.',
    value: (group) => group.ratePerReplica,
  },
  { name: 'bss_consumer_group_replicas', help: 'Replicas that the Deployment asks for.', value: (group) => group.replicas },
  { name: 'bss_consumer_group_desired_replicas', help: 'Replicas that the autoscaler wants.', value: (group) => group.desiredReplicas },
];

export class PlatformMetrics {
  readonly #ready: Gauge<'namespace' | 'platform'>;

  /** @param platformKeys of the platforms that exist at the time of a scrape */
  constructor(metrics: Metrics, autoscaler: Autoscaler, platformKeys: () => Iterable<string>) {
    this.#ready = metrics.gauge('bss_platform_ready', '1 when the platform is ready, else 0.', ['namespace', 'platform']);
    for (const { name, help, value } of GROUP_GAUGES) {
      metrics.gauge<GroupLabels>(name, help, ['namespace', 'platform', 'group'], (gauge) => {
        gauge.reset();
        for (const key of platformKeys()) setGroups(gauge, key, autoscaler.snapshot(key), value);
      });
    }
  }

  /** @param ready undefined: the platform is gone */
  setReady(platformKey: string, ready: boolean | undefined): void {
    const labels = platformLabels(platformKey);
    if (ready === undefined) this.#ready.remove(labels);
    else this.#ready.set(labels, ready ? 1 : 0);
  }
}

function setGroups(
  gauge: Gauge<GroupLabels>,
  platformKey: string,
  groups: ConsumerGroupStatus[],
  value: (group: ConsumerGroupStatus) => number | null,
): void {
  for (const group of groups) {
    const figure = value(group);
    if (figure !== null) gauge.set({ ...platformLabels(platformKey), group: group.name }, figure);
  }
}

function platformLabels(platformKey: string): { namespace: string; platform: string } {
  const { namespace = '', name } = parseKey(platformKey);
  return { namespace, platform: name };
}
