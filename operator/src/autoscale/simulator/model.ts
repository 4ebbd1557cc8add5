/**
 * A consumer group in steps of one second: partitions, pods that start, join and leave, rebalances that stop everybody, a database that may
 * be the limit. Amounts are continuous. Calibrated against a measured run, see calibration.ts.
 */
import { randomFrom } from './random.ts';
import type { Random } from './random.ts';
import type { Trace } from './traces.ts';

/** What the model of the consumers assumes; seconds. */
export interface GroupOptions {
  /** From the change of replicas until the pod asks to join the group: uniform between the two. */
  startup: readonly [number, number];
  /** How long a change of members stops the whole group: uniform between the two. */
  pause: readonly [number, number];
  /** Mean time that a message is worked on: all the lag that an unsaturated consumer shows between two commits. */
  inFlight: number;
  /** Seconds between two commits of a member where the trace does not say; within the second when left out. */
  commitSeconds?: number;
}

/** The values that reproduce the measured run. */
export const CALIBRATED: GroupOptions = { startup: [2, 4], pause: [0.5, 1], inFlight: 0.05 };

/** The work in flight comes and goes with the batches: deviation from one second to the next, as a share of its mean. */
const IN_FLIGHT_SCATTER = 0.5;
/** A pod that was told to go still costs for this long, seconds. */
const TERMINATION_SECONDS = 1;
/** After the brokers return the group has to find its coordinator and form anew, seconds. */
const REFORM_SECONDS = 3;
/** A group is given so long after the end of its trace to process what is left, seconds. */
export const DRAIN_SECONDS = 1800;
/** Producers deliver what they held back during an outage within this time, seconds. */
const CATCH_UP_SECONDS = 20;

interface Pod {
  joinsAt: number;
  member: boolean;
  /** Version of the Deployment that it belongs to. */
  version: number;
  /** Second of its next commit. */
  commitsAt: number;
}

/** Which member owns each partition, and the partitions of each member. */
interface Assignment {
  owners: readonly number[];
  of: readonly (readonly number[])[];
}

/** Sums over a run; lag in messages, time in seconds. */
export interface Totals {
  lagIntegral: number;
  worstLag: number;
  worstDelay: number;
  secondsAboveMaxDelay: number;
  podSeconds: number;
  pauseSeconds: number;
  rebalances: number;
  /** Arrivals that the group processed. */
  processed: number;
  lost: number;
}

/** One simulated group. Offsets are fluid and count from the beginning of the trace's log. */
export class GroupModel {
  readonly end: Float64Array;
  readonly committed: Float64Array;
  readonly logStart: Float64Array;
  readonly totals: Totals = {
    lagIntegral: 0,
    worstLag: 0,
    worstDelay: 0,
    secondsAboveMaxDelay: 0,
    podSeconds: 0,
    pauseSeconds: 0,
    rebalances: 0,
    processed: 0,
    lost: 0,
  };
  /** Seconds since the beginning. */
  time = 0;
  replicas: number;
  /** Messages waiting and seconds the oldest has waited, at the end of the last second. */
  lag = 0;
  delay = 0;
  /** Messages that arrived in the last second. */
  arrivals = 0;
  brokerDown = false;
  readonly #trace: Trace;
  readonly #options: GroupOptions;
  readonly #random: Random;
  readonly #share: Float64Array;
  readonly #position: Float64Array;
  readonly #arrived: Float64Array;
  /** Ends of every partition at the end of every second, for delay and retention. */
  readonly #ends: Float64Array;
  readonly #oldest: Int32Array;
  #pods: Pod[] = [];
  #leaving: number[] = [];
  #members = 0;
  readonly #assignments = new Map<number, Assignment>();
  #pauseUntil = 0;
  #version = 0;
  #held = 0;
  #jitter = 1;
  #inFlight: number;
  readonly #commitSeconds: number | undefined;

