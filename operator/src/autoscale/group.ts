/** One consumer group under the autoscaler's care: what is remembered of it, and what others are shown. No I/O. */
import { decide } from './decide.ts';
import { DelayTracker } from './delay.ts';
import { sum } from './estimator.ts';
import { History } from './history.ts';
import { markEmpty, stillPartitions, toSample, unusable } from './lag.ts';
import type { LagMemory } from './lag.ts';
import { validatePolicy } from './policy.ts';
import type { Suspect } from './probe.ts';
import type { GroupReading } from './sampler.ts';
import type { GroupRecording } from './recording.ts';
import { lastBin } from './season.ts';
import type { Profile } from './season.ts';
import { seasonOf, seasonText } from './season-text.ts';
import { initialState } from './state.ts';
import type { State } from './state.ts';
import { DEPLOYMENT } from './types.ts';
import type { ConsumerGroupStatus, Decision, DeploymentView, GroupCounters, Problem, Sample, ScaleTarget, UsableSample } from './types.ts';

/** An hour of samples. */
const HISTORY_LENGTH = 720;
/** A group without members and commits is called unknown after this many samples with ready pods. */
const STRANGER_SAMPLES = 12;

/** Why the lag is not known, where somebody can do something about it: problems of their own. */
const TOLD_APART = ['CredentialsRefused', 'UnknownGroup'] as const;

/** Who else scales the Deployment, and what the cluster says of it. */
export interface ClusterView {
  deployment: DeploymentView | null;
  /** Why the Deployment could not be read. */
  failure?: string;
  rivals: readonly string[];
  /** Why it is not known whether anything else scales the Deployment: then the operator must not. */
  rivalsUnknown?: string;
}

/** One group's memory and its last decision. */
export class Group {
  target: ScaleTarget;
  readonly counters: GroupCounters = { samples: 0, unusableSamples: 0, scaleUps: 0, scaleDowns: 0, scaleErrors: 0 };
  readonly history = new History(HISTORY_LENGTH);
  lastScaleTime: number | null = null;
  #state: State;
  #memory: LagMemory | null = null;
  readonly #delay = new DelayTracker();
  #sample: Sample | null = null;
  #lastUsable: UsableSample | null = null;
  #decision: Decision | null = null;
  #message = 'not sampled yet';
  /** Arrivals per second of which the message speaks. */
  #told = 0;
  #problems: Problem[] = [];
  #strangerSamples = 0;
  /** Commits move although the coordinator shows no members: consumers of a protocol that the client cannot describe (KIP-848). */
  #membersHidden = false;
  /** What a request that got no answer asked for: it may be carried out yet, and is no change by anybody else. */
  #unanswered: number | null = null;
  /** The text of the profiles that it was made of: they change every five minutes, and status is asked for more often. */
  #season: { of: readonly Profile[]; text: string | null } | null = null;
  readonly #probed = new Map<string, string>();

  constructor(target: ScaleTarget) {
    this.target = target;
    const season = target.season === undefined ? null : seasonOf(target.season);
    this.#state = initialState(target.learned ?? null, season ?? undefined);
    if (season !== null) this.#season = { of: season.profiles, text: target.season ?? null };
  }

