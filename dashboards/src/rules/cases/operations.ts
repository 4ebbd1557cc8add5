import { duration, SLO_WINDOWS } from '../durations.ts';
import { counter, counterEvery, DEMO, demo, gauge, type AlertCase, type RecordCase } from './case.ts';

const OPERATOR = 'job="bss-operator",pod="bss-operator-1"';
const IN_OPERATOR = { platform: 'demo' };
const GROUP = `${OPERATOR},group="interest-batch"`;
const IN_GROUP = { ...DEMO, group: 'interest-batch' };

const operator: AlertCase[] = [
  {
    alert: 'OperatorNoLeader',
    series: { [demo('bss_operator_leader', `${OPERATOR},lease="bss-operator"`)]: gauge([5, 1], [30, 0], [60, 1]) },
    fires: 6,
    resolved: 30,
    labels: IN_OPERATOR,
    description: 'Its replicas run, but none holds the Lease: nothing is reconciled and nothing is scaled.',
  },
  {
    alert: 'OperatorReconcileErrors',
    series: {
      [demo('bss_operator_reconcile_total', `${OPERATOR},controller="platform",result="error"`)]: counter([30, 0.6], [60, 0]),
      [demo('bss_operator_reconcile_total', `${OPERATOR},controller="platform",result="success"`)]: counter([30, 0.4], [60, 1]),
    },
    fires: 10.25,
    resolved: 36,
    labels: IN_OPERATOR,
    description: '60% of its passes failed, above 50 %.',
  },
  {
    alert: 'OperatorWatchSilent',
    series: { [demo('bss_operator_watch_silence_seconds', `${OPERATOR},kind="Pod"`)]: gauge([5, 10], [30, 900], [60, 10]) },
    fires: 15,
    resolved: 30,
    labels: { ...IN_OPERATOR, kind: 'Pod' },
    description: 'The API server last sent something about Pod 15m 0s ago, above 10 minutes.',
  },
  {
    alert: 'PlatformNotReady',
    series: { [demo('bss_platform_ready', OPERATOR)]: gauge([5, 1], [30, 0], [60, 1]) },
    fires: 15,
    resolved: 30,
    labels: { ...DEMO, job: 'bss-operator', pod: 'bss-operator-1' },
    description: 'Its Ready condition is not True; the condition names the part that is missing.',
  },
  {
    alert: 'AutoscalerBlind',
    series: {
      [demo('bss_consumer_group_replicas', GROUP)]: gauge([60, 2]),
      [demo('bss_consumer_group_lag', GROUP)]: gauge([5, 0], [30, null], [60, 0]),
    },
    fires: 7,
    resolved: 30,
    labels: IN_GROUP,
    description: 'There is no sample of its lag: the group is held at 2 replicas.',
  },
  {
    alert: 'AutoscalerNotFollowed',
    series: {
      [demo('bss_consumer_group_desired_replicas', GROUP)]: gauge([5, 1], [60, 4]),
      [demo('bss_consumer_group_replicas', GROUP)]: gauge([30, 1], [60, 4]),
    },
    fires: 15,
    resolved: 30,
    labels: IN_GROUP,
    description: 'The autoscaler wants 4 replicas, and the Deployment asks for another number.',
  },
  {
    alert: 'ConsumerDelayHigh',
    series: { [demo('bss_consumer_group_delay_seconds', GROUP)]: gauge([5, 1], [30, 90], [60, 1]) },
    fires: 10,
    resolved: 30,
    labels: IN_GROUP,
    description: 'The oldest event that waits is 1m 30s old, above 1 minute.',
  },
];

const PROMETHEUS = 'job="prometheus",pod="demo-prometheus-0"';
const IN_PROMETHEUS = { ...DEMO, job: 'prometheus', pod: 'demo-prometheus-0' };

