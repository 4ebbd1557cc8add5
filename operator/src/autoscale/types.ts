/**
 * The autoscaler's vocabulary. Instants (`at`) are epoch milliseconds, durations are seconds, rates are messages per second.
 */
import type { ScalePolicy } from './policy.ts';

/** How to reach the brokers of one platform. */
export interface KafkaConnection {
  /** `host:port` of one or more brokers. */
  brokers: string[];
  ssl?: boolean;
  /** Certificate authority (PEM) of brokers that have one of their own; together with `ssl`. */
  ca?: string;
  /** Certificate and private key of the client (PEM), for brokers that require them; together with `ssl`. */
  client?: { certificate: string; key: string };
  sasl?: { mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'; username: string; password: string };
}

/** What is known of the group's consumers and worth keeping across restarts of the operator (it lives in the resource's status). */
export interface LearnedRate {
  /** Messages per second that one replica processes when it has work waiting. */
  ratePerReplica: number;
  /** Seconds from a scale-up until the new replica takes part. */
  startupSeconds: number;
  /** Number of observations behind it; few of them are overruled quickly. */
  observations: number;
  /** Seconds between two commits of a member, at least the time between two samples. */
  commitSeconds?: number | undefined;
  /** Seconds of arrivals that wait after a change of members, because the group stands still meanwhile. */
  pauseSeconds?: number | undefined;
  /** Members of the group in each replica; 1 when left out. */
  membersPerReplica?: number | undefined;
  /** Revision of the pods' template that it was learnt of. */
  version?: string | undefined;
}

/** A kind with a scale subresource. */
export interface ScaledKind {
  apiVersion: string;
  kind: string;
}

export const DEPLOYMENT: ScaledKind = { apiVersion: 'apps/v1', kind: 'Deployment' };

/** One consumer group and the Deployment whose replicas are its members, or another object with a scale subresource. */
export interface ScaleTarget {
  group: string;
  topics: string[];
  namespace: string;
  /** Name of the object that is scaled. */
  deployment: string;
  /** Its kind; a Deployment when left out. */
  kind?: ScaledKind;
  /** Others that scale the same object and come first, as `Kind/name`: those that the cluster does not know of. */
  rivals?: readonly string[];
  policy: ScalePolicy;
  learned?: LearnedRate;
  /** What repeats, as `ConsumerGroupStatus.season` had it. */
  season?: string;
}

/** Offsets of one partition as read from the brokers. */
export interface PartitionOffsets {
  topic: string;
  partition: number;
  /** First offset still in the log; null when it could not be read. */
  logStart: number | null;
  /** Offset that the next message gets; null when it could not be read. */
  end: number | null;
  /** The group's committed offset, -1 when it never committed, null when it could not be read. */
  committed: number | null;
}

export type GroupState = 'Stable' | 'PreparingRebalance' | 'CompletingRebalance' | 'Empty' | 'Dead' | 'Unknown';

/** A consumer group as its coordinator describes it. */
export interface GroupView {
  state: GroupState;
  members: number;
  /** Name of the protocol by which its members share out partitions, such as "range"; left out while it has none. */
  assignor?: string;
}

/** The Deployment behind a group at the time of a sample. */
export interface DeploymentView {
  /** `spec.replicas`: what was asked for. */
  replicas: number;
  /** Pods that are ready. */
  ready: number;
  /** A new version is being rolled out. */
  rollingOut: boolean;
  /** Revision of the pods' template: another one may be faster or slower. Left out when it is not known. */
  version?: string;
}

/** What one look at a group yields before its lag is judged. */
export interface Observation {
  at: number;
  offsets: PartitionOffsets[];
  group: GroupView;
  /**
   * Number of the member that owns each partition, in the order of `offsets`; -1 for a partition without an owner; null when the assignment
   * is unknown.
   */
  owners: readonly number[] | null;
  deployment: DeploymentView;
}

/** Why a sample must not be used. */
export type UnusableReason =
  | 'BrokerAway'
  | 'CredentialsRefused'
  | 'NotAuthorized'
  | 'UnknownTopic'
  | 'UnknownGroup'
  | 'UnreadablePartition'
  | 'OffsetsJumped'
  | 'DeploymentUnknown';

/** A sample whose lag is known. The arrays have one entry per partition, all in the same order. */
export interface UsableSample {
  usable: true;
  at: number;
  /** Seconds since the previous usable sample of the same partitions; 0 for the first. `arrived` and `progress` are over this time. */
  seconds: number;
  /** `topic/partition`. */
  partitions: readonly string[];
  lag: readonly number[];
  totalLag: number;
  /** Messages appended. */
  arrived: readonly number[];
  /** Messages that the group committed, without those that retention took away before it could. */
  progress: readonly number[];
  /** Age of the oldest unprocessed event; null while it is not known yet. */
  delaySeconds: number | null;
  group: GroupView;
  owners: readonly number[] | null;
  deployment: DeploymentView;
}

/** A sample that says nothing about the lag: hold. */
export interface UnusableSample {
  usable: false;
  at: number;
  reason: UnusableReason;
  message: string;
  /** Known even when the brokers are away; null when the Deployment could not be read either. */
  deployment: DeploymentView | null;
}

export type Sample = UsableSample | UnusableSample;

/** Closed list of why the number of replicas is what it is. */
export type DecisionReason =
  | 'Starting'
  | 'Steady'
  | 'Backlog'
  | 'ArrivalRate'
  | 'Trend'
  | 'Season'
  | 'Exploring'
  | 'LagPerReplica'
  | 'ScaledDown'
  | 'WaitingForWindow'
  | 'Idle'
  | 'Activated'
  | 'Bounds'
  | 'HeldRollout'
  | 'HeldRebalance'
  | 'LagUnknown'
  | 'SafeReplicas'
  | 'Ineffective'
  | 'NoProgress'
  | 'HotPartition'
  | 'ForeignScaler'
  | 'NotManaged';

/** What `decide` found, in figures; everything that a person needs to redo the calculation. */
export interface DecisionInputs {
  lag: number;
  delaySeconds: number | null;
  arrivalRate: number;
  /** Messages per second processed by the group since the last sample. */
  throughput: number;
  ratePerReplica: number | null;
  /** Replicas by arrival rate and backlog before bounds, steps and windows. */
  wanted: number;
}

export interface Decision {
  /** The number of replicas that the Deployment should have now. */
  replicas: number;
  reason: DecisionReason;
  message: string;
  inputs: DecisionInputs;
  /** Seconds until the next sample is worth taking, when that is sooner than usual. */
  next?: number;
}

/** Something a person should look at. `type` is used as the reason of a condition or an event. */
export interface Problem {
  type:
    | 'LagUnknown'
    | 'CredentialsRefused'
    | 'ForeignScaler'
    | 'ScalersUnknown'
    | 'ManualChange'
    | 'Ineffective'
    | 'NoProgress'
    | 'HotPartition'
    | 'PolicyInvalid'
    | 'ScaleFailed'
    | 'AtMaximum'
    | 'UnknownGroup';
  message: string;
}

/** One group as shown in `status.consumerGroups`. */
export interface ConsumerGroupStatus {
  name: string;
  topics: string[];
  namespace: string;
  deployment: string;
  /** Null while it cannot be read. */
  lag: number | null;
  /** Why the lag is not known; null when it is, and before the first sample. */
  unusable: UnusableReason | null;
  delaySeconds: number | null;
  arrivalRate: number | null;
  throughput: number | null;
  ratePerReplica: number | null;
  partitions: number;
  members: number;
  groupState: GroupState;
  /** Replicas that the Deployment asks for now; null while it cannot be read. */
  replicas: number | null;
  readyReplicas: number | null;
  desiredReplicas: number;
  reason: DecisionReason;
  message: string;
  problems: Problem[];
  /** Worth writing to status; hand it back in `ScaleTarget.learned` after a restart. */
  learned: LearnedRate | null;
  /** The same for `ScaleTarget.season`; null before an hour was seen whole. */
  season: string | null;
  /** Epoch milliseconds of the last usable sample and of the last scale action. */
  lastSampleTime: number | null;
  lastScaleTime: number | null;
  counters: GroupCounters;
}

/** Counts since the operator started. */
export interface GroupCounters {
  samples: number;
  unusableSamples: number;
  scaleUps: number;
  scaleDowns: number;
  scaleErrors: number;
}

/** One line of a group's history, compact enough to keep an hour of them. */
export interface DecisionRecord {
  at: number;
  usable: boolean;
  lag: number;
  delaySeconds: number | null;
  arrivalRate: number;
  /** Arrivals over the last interval alone; null where it is not known. */
  arrivalNow: number | null;
  throughput: number;
  ratePerReplica: number | null;
  /** Replicas before bounds, steps and windows; 0: nothing asks for more than there is. */
  wanted: number;
  members: number;
  from: number;
  to: number;
  reason: DecisionReason;
  message: string;
}

/**
 * Reads and changes the Deployments behind the groups, or other objects with a scale subresource (`kind`; a Deployment when left out). Built over
 * any HTTP client by `scaleClient` in actuator.ts.
 */
export interface ScaleClient {
  /** The object as it is now; null when it does not exist. Throws when the API server cannot be asked, or serves no such kind. */
  read(namespace: string, name: string, kind?: ScaledKind): Promise<DeploymentView | null>;
  /** Sets `spec.replicas` through the scale subresource. Throws when refused. */
  setReplicas(namespace: string, name: string, replicas: number, kind?: ScaledKind): Promise<void>;
  /** Others that scale the same object, as `Kind/name`, sorted. ScaledObjects and HPAs are looked for. */
  rivals(namespace: string, name: string, kind?: ScaledKind): Promise<string[]>;
}

/** Something that happened and is worth a Kubernetes event. */
export interface ScaleEvent {
  type: 'Normal' | 'Warning';
  reason: string;
  message: string;
  group: string;
  namespace: string;
  deployment: string;
}
