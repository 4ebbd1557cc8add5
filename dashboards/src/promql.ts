/** Pieces of PromQL that rules and panels share. */

/** Matchers of the platform that a panel shows. */
export const SELECTED = 'namespace="$namespace",platform="$platform"';
/** A Prometheus may hold series of others too: those of a platform carry its name. */
const ANY_PLATFORM = 'platform!=""';
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

/** Services with an HTTP API. Their answers under /metrics, /livez and /readyz come from another port and are not counted. */
export const APIS = 'gateway|ledger';

/** Workloads that run on Node, the operator included. */
export const NODE_JOBS = 'gateway|ledger|interest|kafka-exporter|bss-operator';