  /** Takes one look in and decides. Whether the decision may be acted on is for `mayAct` to say. */
  step(at: number, reading: GroupReading, cluster: ClusterView): Decision {
    this.#recognizeOwnChange(cluster);
    const sample = this.#judge(at, reading, cluster);
    const manual = this.#manualChange(cluster);
    const before = this.#shown();
    const { state, decision } = decide(this.#state, sample, this.target.policy);
    this.#state = this.mayAct(cluster) ? state : notActed(state, cluster.deployment);
    this.#sample = sample;
    if (sample.usable) this.#lastUsable = sample;
    this.#decision = cluster.rivals.length > 0 && this.target.policy.mode === 'builtin' ? this.#yielded(decision, cluster) : decision;
    this.counters.samples++;
    if (!sample.usable) this.counters.unusableSamples++;
    this.#problems = this.#findProblems(sample, cluster, manual);
    this.#tell(before, this.#decision.message);
    this.#record(at, sample, this.#decision);
    return this.#decision;
  }

  /** The sentence stays as long as it is about right: figures that wander would have the status written for ever. */
  #tell(before: string, message: string): void {
    const { arrival } = this.#state.estimate;
    if (before === this.#shown() && !isFarFrom(arrival, this.#told)) return;
    this.#message = message;
    this.#told = arrival;
  }

  /** Whether the last decision is the operator's to carry out. */
  mayAct(cluster: ClusterView): boolean {
    const alone = cluster.rivals.length === 0 && cluster.rivalsUnknown === undefined;
    return this.target.policy.mode === 'builtin' && alone && validatePolicy(this.target.policy).length === 0;
  }

  /** Partitions whose lag has stood still so long that it may hold nothing readable; each state of them is named once. */
  suspects(): Suspect[] {
    if (this.#memory === null) return [];
    const fresh = stillPartitions(this.#memory).filter(({ name, position, end }) => this.#probed.get(name) !== `${position}-${end}`);
    for (const { name, position, end } of fresh) this.#probed.set(name, `${position}-${end}`);
    return fresh.map(({ name, topic, partition, position }) => ({ name, topic, partition, position }));
  }

  /** Nothing readable is left in these partitions: their lag counts as none until they change. */
  foundEmpty(names: ReadonlySet<string>, probed: readonly Suspect[]): void {
    if (this.#memory === null) return;
    const unmoved = probed.filter(({ name, position }) =>
      this.#memory?.partitions.some((one) => one.name === name && one.position === position),
    );
    this.#memory = markEmpty(this.#memory, new Set(unmoved.map(({ name }) => name).filter((name) => names.has(name))));
  }

  /** The decision was carried out. */
  scaled(at: number, from: number, to: number): void {
    this.lastScaleTime = at;
    if (to > from) this.counters.scaleUps++;
    else this.counters.scaleDowns++;
  }

  /**
   * The decision could not be carried out: the Deployment still has `replicas`. @param unanswered what was asked for by a request that got no
   * answer, and may be carried out later; null when it was refused
   */
  failed(replicas: number, message: string, unanswered: number | null): void {
    this.counters.scaleErrors++;
    this.#unanswered = unanswered;
    this.#state = notActed(this.#state, { replicas });
    this.#problems = [...this.#problems, { type: 'ScaleFailed', message }];
  }

  /** The problems of the last step. */
  get problems(): readonly Problem[] {
    return this.#problems;
  }

  /** Changes only when a person would see another situation: not with every figure. */
  fingerprint(): string {
    return `${this.#shown()} ${this.#told} ${this.#problems.map(({ type }) => type).join()} ${this.#lastUsable?.group.state}`;
  }

  status(): ConsumerGroupStatus {
    const { target } = this;
    const sample = this.#sample;
    const seen = sample?.usable === true ? sample : null;
    const { estimate } = this.#state;
    const deployment = sample?.deployment ?? null;
    return {
      name: target.group,
      topics: target.topics,
      namespace: target.namespace,
      deployment: target.deployment,
      lag: seen?.totalLag ?? null,
      unusable: sample?.usable === false ? sample.reason : null,
      delaySeconds: seen?.delaySeconds ?? null,
      arrivalRate: seen === null ? null : estimate.arrival,
      throughput: seen === null ? null : estimate.throughput,
      ratePerReplica: estimate.learned?.ratePerReplica ?? null,
      partitions: this.#lastUsable?.partitions.length ?? 0,
      members: this.#lastUsable?.group.members ?? 0,
      groupState: seen?.group.state ?? 'Unknown',
      replicas: deployment?.replicas ?? null,
      readyReplicas: deployment?.ready ?? null,
      desiredReplicas: this.#decision?.replicas ?? deployment?.replicas ?? target.policy.minReplicas,
      reason: this.#decision?.reason ?? 'Starting',
      message: this.#message,
      problems: [...this.#problems],
      learned: estimate.learned,
      season: this.#seasonText(),
      lastSampleTime: this.#lastUsable?.at ?? null,
      lastScaleTime: this.lastScaleTime,
      counters: { ...this.counters },
    };
  }

  /** The last hour's decisions, and what they were made for. */
  recording(): GroupRecording {
    const { group, topics, deployment, policy } = this.target;
    const { learned, partitionArrival } = this.#state.estimate;
    const total = sum(partitionArrival);
    const shares = (this.#lastUsable?.partitions ?? []).map((_, index) => (total > 0 ? (partitionArrival[index] ?? 0) / total : 0));
    return { group, topics, deployment, policy, learned, shares, decisions: this.history.all() };
  }

  #seasonText(): string | null {
    const { season } = this.#state.estimate;
    const bin = lastBin(season);
    if (bin !== null && this.#season?.of !== season.profiles) this.#season = { of: season.profiles, text: seasonText(season, bin) };
    return this.#season?.text ?? null;
  }

  #recognizeOwnChange({ deployment }: ClusterView): void {
    if (this.#unanswered === null || deployment?.replicas !== this.#unanswered) return;
    this.#state = { ...this.#state, expected: this.#unanswered };
    this.#unanswered = null;
  }

  #judge(at: number, reading: GroupReading, cluster: ClusterView): Sample {
    const { deployment } = cluster;
    if (!reading.ok) return unusable({ at, deployment }, reading.reason, reading.message);
    if (deployment === null) {
      return unusable(
        { at, deployment },
        'DeploymentUnknown',
        cluster.failure ?? `there is no ${(this.target.kind ?? DEPLOYMENT).kind} ${this.target.namespace}/${this.target.deployment}`,
      );
    }
    const { memory, sample } = toSample(this.#memory, {
      at,
      offsets: reading.offsets,
      group: reading.group,
      owners: reading.owners,
      deployment,
    });
    this.#memory = memory;
    if (!sample.usable) {
      if (sample.reason === 'OffsetsJumped') this.#delay.reset();
      return sample;
    }
    const stranger = sample.group.members === 0 && deployment.ready > 0 && reading.offsets.every(({ committed }) => committed === -1);
    this.#strangerSamples = stranger ? this.#strangerSamples + 1 : 0;
    if (this.#strangerSamples >= STRANGER_SAMPLES) return unusable({ at, deployment }, 'UnknownGroup', this.#stranger());
    return { ...this.#withHiddenMembers(sample), delaySeconds: memory === null ? null : this.#delay.update(memory) };
  }

  /** Members that cannot be described are counted by the pods. Rebalances do not show then, and no member's own rate does. */
  #withHiddenMembers(sample: UsableSample): UsableSample {
    const { ready } = sample.deployment;
    const hidden = sample.group.members === 0 && ready > 0 && (this.#membersHidden || sample.progress.some((count) => count > 0));
    this.#membersHidden = hidden;
    return hidden ? { ...sample, group: { state: 'Stable', members: ready }, owners: null } : sample;
  }

  /** Another scaler's changes are told by its name. */
  #manualChange({ deployment, rivals }: ClusterView): Problem | null {
    const { expected } = this.#state;
    if (rivals.length > 0 || this.target.policy.mode !== 'builtin') return null;
    if (deployment === null || expected === null || expected === deployment.replicas) return null;
    return {
      type: 'ManualChange',
      message: `another client changed replicas from ${expected} to ${deployment.replicas}; the operator starts from ${deployment.replicas} and may scale again after scaleDownWindow`,
    };
  }

  #findProblems(sample: Sample, cluster: ClusterView, manual: Problem | null): Problem[] {
    const { policy } = this.target;
    const problems: Problem[] = validatePolicy(policy).map(({ message }) => ({ type: 'PolicyInvalid', message }));
    if (cluster.rivals.length > 0 && policy.mode === 'builtin')
      problems.push({ type: 'ForeignScaler', message: this.#rivalry(cluster.rivals) });
    if (cluster.rivalsUnknown !== undefined && policy.mode === 'builtin')
      problems.push({ type: 'ScalersUnknown', message: cluster.rivalsUnknown });
    if (manual !== null) problems.push(manual);
    if (!sample.usable)
      problems.push({ type: TOLD_APART.find((reason) => reason === sample.reason) ?? 'LagUnknown', message: sample.message });
    const reason = this.#decision?.reason;
    if (reason === 'Ineffective' || reason === 'HotPartition' || reason === 'NoProgress')
      problems.push({ type: reason, message: this.#decision?.message ?? '' });
    const { wanted, delaySeconds } = this.#decision?.inputs ?? { wanted: 0, delaySeconds: null };
    if (sample.usable && wanted > policy.maxReplicas && (delaySeconds ?? 0) > policy.maxDelaySeconds) {
      problems.push({
        type: 'AtMaximum',
        message: `events wait longer than ${policy.maxDelaySeconds} s and maxReplicas is ${policy.maxReplicas}`,
      });
    }
    return problems;
  }

  /** What lies in the topics says nothing about pods that read as another group: that is no lag of theirs. */
  #stranger(): string {
    return `pods are ready but the group ${this.target.group} has neither members nor commits; check the name of the group`;
  }

  #rivalry(rivals: readonly string[]): string {
    const { kind } = this.target.kind ?? DEPLOYMENT;
    return `${rivals.join(', ')} scales the same ${kind}: the operator does not; delete it or set mode: fixed`;
  }

  #yielded(decision: Decision, cluster: ClusterView): Decision {
    const replicas = cluster.deployment?.replicas ?? decision.replicas;
    return { ...decision, replicas, reason: 'ForeignScaler', message: this.#rivalry(cluster.rivals) };
  }

  #record(at: number, sample: Sample, decision: Decision): void {
    this.history.push({
      at,
      usable: sample.usable,
      ...decision.inputs,
      arrivalNow: sample.usable && sample.seconds > 0 ? sum(sample.arrived) / sample.seconds : null,
      members: sample.usable ? sample.group.members : 0,
      from: sample.deployment?.replicas ?? decision.replicas,
      to: decision.replicas,
      reason: decision.reason,
      message: this.#message,
    });
  }

  #shown(): string {
    return `${this.#decision?.reason} ${this.#decision?.replicas} ${this.#sample?.deployment?.replicas} ${this.#sample?.usable}`;
  }
}

/** More than twice the other one, and more than one beyond that. */
function isFarFrom(one: number, other: number): boolean {
  return Math.max(one, other) > 2 * Math.min(one, other) + 1;
}

/** The state after a decision that is not carried out: the Deployment keeps what it has, and nobody is waited for. */
function notActed(state: State, deployment: Pick<DeploymentView, 'replicas'> | null): State {
  return { ...state, expected: deployment?.replicas ?? state.expected, joining: null, trial: null };
}