const monitoring: AlertCase[] = [
  {
    alert: 'Watchdog',
    series: { [demo('up', PROMETHEUS)]: gauge([60, 1]) },
    fires: 0,
    labels: {},
    description: 'This alert always fires. When its notifications stop, Prometheus, Alertmanager or the way between them is broken.',
  },
  {
    alert: 'PrometheusNotIngesting',
    series: {
      [demo('prometheus_tsdb_head_samples_appended_total', `${PROMETHEUS},type="float"`)]: counter([30, 0], [60, 100]),
      [demo('prometheus_tsdb_head_samples_appended_total', `${PROMETHEUS},type="histogram"`)]: counter([60, 0]),
    },
    fires: 5.25,
    resolved: 30.5,
    labels: { ...DEMO, pod: 'demo-prometheus-0' },
    description: 'demo-prometheus-0 scrapes and stores nothing: the volume is full or read-only, or no target is left.',
  },
  {
    alert: 'PrometheusRuleFailures',
    series: {
      [demo('prometheus_rule_evaluation_failures_total', `${PROMETHEUS},rule_group="bss.yml;kafka-alerts"`)]: gauge([20, 0], [60, 5]),
    },
    fires: 20,
    resolved: 31,
    labels: { ...DEMO, rule_group: 'bss.yml;kafka-alerts' },
    description: '5 evaluations of bss.yml;kafka-alerts failed: its alerts may not fire.',
  },
  {
    alert: 'PrometheusConfigRejected',
    series: { [demo('prometheus_config_last_reload_successful', PROMETHEUS)]: gauge([5, 1], [30, 0], [60, 1]) },
    fires: 10,
    resolved: 30,
    labels: IN_PROMETHEUS,
    description: 'The last reload failed: Prometheus goes on with the configuration that it had before.',
  },
  {
    alert: 'PrometheusWithoutAlertmanager',
    series: { [demo('prometheus_notifications_alertmanagers_discovered', PROMETHEUS)]: gauge([5, 1], [30, 0], [60, 1]) },
    fires: 10,
    resolved: 30,
    labels: IN_PROMETHEUS,
    description: 'Alerts fire, and nobody is notified.',
  },
  {
    alert: 'PrometheusNotificationsDropped',
    series: { [demo('prometheus_notifications_dropped_total', PROMETHEUS)]: gauge([20, 0], [60, 8]) },
    fires: 20,
    resolved: 31,
    labels: IN_PROMETHEUS,
    description: '8 notifications were dropped: Alertmanager does not take them.',
  },
  {
    alert: 'AlertmanagerNotificationsFailing',
    series: {
      [demo(
        'alertmanager_notifications_failed_total',
        'job="alertmanager",pod="demo-alertmanager-0",integration="webhook",reason="other"',
      )]: counter([30, 0.1], [60, 0]),
    },
    fires: 5.25,
    resolved: 36,
    labels: { ...DEMO, integration: 'webhook' },
    description: '0.10 notifications a second fail: the receiver is unreachable, or refuses its credentials.',
  },
];

const LEDGER = 'job="ledger",service="ledger",pod="demo-ledger-1"';
const CHECK = `${LEDGER},route="/api/v1/ledger/check"`;
const IN_LEDGER = { ...DEMO, service: 'ledger', sla: 'true' };

/** 10 requests a second, of which `share` fail up to a minute. */
function failing(interval: number, share: number, until: number, end: number): Record<string, string> {
  return {
    [demo('http_requests_total', `${LEDGER},status="200"`)]: counterEvery(interval, [until, 10 * (1 - share)], [end, 10]),
    [demo('http_requests_total', `${LEDGER},status="500"`)]: counterEvery(interval, [until, 10 * share], [end, 0]),
  };
}

/** 10 requests a second, of which `share` take longer than a second up to a minute. Checks of the whole ledger are slow all the time, and do not count. */
function slow(interval: number, share: number, until: number, end: number): Record<string, string> {
  return {
    [demo('http_request_duration_seconds_bucket', `${LEDGER},le="1.0"`)]: counterEvery(interval, [until, 10 * (1 - share)], [end, 10]),
    [demo('http_request_duration_seconds_count', LEDGER)]: counterEvery(interval, [end, 10]),
    [demo('http_request_duration_seconds_bucket', `${CHECK},le="1.0"`)]: counterEvery(interval, [end, 0]),
    [demo('http_request_duration_seconds_count', CHECK)]: counterEvery(interval, [end, 1]),
  };
}

const HOUR = 60;
const DAY = 24 * HOUR;

