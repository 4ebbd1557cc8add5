/** What the business notices: calculations that fail, events that are not applied as fast as they arrive. */
import { PLATFORM, series } from '../promql.ts';
import { GROUP_LAG, GROUP_RATE, TOPIC_RATE } from './kafka.ts';
import type { Group, RuleOptions } from './types.ts';

/** Interest calculations a second, by status. */
export const CALCULATION_RATE = 'platform:interest_calculations:rate';

export function businessGroups({ timing }: RuleOptions): Group[] {
  return [
    {
      name: 'bss-business-records',
      rules: [
        {
          record: CALCULATION_RATE,
          expr: `sum by (${PLATFORM}, status) (rate(${series('interest_calculation_total')}[${timing.range('rate')}]))`,
        },
        {
          // One counter serves both names that the requirements give this count.
          record: 'interest_calculation_executed_total',
          expr: `sum by (${PLATFORM}, pod) (${series('interest_calculation_total')})`,
        },
      ],
    },
    {
      name: 'bss-business-alerts',
      rules: [
        {
          alert: 'InterestFailures',
          expr: `sum by (${PLATFORM}) (${CALCULATION_RATE}{status="failure"}) / (sum by (${PLATFORM}) (${CALCULATION_RATE}) > 0) > 0.01`,
          for: timing.for('warning'),
          severity: 'warning',
          team: 'business',
          summary: 'Interest calculations of platform {{ $labels.platform }} fail',
          description: '{{ $value | humanizePercentage }} of the calculations failed, above 1 %.',
        },
        {
          alert: 'PaymentTransfersOverdue',
          // Every replica counts the rows of the one database.
          expr: `max by (${PLATFORM}) (${series('payment_transfers_pending', 'state="overdue"')}) > 0`,
          for: timing.for('critical'),
          severity: 'critical',
          team: 'business',
          summary: 'Payments of platform {{ $labels.platform }} have no known outcome',
          description:
            'The outcome of {{ $value }} payments or refunds has been unknown for more than an hour. They are resumed time and again.',
        },
        {
          alert: 'ThroughputLow',
          // A small backlog is caught up within one batch, whatever the rates say.
          expr:
            `${GROUP_RATE} / on (${PLATFORM}, topic) group_left () (${TOPIC_RATE} > 0) < 0.8` +
            ` and on (${PLATFORM}, consumergroup, topic) ${GROUP_LAG} > 1000`,
          for: timing.for('warning'),
          severity: 'warning',
          team: 'business',
          summary: '{{ $labels.consumergroup }} is slower than the events arrive',
          description:
            'It consumes {{ $value | humanizePercentage }} of the records that arrive on {{ $labels.topic }}, below 80 %, and the backlog grows.',
        },
      ],
    },
  ];
}
