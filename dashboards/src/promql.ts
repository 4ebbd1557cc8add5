/** Pieces of PromQL that rules and panels share. */

/** Matchers of the platform that a panel shows. */
export const SELECTED = 'namespace="$namespace",platform="$platform"';
/** A Prometheus may hold series of others too: those of a platform carry its name. */
export const ANY_PLATFORM = 'platform!=""';
/** Series of different platforms are never added up. */
export const PLATFORM = 'namespace, platform';

/** `metric` of any platform; `matchers` such as `job="gateway"`. For rules. */
export function series(metric: string, matchers = ''): string {
  return `${metric}{${[ANY_PLATFORM, matchers].filter((part) => part !== '').join(',')}}`;
}

/** `metric` of the platform that the dashboard's variables name. For panels. */
export function selected(metric: string, matchers = ''): string {
  return `${metric}{${[SELECTED, matchers].filter((part) => part !== '').join(',')}}`;
}

/**
 * A metric of an OpenTelemetry Collector. The exporter of its metrics appends the type or the unit to a name, or does not: it depends on how the reader
 * is configured, and differs between a Collector and Jaeger.
 * @param select `series` or `selected`
 * @param suffix what may be appended: `_total` for a counter, `_bytes` for a size
 */
export function otelcol(select: (metric: string, matchers: string) => string, metric: string, suffix: string, matchers = ''): string {
  return select('', [`__name__=~"otelcol_${metric}(${suffix})?"`, matchers].filter((part) => part !== '').join(','));
}

/** Programs that are OpenTelemetry Collectors, Jaeger included. */
export const COLLECTORS = 'collector|log-agent|jaeger';

/** Services with an HTTP API. Their answers under /metrics, /livez and /readyz come from another port and are not counted. */
export const APIS = 'gateway|ledger|orchestrator|read-model|accounts|crm';

/** Requests of the APIs whose time counts. Seeding events and checking the whole ledger take as long as what they are asked to do. */
export const TIMED_REQUESTS = `job=~"${APIS}",route!~"/debug/seed|/api/v1/ledger/check"`;

/** Workloads that run on Node, the operator included. */
export const NODE_JOBS = `${APIS}|outbox-relay|interest|kafka-exporter|bss-operator`;

/** A rate of the selected platform, over the range that Grafana chooses. For panels. */
export function rateOf(metric: string, matchers = ''): string {
  return `rate(${selected(metric, matchers)}[$__rate_interval])`;
}

/** A quantile of a classic histogram of the selected platform. For panels; unlike a recorded quantile it has exemplars. */
export function quantileOf(q: number, metric: string, by = '', matchers = ''): string {
  return `histogram_quantile(${q}, sum by (le${by === '' ? '' : `, ${by}`}) (${rateOf(`${metric}_bucket`, matchers)}))`;
}