  constructor(trace: Trace, options: GroupOptions, seed: number) {
    const { partitions } = trace;
    this.#trace = trace;
    this.#options = options;
    this.#random = randomFrom(seed);
    this.#commitSeconds = trace.commitSeconds ?? options.commitSeconds;
    this.#inFlight = options.inFlight;
    this.#share = shares(trace);
    this.end = new Float64Array(partitions).fill((trace.logStart ?? 0) + (trace.backlog ?? 0) / partitions);
    this.logStart = new Float64Array(partitions).fill(trace.logStart ?? 0);
    this.committed = new Float64Array(partitions).fill(trace.neverCommitted === true ? -1 : (trace.logStart ?? 0));
    this.#position = new Float64Array(partitions).fill(trace.logStart ?? 0);
    this.#arrived = new Float64Array(partitions);
    this.#ends = new Float64Array(partitions * (trace.seconds + DRAIN_SECONDS + 1));
    this.#ends.set(this.end);
    this.#oldest = new Int32Array(partitions);
    this.replicas = trace.startReplicas ?? trace.minReplicas;
    for (let pod = 0; pod < this.replicas; pod++)
      this.#pods.push({ joinsAt: 0, member: true, version: 0, commitsAt: this.#firstCommit(0) });
    this.#members = this.replicas;
  }

  /** Pods that are there and have joined. */
  get ready(): number {
    return this.#members;
  }

  /** Members of the group: the threads of all pods that have joined. */
  get members(): number {
    return this.#members * (this.#trace.membersPerReplica ?? 1);
  }

  /** Pods of the old version are left. */
  get rollingOut(): boolean {
    return this.#pods.some(({ version }) => version < this.#version);
  }

  /** Version of the pods' template. */
  get version(): number {
    return this.#version;
  }

  get rebalancing(): boolean {
    return this.time < this.#pauseUntil;
  }

