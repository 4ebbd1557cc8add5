/** How a consumer group is scaled. The meaning of each field is that of `operator/src/autoscale/policy.ts`. */
import { z } from 'zod';
import type { Raw } from './piece.ts';
import { defaultText, duration, rule } from './rules.ts';

/** Below the time between two samples (5 s) nothing can be decided. */
const BELOW_SAMPLE = '^(0*[0-4]s|0+[mhd]|[0-9]+ms)$';
const belowSample = (text: string) => new RegExp(BELOW_SAMPLE).test(text);

const DEFAULT_MAXIMUM = 4;

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
    z.int().min(0).max(1000).default(1).describe('Minimum number of replicas; 0 needs scaleToZero.'),
    '1, or 0 with scaleToZero',
  ),
  maxReplicas: defaultText(
    z
      .int()
      .min(1)
      .max(1000)
      .default(DEFAULT_MAXIMUM)
      .describe(
        'Maximum number of replicas. Replicas beyond the number of partitions are idle. Unset, it is at least minReplicas and safeReplicas.',
      ),
    String(DEFAULT_MAXIMUM),
  ),
  maxDelay: duration(
    'Goal, not a guarantee: no event waits longer than this before it is applied. The start-up time of a replica and maxReplicas bound it. At least 5s, the sampling interval of the group.',
  ).default('30s'),
  lagPerReplica: z
    .int()
    .min(1)
    .max(1_000_000_000)
    .optional()
    .describe("KEDA's lagThreshold: if set, there is at least one replica for each this many events of lag."),
  scaleDownWindow: duration('Stabilization window: the operator scales down when a smaller number has sufficed for this long.').default(
    '15s',
  ),
  stepUpReplicas: z
    .int()
    .min(1)
    .max(1000)
    .default(16)
    .describe('A step up goes to the current number plus this, or to the current number times stepUpFactor, whichever is larger.'),
  stepUpFactor: z.int().min(1).max(100).default(4).describe('See stepUpReplicas.'),
  scaleToZero: z.boolean().default(false).describe('Scale the group to zero while it has no lag and no arrivals.'),
  idleTime: duration('With scaleToZero: the operator scales the group to zero after this long without lag and arrivals.').default('60s'),
  activationLag: z
    .int()
    .min(0)
    .max(1_000_000_000)
    .default(0)
    .describe('With scaleToZero: the group starts again when its lag exceeds this number of events.'),
  safeReplicas: defaultText(
    z
      .int()
      .min(0)
      .max(1000)
      .optional()
      .describe(
        'Number of replicas to scale up to when the lag has been unknown for lagUnknownAfter. The operator does not scale down in that case.',
      ),
    'the number of replicas stays as it is',
  ),
  lagUnknownAfter: duration('See safeReplicas.').default('5m'),
});

/** How a consumer group is scaled. */
export type Autoscaling = z.output<typeof shape>;

/** CEL: the minimum, with its default. */
const MINIMUM = '(has(self.minReplicas) ? self.minReplicas : self.scaleToZero ? 0 : 1)';

/** Rules of `scaleToZero` and the bounds, for every object that has the fields of a policy. */
function withBounds<S extends z.ZodType<Autoscaling>>(schema: S): S {
  const ordered = rule(schema, {
    cel: '!has(self.minReplicas) || !has(self.maxReplicas) || self.maxReplicas >= self.minReplicas',
    message: 'maxReplicas is below minReplicas: raise maxReplicas or lower minReplicas',
    fieldPath: '.maxReplicas',
    check: (value: Autoscaling) => value.maxReplicas >= value.minReplicas,
  });
  const zero = rule(ordered, {
    cel: '!has(self.minReplicas) || (self.minReplicas == 0) == self.scaleToZero',
    message: 'minReplicas 0 needs scaleToZero true, and the reverse: remove minReplicas, or change one of them',
    fieldPath: '.minReplicas',
    check: (value: Autoscaling) => (value.minReplicas === 0) === value.scaleToZero,
  });
  return rule(zero, {
    cel: `!has(self.safeReplicas) || ((!has(self.maxReplicas) || self.safeReplicas <= self.maxReplicas) && self.safeReplicas >= ${MINIMUM})`,
    message: 'safeReplicas must lie between minReplicas and maxReplicas',
    fieldPath: '.safeReplicas',
    check: ({ safeReplicas, minReplicas, maxReplicas }: Autoscaling) =>
      safeReplicas === undefined || (safeReplicas >= minReplicas && safeReplicas <= maxReplicas),
  });
}

/** `schema`, which has the fields of a policy, with the rules of a policy. */
export function withPolicyRules<S extends z.ZodType<Autoscaling>>(schema: S): S {
  const awake = rule(withBounds(schema), {
    cel: `!self.scaleToZero || !(self.scaleDownWindow.matches('${BELOW_SAMPLE}') || self.idleTime.matches('${BELOW_SAMPLE}'))`,
    message: 'with scaleToZero, scaleDownWindow and idleTime must be 5s or more: write 60s',
    fieldPath: '.scaleToZero',
    check: (value: Autoscaling) => !value.scaleToZero || !(belowSample(value.scaleDownWindow) || belowSample(value.idleTime)),
  });
  return rule(awake, {
    cel: `!self.maxDelay.matches('${BELOW_SAMPLE}')`,
    message: 'maxDelay is below the sampling interval of 5s: write 5s or more',
    fieldPath: '.maxDelay',
    check: (value: Autoscaling) => !belowSample(value.maxDelay),
  });
}

export const autoscaling = withPolicyRules(shape).prefault({}).describe('Scaling of the consumer group on its lag.');

/** The fields of a policy, for an object that has others beside them. */
export const POLICY_FIELDS = shape.shape;

/**
 * Settles the bounds that the user left out: a group that may be scaled to zero has a minimum of zero, and the maximum is at least what the other
 * bounds ask for.
 * @param merged the user's values over the defaults of the profile, not validated yet
 * @param given the user's values
 */
export function settleBounds(merged: Raw, given: Raw): Raw {
  const settled = { ...merged };
  if (isUnset(given['minReplicas']) && given['scaleToZero'] === true) settled['minReplicas'] = 0;
  if (!isUnset(given['maxReplicas'])) return settled;
  const least = Math.max(...[settled['minReplicas'], settled['safeReplicas']].filter((bound) => typeof bound === 'number'), 0);
  const usual = typeof settled['maxReplicas'] === 'number' ? settled['maxReplicas'] : DEFAULT_MAXIMUM;
  return least > usual ? { ...settled, maxReplicas: least } : settled;
}

const isUnset = (value: unknown): boolean => value === undefined || value === null;
