/** The monitoring itself: what must work for the other alerts to mean anything. */
import { PLATFORM, series } from '../promql.ts';
import type { Alert, Group, RuleOptions } from './types.ts';

function prometheus({ timing }: RuleOptions): Alert[] {
  return [
    {
      alert: 'Watchdog',
      expr: 'vector(1)',
      severity: 'none',
      team: 'sre',
      summary: 'Alerts are delivered',
      description: 'This alert always fires. When its notifications stop, Prometheus, Alertmanager or the way between them is broken.',
    },
    {
      alert: 'PrometheusNotIngesting',
      // By type of sample: without native histograms, none of those is stored.
      expr: `sum by (${PLATFORM}, pod) (rate(${series('prometheus_tsdb_head_samples_appended_total')}[${timing.range('rate')}])) == 0`,
      for: timing.for('warning'),
      severity: 'warning',
      team: 'sre',
      summary: 'Prometheus of platform {{ $labels.platform }} stores no samples',
      description: '{{ $labels.pod }} scrapes and stores nothing: the volume is full or read-only, or no target is left.',
    },
    {
      alert: 'PrometheusRuleFailures',
      expr: `sum by (${PLATFORM}, rule_group) (increase(${series('prometheus_rule_evaluation_failures_total')}[${timing.range('event')}])) > 0`,
      severity: 'warning',
      team: 'sre',
      summary: 'Prometheus of platform {{ $labels.platform }} cannot evaluate rules',
      description: '{{ $value | printf "%.0f" }} evaluations of {{ $labels.rule_group }} failed: its alerts may not fire.',
    },
    {
      alert: 'PrometheusConfigRejected',
      expr: `${series('prometheus_config_last_reload_successful')} == 0`,
      for: timing.for('warning'),
      severity: 'warning',
      team: 'sre',
      summary: 'Prometheus of platform {{ $labels.platform }} rejects its configuration',
      description: 'The last reload failed: Prometheus goes on with the configuration that it had before.',
    },
  ];
}

function delivery({ timing }: RuleOptions): Alert[] {
  const integrations = `sum by (${PLATFORM}, integration) (rate(${series('alertmanager_notifications_failed_total')}[${timing.range('rate')}]))`;
  return [
    {
      alert: 'PrometheusWithoutAlertmanager',
      expr: `${series('prometheus_notifications_alertmanagers_discovered')} < 1`,
      for: timing.for('warning'),
      severity: 'warning',
      team: 'sre',
      summary: 'Prometheus of platform {{ $labels.platform }} knows no Alertmanager',
      description: 'Alerts fire, and nobody is notified.',
    },
    {
      alert: 'PrometheusNotificationsDropped',
      expr: `increase(${series('prometheus_notifications_dropped_total')}[${timing.range('event')}]) > 0`,
      severity: 'warning',
      team: 'sre',
      summary: 'Prometheus of platform {{ $labels.platform }} drops notifications',
      description: '{{ $value | printf "%.0f" }} notifications were dropped: Alertmanager does not take them.',
    },
    {
      alert: 'AlertmanagerNotificationsFailing',
      expr: `${integrations} > 0`,
      for: timing.for('warning'),
      severity: 'warning',
      team: 'sre',
      summary: 'Alertmanager of platform {{ $labels.platform }} cannot notify by {{ $labels.integration }}',
      description: '{{ $value | printf "%.2f" }} notifications a second fail: the receiver is unreachable, or refuses its credentials.',
    },
  ];
}

export function monitoringGroups(options: RuleOptions): Group[] {
  return [{ name: 'bss-monitoring-alerts', rules: [...prometheus(options), ...delivery(options)] }];
}
