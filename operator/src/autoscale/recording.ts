/**
 * The decisions of a platform's groups as they leave the operator: bounded by the history of each group, and checked when they are read
 * again, from the operator or from a file. Instants are epoch milliseconds.
 */
import { z } from 'zod';
import type { DecisionReason } from './types.ts';

/** Raised when a reader of the former shape would misunderstand this one. */
export const RECORDING_VERSION = 1;

const figure = z.number();
const known = figure.nullable();

const policySchema = z.object({
  mode: z.enum(['builtin', 'keda', 'fixed']),
  minReplicas: figure,
  maxReplicas: figure,
  maxDelaySeconds: figure,
  lagPerReplica: figure.exactOptional(),
  scaleDownWindowSeconds: figure,
  stepUpReplicas: figure,
  stepUpFactor: figure,
  scaleToZero: z.boolean(),
  idleSeconds: figure,
  activationLag: figure,
  safeReplicas: figure.exactOptional(),
  lagUnknownSeconds: figure,
});

const decisionSchema = z.object({
  at: figure,
  /** False: the lag was not known. */
  usable: z.boolean(),
  lag: figure,
  delaySeconds: known,
  /** Smoothed, messages per second. */
  arrivalRate: figure,
  /** Over the last interval alone; null where it is not known. */
  arrivalNow: known,
  throughput: figure,
  ratePerReplica: known,
  /** Replicas before bounds, steps and windows; 0: nothing asks for more than there is. */
  wanted: figure,
  members: figure,
  from: figure,
  to: figure,
  // A newer operator may know reasons that this program does not.
  reason: z.string().transform((reason) => reason as DecisionReason),
  message: z.string(),
});

const groupSchema = z.object({
  group: z.string(),
  topics: z.array(z.string()),
  deployment: z.string(),
  policy: policySchema,
  learned: z
    .object({
      ratePerReplica: figure,
      startupSeconds: figure,
      observations: figure,
      commitSeconds: figure.optional(),
      pauseSeconds: figure.optional(),
      membersPerReplica: figure.optional(),
      version: z.string().optional(),
    })
    .nullable(),
  /** Share of the arrivals that goes to each partition; their sum is 1, or 0 when nothing has arrived. */
  shares: z.array(figure),
  /** Oldest first. */
  decisions: z.array(decisionSchema),
});

/** What `/scaling/<namespace>/<platform>` of the operator answers, and what `bss explain-scaling --record` writes. */
export const recordingSchema = z.object({
  version: z.literal(RECORDING_VERSION),
  /** `namespace/name`. */
  platform: z.string(),
  /** When the operator that answers began to look at groups: there is nothing older. */
  since: figure,
  groups: z.array(groupSchema),
});

export type Recording = z.output<typeof recordingSchema>;
export type GroupRecording = Recording['groups'][number];
