/** A run of the demo to keep: arrivals, lag, delay and replicas over time, as a chart and in figures. Pure: samples in, text out. */
import { chart, COLOURS, type Line } from '../../../operator/src/autoscale/simulator/chart.ts';
import { formatCount, scaleActions, worstLag, type TimelineSample } from './timeline.ts';

/** One sample of the operator's recording; the fields that matter here. */
export interface DelaySample {
  /** Seconds since the demo began to send events. */
  readonly at: number;
  /** Age of the oldest event that waits. */
  readonly delaySeconds: number;
}

export interface DemoRecord {
  readonly samples: readonly TimelineSample[];
  /** Empty when the operator could not be asked. */
  readonly delays: readonly DelaySample[];
  /** The goal, seconds; undefined when it is not known. */
  readonly maxDelaySeconds: number | undefined;
}

const WANTED = '#c8553d';

/** Messages that arrived per second, between every two samples whose lag is known. */
export function arrivals(samples: readonly TimelineSample[]): { at: number; rate: number }[] {
  const ends = samples.flatMap(({ at, lag, applied }) => (lag === undefined ? [] : [{ at, end: applied + lag }]));
  return ends.slice(1).map(({ at, end }, index) => {
    const before = ends[index] ?? { at, end };
    // An offset that was read a moment after another may seem to go back by a little.
    return { at, rate: Math.max(0, (end - before.end) / (at - before.at)) };
  });
}

/** Seconds that pods were asked for, from the first sample to the last. */
export function podSeconds(samples: readonly TimelineSample[]): number {
  return samples.reduce((sum, { at, wanted }, index) => sum + wanted * ((samples[index + 1]?.at ?? at) - at), 0);
}

/** Seconds from the first arrivals to the first scale-up; undefined without one. */
export function firstScaleUp(samples: readonly TimelineSample[]): number | undefined {
  const jump = arrivals(samples).find(({ rate }) => rate > 0);
  const up = scaleActions(samples).find(({ from, to }) => to > from);
  return jump === undefined || up === undefined ? undefined : Math.max(0, up.at - jump.at);
}

/** The chart, as SVG. */
export function recordChart({ samples, delays, maxDelaySeconds }: DemoRecord): string {
  const line = (colour: string, points: Line['points'], dashed = false): Line => ({ colour, points, dashed });
  const last = samples.at(-1)?.at ?? 0;
  const known = samples.filter(({ lag }) => lag !== undefined);
  const goal =
    maxDelaySeconds === undefined
      ? []
      : [
          line(
            WANTED,
            [0, last].map((x) => ({ x, y: maxDelaySeconds })),
            true,
          ),
        ];
  return chart(
    'make demo',
    [
      { label: 'measured', colour: COLOURS.ours },
      { label: 'asked for', colour: WANTED },
    ],
    [
      {
        label: 'arrivals, messages/s',
        lines: [
          line(
            COLOURS.arrivals,
            arrivals(samples).map(({ at, rate }) => ({ x: at, y: rate })),
          ),
        ],
      },
      {
        label: 'lag, messages',
        lines: [
          line(
            COLOURS.ours,
            known.map(({ at, lag = 0 }) => ({ x: at, y: lag })),
          ),
        ],
      },
      {
        label: 'delay, s',
        lines: [
          ...goal,
          line(
            COLOURS.ours,
            delays.map(({ at, delaySeconds }) => ({ x: at, y: delaySeconds })),
          ),
        ],
      },
      {
        label: 'replicas',
        lines: [
          line(WANTED, stairs(samples.map(({ at, wanted }) => ({ x: at, y: wanted }))), true),
          line(COLOURS.ours, stairs(samples.map(({ at, ready }) => ({ x: at, y: ready })))),
        ],
      },
    ],
  );
}

/** A number of replicas is valid until the next sample. */
function stairs(points: Line['points']): Line['points'] {
  return points.flatMap((point, index) => {
    const before = points[index - 1];
    return before === undefined ? [point] : [{ x: point.x, y: before.y }, point];
  });
}

/** The page beside the chart. @param chartFile its name @param when the day of the run */
export function recordPage(record: DemoRecord, chartFile: string, when: string): string {
  const { samples, delays, maxDelaySeconds } = record;
  const actions = scaleActions(samples).map(({ at, from, to }) => `${from} -> ${to} at ${Math.round(at)} s`);
  const first = firstScaleUp(samples);
  const worst = delays.reduce((most, { delaySeconds }) => Math.max(most, delaySeconds), 0);
  const rows = [
    ['events', formatCount((samples.at(-1)?.applied ?? 0) - (samples[0]?.applied ?? 0))],
    ['seconds', formatCount(samples.at(-1)?.at ?? 0)],
    ['worst lag', formatCount(worstLag(samples))],
    [
      'longest delay',
      delays.length === 0 ? 'not known' : `${worst.toFixed(0)} s${maxDelaySeconds === undefined ? '' : ` (maxDelay ${maxDelaySeconds} s)`}`,
    ],
    ['first arrivals to first scale-up', first === undefined ? 'none' : `${first.toFixed(0)} s`],
    ['replicas', actions.length === 0 ? 'never changed' : actions.join(', ')],
    ['pod-seconds', formatCount(podSeconds(samples))],
  ];
  return [
    '# A recorded run of the demo',
    '',
    `Written by \`make demo RECORD=...\` on ${when}. Lag and replicas are sampled every two seconds from the Kafka exporter and the Deployment; the delay is what the operator saw.`,
    '',
    `![arrivals, lag, delay and replicas over time](${chartFile})`,
    '',
    '| | |',
    '|---|---|',
    ...rows.map(([name, value]) => `| ${name} | ${value} |`),
    '',
  ].join('\n');
}
