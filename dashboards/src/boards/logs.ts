import { graph, logBars, logLines, logStat, query, type Board } from './board.ts';
import { rateOf } from '../promql.ts';

/** Streams of the selected platform and services. */
const streams = (matchers = '') =>
  `{namespace="$namespace",platform="$platform",service_name=~"$service"${matchers === '' ? '' : `,${matchers}`}}`;
const ERRORS = 'level=~"(?i)error|fatal"';
const WARNINGS = 'level=~"(?i)warn.*"';
const CONTAINING = '|~ `(?i)$search`';

const total = (matchers: string) => `sum(count_over_time(${streams(matchers)}[$__range])) or vector(0)`;
const counted = (by: string, matchers = '') => `sum by (${by}) (count_over_time(${streams(matchers)} ${CONTAINING} [$__auto]))`;

export const logs: Board = {
  uid: 'bss-logs',
  title: 'Logs',
  description: 'What the services write, and which of them writes errors.',
  variables: ['service', 'search'],
  rows: [
    {
      title: 'Volume',
      panels: [
        logStat('Errors', 'short', 'Lines of level error or fatal in the time range.', total(ERRORS), {
          limits: { warning: 1, critical: 100 },
          width: 4,
          height: 8,
        }),
        logStat('Warnings', 'short', 'Lines of level warn in the time range.', total(WARNINGS), {
          limits: { warning: 100, critical: null },
          width: 4,
          height: 8,
        }),
        logBars('Lines by level', 'short', 'Lines in each interval, by level.', [query(counted('level'), '{{level}}')], { width: 8 }),
        logBars('Lines by service', 'short', 'Lines in each interval, by service.', [query(counted('service_name'), '{{service_name}}')], {
          width: 8,
        }),
        logBars(
          'Which service writes errors?',
          'short',
          'Lines of level error or fatal in each interval, by service.',
          [query(counted('service_name', ERRORS), '{{service_name}}')],
          { next: 'bss-traces' },
        ),
        graph(
          'Lines on the way',
          'ops',
          'Lines that the log agents read and those that Loki takes, a second. A gap between them is lost, or late.',
          [
            query(`sum(${rateOf('loki_distributor_lines_received_total')})`, 'Loki takes'),
            query(`sum(${rateOf('loki_discarded_samples_total')})`, 'Loki discards'),
          ],
          { width: 12, next: 'bss-monitoring' },
        ),
      ],
    },
    {
      title: 'Lines',
      panels: [
        logLines('What went wrong?', 'short', 'The newest warnings and errors. A line with a trace_id leads to its trace.', [
          query(`${streams('level=~"(?i)warn.*|error|fatal"')} ${CONTAINING}`, ''),
        ]),
        logLines('What happened?', 'short', 'The newest lines of every level.', [query(`${streams()} ${CONTAINING}`, '')]),
      ],
    },
  ],
};
