/** The operator and its autoscaler. */
import { PLATFORM, series } from '../promql.ts';
import type { Alert, Group, RuleOptions } from './types.ts';

const BY_GROUP = `${PLATFORM}, group`;

function operator({ timing }: RuleOptions): Alert[] {
  const range = timing.range('rate');
  return [
    {
      alert: 'OperatorNoLeader',
      expr: `max by (platform) (${series('bss_operator_leader')}) == 0`,
      for: timing.for('down'),
      severity: 'critical',
      team: 'sre',
      summary: 'No replica of the operator leads',
      description: 'Its replicas run, but none holds the Lease: nothing is reconciled and nothing is scaled.',
    },
    {
      alert: 'OperatorReconcileErrors',
      expr:
        `sum by (platform) (rate(${series('bss_operator_reconcile_total', 'result="error"')}[${range}]))` +
        ` / (sum by (platform) (rate(${series('bss_operator_reconcile_total')}[${range}])) > 0) > 0.5`,
      for: timing.for('control'),
      severity: 'warning',
      team: 'sre',
      summary: 'The operator fails to reconcile',
      description: '{{ $value | humanizePercentage }} of its passes failed, above 50 %.',
    },
    {
      alert: 'OperatorWatchSilent',
      expr: `max by (platform, kind) (${series('bss_operator_watch_silence_seconds')}) > 600`,
      for: timing.for('control'),
      severity: 'warning',
      team: 'sre',
      summary: 'The operator hears nothing of {{ $labels.kind }}',
      description: 'The API server last sent something about {{ $labels.kind }} {{ $value | humanizeDuration }} ago, above 10 minutes.',
    },
    {
      alert: 'PlatformNotReady',
      expr: `${series('bss_platform_ready')} == 0`,
      for: timing.for('control'),
      severity: 'warning',
      team: 'sre',
      summary: 'Platform {{ $labels.platform }} is not ready',
      description: 'Its Ready condition is not True; the condition names the part that is missing.',
    },
  ];
}

function autoscaler({ timing }: RuleOptions): Alert[] {
  const group = (metric: string) => `max by (${BY_GROUP}) (${series(metric)})`;
  return [
    {
      alert: 'AutoscalerBlind',
      expr: `${group('bss_consumer_group_replicas')} unless ${group('bss_consumer_group_lag')}`,
      for: timing.for('critical'),
      severity: 'warning',
      team: 'streaming',
      summary: 'The autoscaler cannot read the lag of {{ $labels.group }}',
      description: 'There is no sample of its lag: the group is held at {{ $value }} replicas.',
    },
    {
      alert: 'AutoscalerNotFollowed',
      expr: `${group('bss_consumer_group_desired_replicas')} != ${group('bss_consumer_group_replicas')}`,
      for: timing.for('control'),
      severity: 'warning',
      team: 'streaming',
      summary: 'The Deployment of {{ $labels.group }} does not follow the autoscaler',
      description: 'The autoscaler wants {{ $value }} replicas, and the Deployment asks for another number.',
    },
    {
      alert: 'ConsumerDelayHigh',
      expr: `${group('bss_consumer_group_delay_seconds')} > 60`,
      for: timing.for('lag'),
      severity: 'warning',
      team: 'streaming',
      summary: 'Events wait for {{ $labels.group }}',
      description: 'The oldest event that waits is {{ $value | humanizeDuration }} old, above 1 minute.',
    },
  ];
}

export function operatorGroups(options: RuleOptions): Group[] {
  return [{ name: 'bss-operator-alerts', rules: [...operator(options), ...autoscaler(options)] }];
}