/** From the first sample on, requests miss the objective: the share is the same over every window, and each alert fires after its `for`. */
const slo: AlertCase[] = [
  {
    alert: 'SlaErrorBudgetBurnFast',
    series: failing(15, 0.02, 30, 60),
    fires: 2.25,
    // The short window of 5 minutes ends it.
    resolved: 36,
    labels: { ...IN_LEDGER, family: 'SlaErrorBudgetBurn', window: '1h' },
    description: '2% of the requests failed with 5xx over 1h: the budget of 0.1 % is gone in 50h or less at this rate.',
  },
  {
    alert: 'SlaErrorBudgetBurnFast',
    series: failing(60, 0.01, 2 * HOUR, 4 * HOUR),
    interval: 60,
    fires: 16,
    resolved: 3 * HOUR,
    labels: { ...IN_LEDGER, family: 'SlaErrorBudgetBurn', window: '6h' },
    description: '1% of the requests failed with 5xx over 6h: the budget of 0.1 % is gone in 5d or less at this rate.',
  },
  {
    alert: 'SlaErrorBudgetBurnSlow',
    series: failing(300, 0.005, 6 * HOUR, 12 * HOUR),
    interval: 300,
    fires: 65,
    resolved: 9 * HOUR,
    labels: { ...IN_LEDGER, family: 'SlaErrorBudgetBurn', window: '1d' },
    description: '0.5% of the requests failed with 5xx over 1d: the budget of 0.1 % is gone in 10d or less at this rate.',
  },
  {
    alert: 'SlaErrorBudgetBurnSlow',
    series: failing(900, 0.002, DAY, 3 * DAY),
    interval: 900,
    fires: 195,
    resolved: DAY + 7 * HOUR,
    labels: { ...IN_LEDGER, family: 'SlaErrorBudgetBurn', window: '3d' },
    description: '0.2% of the requests failed with 5xx over 3d: the budget of 0.1 % is gone in 30d or less at this rate.',
  },
  {
    alert: 'SlaLatencyBudgetBurnFast',
    series: slow(15, 0.2, 30, 60),
    fires: 2.25,
    resolved: 36,
    labels: { ...IN_LEDGER, family: 'SlaLatencyBudgetBurn', window: '1h' },
    description: '20% of the requests took longer than 1 s over 1h: the budget of 1 % is gone in 50h or less at this rate.',
  },
  {
    alert: 'SlaLatencyBudgetBurnFast',
    series: slow(60, 0.1, 2 * HOUR, 4 * HOUR),
    interval: 60,
    fires: 16,
    resolved: 3 * HOUR,
    labels: { ...IN_LEDGER, family: 'SlaLatencyBudgetBurn', window: '6h' },
    description: '10% of the requests took longer than 1 s over 6h: the budget of 1 % is gone in 5d or less at this rate.',
  },
  {
    alert: 'SlaLatencyBudgetBurnSlow',
    series: slow(300, 0.05, 6 * HOUR, 12 * HOUR),
    interval: 300,
    fires: 65,
    resolved: 9 * HOUR,
    labels: { ...IN_LEDGER, family: 'SlaLatencyBudgetBurn', window: '1d' },
    description: '5% of the requests took longer than 1 s over 1d: the budget of 1 % is gone in 10d or less at this rate.',
  },
  {
    alert: 'SlaLatencyBudgetBurnSlow',
    series: slow(900, 0.02, DAY, 3 * DAY),
    interval: 900,
    fires: 195,
    resolved: DAY + 7 * HOUR,
    labels: { ...IN_LEDGER, family: 'SlaLatencyBudgetBurn', window: '3d' },
    description: '2% of the requests took longer than 1 s over 3d: the budget of 1 % is gone in 30d or less at this rate.',
  },
];

export const alerts: AlertCase[] = [...operator, ...monitoring, ...slo];

const IN_SERVICE = '{namespace="bss",platform="demo",service="ledger"}';

/** A quarter misses the objective throughout: every window says so. */
export const records: RecordCase[] = SLO_WINDOWS.flatMap((window): RecordCase[] => [
  {
    record: `service:slo_errors:ratio_rate${duration(window)}`,
    series: failing(60, 0.25, 2 * HOUR, 2 * HOUR),
    interval: 60,
    at: HOUR,
    values: { [IN_SERVICE]: 0.25 },
  },
  {
    record: `service:slo_slow:ratio_rate${duration(window)}`,
    series: slow(60, 0.25, 2 * HOUR, 2 * HOUR),
    interval: 60,
    at: HOUR,
    values: { [IN_SERVICE]: 0.25 },
  },
]);
