/** How a consumer group is scaled. The meaning of each field is that of `operator/src/autoscale/policy.ts`. */
import { z } from 'zod';
import { defaultText, duration, rule } from './rules.ts';

/** Below the time between two samples (5 s) nothing can be decided. */
const BELOW_SAMPLE = '^(0*[0-4]s|0+[mhd]|[0-9]+ms)$';
const belowSample = (text: string) => new RegExp(BELOW_SAMPLE).test(text);

const shape = z.strictObject({
  mode: defaultText(
    z
      .enum(['builtin', 'keda', 'fixed'])
      .default('builtin')
      .describe(
        'builtin: the operator scales on lag. keda: the operator writes a ScaledObject of the same meaning (KEDA must be installed). fixed: replicas holds.',
      ),
    'fixed when replicas is set, else builtin',
  ),
  minReplicas: defaultText(
    z.int().min(0).max(1000).default(1).describe('Fewest replicas; 0 only together with scaleToZero.'),
    '1, or 0 with scaleToZero',
  ),
  maxReplicas: z.int().min(1).max(1000).default(4).describe('Most replicas. More than the topic has partitions would be idle.'),
  maxDelay: duration(
    'The goal: no event waits longer than this before it is applied. At least 5s, the time between two looks at the group.',
  ).default('30s'),
  lagPerReplica: z
    .int()
    .min(1)
    .max(1_000_000_000)
    .optional()
    .describe("KEDA's lagThreshold: when set, there is also at least one replica for each so many waiting events."),
  scaleDownWindow: duration('Replicas are taken away only when the smaller number would have sufficed for this long.').default('15s'),
  stepUpReplicas: z
    .int()
    .min(1)
    .max(1000)
    .default(16)
    .describe('One step up goes to the present number plus this, or times stepUpFactor, whichever is more.'),
  stepUpFactor: z.int().min(1).max(100).default(4).describe('See stepUpReplicas.'),
  scaleToZero: z.boolean().default(false).describe('Stop the group altogether while there is nothing to do.'),
  idleTime: duration('With scaleToZero: the group is stopped after this long without lag and arrivals.').default('60s'),
  activationLag: z
    .int()
    .min(0)
    .max(1_000_000_000)
    .default(0)
    .describe('With scaleToZero: a stopped group starts when more events than this wait.'),
  safeReplicas: defaultText(
    z
      .int()
      .min(0)
      .max(1000)
      .optional()
      .describe('When the lag could not be read for lagUnknownAfter: go up to this many replicas, never down.'),
    'the number of replicas stays as it is',
  ),
  lagUnknownAfter: duration('See safeReplicas.').default('5m'),
});

type Shape = z.output<typeof shape>;

const bounds = rule(
  rule(
    rule(shape, {
      cel: '!has(self.minReplicas) || !has(self.maxReplicas) || self.maxReplicas >= self.minReplicas',
      message: 'maxReplicas is below minReplicas: raise maxReplicas or lower minReplicas',
      fieldPath: '.maxReplicas',
      check: (value: Shape) => value.maxReplicas >= value.minReplicas,
    }),
    {
      cel: '!has(self.minReplicas) || (self.minReplicas == 0) == self.scaleToZero',
      message: 'minReplicas: 0 and scaleToZero: true go together: leave minReplicas out, or change the other',
      fieldPath: '.minReplicas',
      check: (value: Shape) => (value.minReplicas === 0) === value.scaleToZero,
    },
  ),
  {
    cel:
      '!has(self.safeReplicas) || ((!has(self.maxReplicas) || self.safeReplicas <= self.maxReplicas) && ' +
      '(!has(self.minReplicas) || self.safeReplicas >= self.minReplicas))',
    message: 'safeReplicas must lie between minReplicas and maxReplicas',
    fieldPath: '.safeReplicas',
    check: ({ safeReplicas, minReplicas, maxReplicas }: Shape) =>
      safeReplicas === undefined || (safeReplicas >= minReplicas && safeReplicas <= maxReplicas),
  },
);

export const autoscaling = rule(
  rule(bounds, {
    cel: `!self.scaleToZero || !(self.scaleDownWindow.matches('${BELOW_SAMPLE}') || self.idleTime.matches('${BELOW_SAMPLE}'))`,
    message: 'with scaleToZero, scaleDownWindow and idleTime must be 5s or more, or the group would stop between two events: write 60s',
    fieldPath: '.scaleToZero',
    check: (value: Shape) => !value.scaleToZero || !(belowSample(value.scaleDownWindow) || belowSample(value.idleTime)),
  }),
  {
    cel: `!self.maxDelay.matches('${BELOW_SAMPLE}')`,
    message: 'a delay below 5s cannot be kept, as the group is looked at every 5 seconds: write 5s or more',
    fieldPath: '.maxDelay',
    check: (value: Shape) => !belowSample(value.maxDelay),
  },
)
  .prefault({})
  .describe('Scaling of the consumer group on its lag.');
