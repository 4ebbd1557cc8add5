/** How a consumer group is scaled. The meaning of each field is that of `operator/src/autoscale/policy.ts`. */
import { z } from 'zod';
import { defaultText, duration, durationMs, rule } from './rules.ts';

const shape = z.strictObject({
  mode: defaultText(
    z
      .enum(['builtin', 'keda', 'fixed'])
      .default('builtin')
      .describe(
        'builtin: the operator scales on lag. keda: the operator writes a ScaledObject of the same meaning (KEDA must be installed). fixed: `replicas` holds.',
      ),
    'fixed when replicas is set, else builtin',
  ),
  minReplicas: z.int().min(1).max(1000).default(1).describe('Fewest replicas while there is work (see scaleToZero).'),
  maxReplicas: z.int().min(1).max(1000).default(4).describe('Most replicas. More than the topic has partitions would be idle.'),
  maxDelay: duration('The goal: no event waits longer than this before it is applied.').default('30s'),
  lagPerReplica: z
    .int()
    .min(1)
    .max(1_000_000_000)
    .optional()
    .describe("Goal as a number of waiting events for each replica instead of a time (KEDA's lagThreshold). Overrides maxDelay."),
  scaleDownWindow: duration('Replicas are taken away only when the smaller number would have sufficed for this long.').default('60s'),
  maxStepUp: z.int().min(1).max(1000).default(4).describe('Most replicas that one decision adds.'),
  scaleToZero: z.boolean().default(false).describe('Take the last replica away while there is nothing to do.'),
  activationLag: z.int().min(0).max(1_000_000_000).default(0).describe('A group at zero is woken when its lag is above this.'),
});

type Shape = z.output<typeof shape>;

export const autoscaling = rule(
  rule(
    rule(shape, {
      cel: '!has(self.maxReplicas) || self.maxReplicas >= self.minReplicas',
      message: 'maxReplicas is below minReplicas: raise maxReplicas or lower minReplicas',
      fieldPath: '.maxReplicas',
      check: (value: Shape) => value.maxReplicas >= value.minReplicas,
    }),
    {
      cel: "!self.scaleToZero || !self.scaleDownWindow.matches('^0+(ms|s|m|h|d)$')",
      message: 'scaleToZero with a window of zero would stop the group between two events: set scaleDownWindow, such as 60s',
      fieldPath: '.scaleDownWindow',
      check: (value: Shape) => !value.scaleToZero || positive(value.scaleDownWindow),
    },
  ),
  {
    cel: "!self.maxDelay.matches('^0+(ms|s|m|h|d)$')",
    message: 'a delay of zero cannot be reached: write the longest time an event may wait, such as 30s',
    fieldPath: '.maxDelay',
    check: (value: Shape) => positive(value.maxDelay),
  },
)
  .prefault({})
  .describe('Scaling of the consumer group on its lag.');

/** Text that is no duration is another rule's business. */
function positive(text: string): boolean {
  try {
    return durationMs(text) > 0;
  } catch {
    return true;
  }
}