  /** Null while the group rebalances or has no members. */
  owners(): readonly number[] | null {
    if (this.rebalancing || this.#members === 0) return null;
    return this.#assignment().owners;
  }

  #assignment(): Assignment {
    const { members } = this;
    let held = this.#assignments.get(members);
    if (held === undefined) {
      held = assign(this.#trace, members);
      this.#assignments.set(members, held);
    }
    return held;
  }

  /** Asks for another number of replicas. The newest pods go first. */
  scale(replicas: number): void {
    this.replicas = replicas;
    while (this.#pods.length > replicas) this.#remove(this.#pods.length - 1);
    while (this.#pods.length < replicas) this.#create();
  }

  /** One second. */
  step(): void {
    this.time++;
    this.#broker();
    this.#rollout();
    this.#join();
    this.#arrive();
    this.#inFlight = this.#options.inFlight * Math.max(0, 1 + IN_FLIGHT_SCATTER * this.#random.normal());
    if (!this.brokerDown && this.time > this.#pauseUntil) this.#process();
    this.#retain();
    this.#account();
  }

  #broker(): void {
    const down = this.#trace.brokerDown?.(this.time) ?? false;
    if (this.brokerDown && !down) this.#pauseUntil = Math.max(this.#pauseUntil, this.time + REFORM_SECONDS);
    this.brokerDown = down;
  }

  /** A rolling update: one new pod at a time, and an old one goes when the new one has joined. */
  #rollout(): void {
    if (this.#trace.rolloutAt === this.time) this.#version++;
    if (this.#version === 0) return;
    const old = this.#pods.findIndex(({ version }) => version < this.#version);
    if (old < 0) return;
    if (this.#pods.some(({ member }) => !member)) return;
    if (this.#pods.length > this.replicas) this.#remove(old);
    else this.#create();
  }

  #create(): void {
    const [least, most] = this.#options.startup;
    const joinsAt = this.time + least + this.#random.uniform() * (most - least);
    this.#pods.push({ joinsAt, member: false, version: this.#version, commitsAt: this.#firstCommit(joinsAt) });
  }

  #remove(index: number): void {
    const [pod] = this.#pods.splice(index, 1);
    this.#leaving.push(this.time + TERMINATION_SECONDS);
    if (pod?.member === true) this.#rebalance();
  }

  #join(): void {
    if (this.brokerDown) return;
    for (const pod of this.#pods) {
      if (pod.member || pod.joinsAt > this.time) continue;
      pod.member = true;
      this.#rebalance();
    }
  }

  /** Pods that start together do not commit together: each has a phase of its own. */
  #firstCommit(from: number): number {
    const commitSeconds = this.#commitSeconds;
    return commitSeconds === undefined ? 0 : from + this.#random.uniform() * commitSeconds;
  }

  /** Changes of members within one pause are one rebalance. Members commit before they give their partitions up. */
  #rebalance(): void {
    this.committed.set(this.#position.map((position, partition) => this.#committable(partition, position)));
    const members = this.#pods.reduce((count, { member }) => count + (member ? 1 : 0), 0);
    const alone = this.#members === 0 || members === 0;
    this.#members = members;
    const [least, most] = this.#options.pause;
    const seconds = alone ? 0 : least + this.#random.uniform() * (most - least);
    if (this.time >= this.#pauseUntil) this.totals.rebalances++;
    this.#pauseUntil = Math.max(this.#pauseUntil, this.time + seconds);
  }

  #arrive(): void {
    const trace = this.#trace;
    if (trace.noise !== undefined) this.#jitter = Math.max(0, 1 + trace.noise * this.#random.normal());
    const offered = this.time > trace.seconds ? 0 : trace.arrivals(this.time) * this.#jitter;
    if (this.brokerDown) {
      this.#held += offered;
      this.#arrived.fill(0);
      this.arrivals = 0;
      return;
    }
    const late = Math.min(this.#held, Math.max(this.#held / CATCH_UP_SECONDS, offered));
    this.#held -= late;
    this.arrivals = offered + late;
    for (let partition = 0; partition < trace.partitions; partition++) {
      const count = this.arrivals * (this.#share[partition] ?? 0);
      this.#arrived[partition] = count;
      this.end[partition] = (this.end[partition] ?? 0) + count;
    }
  }

  #process(): void {
    if (this.#members === 0) return;
    const limit = this.#trace.sharedLimit?.(this.time) ?? Infinity;
    const { of } = this.#assignment();
    const own = this.#memberRates();
    const fair = this.#fairRate(own, of, limit);
    for (const [member, partitions] of of.entries()) this.#processMember(partitions, Math.min(own[member] ?? 0, fair));
    this.#commit(of);
  }

  /** Messages per second of each member, pod by pod: an old and a new version may differ. */
  #memberRates(): number[] {
    const { ratePerReplica, rate, membersPerReplica: each = 1 } = this.#trace;
    const rates: number[] = [];
    for (const { member, version } of this.#pods) {
      if (!member) continue;
      const own = (rate?.(version, this.time) ?? ratePerReplica) / each;
      for (let thread = 0; thread < each; thread++) rates.push(own);
    }
    return rates;
  }

  /** What one busy member gets when all share a limit: members with less work leave theirs to the others. */
  #fairRate(own: readonly number[], of: Assignment['of'], limit: number): number {
    if (own.reduce((total, one) => total + one, 0) <= limit) return Infinity;
    const demands = own.map((rate, member) => Math.min(rate, this.#waiting(of[member] ?? [])));
    demands.sort((a, b) => a - b);
    let left = limit;
    for (const [index, demand] of demands.entries()) {
      const fair = left / (demands.length - index);
      if (demand > fair) return fair;
      left -= demand;
    }
    return Infinity;
  }

  #waiting(partitions: readonly number[]): number {
    let waiting = 0;
    for (const partition of partitions) waiting += this.#available(partition);
    return waiting;
  }

  #available(partition: number): number {
    const end = (this.end[partition] ?? 0) - (this.#arrived[partition] ?? 0) * this.#inFlight;
    return Math.max(0, end - (this.#position[partition] ?? 0));
  }

  /** A member with too much to do serves its partitions in proportion to what waits in them, as fetches do. */
  #processMember(partitions: readonly number[], rate: number): void {
    const waiting = this.#waiting(partitions);
    const share = waiting > rate ? rate / waiting : 1;
    for (const partition of partitions) {
      const count = this.#available(partition) * share;
      this.#position[partition] = (this.#position[partition] ?? 0) + count;
      this.totals.processed += count;
    }
  }

  /** Without a commit interval what was processed is committed within the second. */
  #commit(of: Assignment['of']): void {
    const { membersPerReplica: each = 1 } = this.#trace;
    const commitSeconds = this.#commitSeconds;
    let first = 0;
    for (const pod of this.#pods) {
      if (!pod.member) continue;
      if (commitSeconds === undefined || pod.commitsAt <= this.time) {
        for (let member = first; member < first + each; member++)
          for (const partition of of[member] ?? []) this.committed[partition] = this.#position[partition] ?? 0;
        while (commitSeconds !== undefined && pod.commitsAt <= this.time) pod.commitsAt += commitSeconds;
      }
      first += each;
    }
  }

  /** A group that has processed nothing of a partition has nothing to commit there. */
  #committable(partition: number, position: number): number {
    const committed = this.committed[partition] ?? -1;
    return committed < 0 && position <= (this.#trace.logStart ?? 0) ? committed : position;
  }

  #retain(): void {
    const { retentionSeconds, partitions } = this.#trace;
    if (retentionSeconds === undefined || this.time <= retentionSeconds) return;
    const row = (this.time - retentionSeconds) * partitions;
    for (let partition = 0; partition < partitions; partition++) {
      const start = this.#ends[row + partition] ?? 0;
      const position = this.#position[partition] ?? 0;
      this.logStart[partition] = start;
      if (start > position) {
        this.totals.lost += start - position;
        this.#position[partition] = start;
      }
    }
  }

  #account(): void {
    const { partitions, maxDelay } = this.#trace;
    const row = this.time * partitions;
    let lag = 0;
    let oldest = this.time;
    for (let partition = 0; partition < partitions; partition++) {
      const end = this.end[partition] ?? 0;
      const position = this.#position[partition] ?? 0;
      this.#ends[row + partition] = end;
      if (end <= position) continue;
      lag += end - position;
      let second = this.#oldest[partition] ?? 0;
      while (second < this.time && (this.#ends[second * partitions + partition] ?? 0) <= position) second++;
      this.#oldest[partition] = second;
      if (second < oldest) oldest = second;
    }
    this.lag = lag;
    this.delay = this.time - oldest;
    this.#leaving = this.#leaving.filter((until) => until > this.time);
    const { totals } = this;
    totals.lagIntegral += lag;
    totals.worstLag = Math.max(totals.worstLag, lag);
    totals.worstDelay = Math.max(totals.worstDelay, this.delay);
    totals.podSeconds += this.#pods.length + this.#leaving.length;
    if (this.delay > maxDelay) totals.secondsAboveMaxDelay++;
    if (this.time <= this.#pauseUntil) totals.pauseSeconds++;
  }
}

/** Partitions go round the members; by range each topic is cut into one piece for each of its members, the larger pieces first. */
function assign({ partitions, topics, range }: Trace, members: number): Assignment {
  const owners: number[] = [];
  for (const count of range === true ? (topics ?? [partitions]) : [partitions]) {
    for (let partition = 0; partition < count; partition++)
      owners.push(range === true ? rangeOwner(partition, count, members) : partition % members);
  }
  const of = Array.from({ length: members }, () => [] as number[]);
  for (const [partition, owner] of owners.entries()) of[owner]?.push(partition);
  return { owners, of };
}

function rangeOwner(partition: number, partitions: number, members: number): number {
  const least = Math.floor(partitions / members);
  const larger = partitions % members;
  const inLarger = larger * (least + 1);
  return partition < inLarger ? Math.floor(partition / (least + 1)) : larger + Math.floor((partition - inLarger) / Math.max(1, least));
}

function shares(trace: Trace): Float64Array {
  const weights = Float64Array.from({ length: trace.partitions }, (_, partition) => trace.weight?.(partition) ?? 1);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}
