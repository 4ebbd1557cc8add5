/** The loads that policies are compared on. One replica does 200 messages a second throughout, unless a shared limit holds it back. */

export interface Trace {
  name: string;
  /** What happens, for the table's legend. */
  about: string;
  seconds: number;
  partitions: number;
  ratePerReplica: number;
  minReplicas: number;
  maxReplicas: number;
  /** The goal, seconds. */
  maxDelay: number;
  /** Messages per second offered in second `t`. */
  arrivals: (t: number) => number;
  /** Deviation of the arrivals from second to second, as a share. */
  noise?: number;
  /** Relative arrivals of a partition; all alike when left out. */
  weight?: (partition: number) => number;
  /** Messages per second that all replicas together can do at most. */
  sharedLimit?: (t: number) => number;
  brokerDown?: (t: number) => boolean;
  /** Second in which a new version begins to be rolled out. */
  rolloutAt?: number;
  retentionSeconds?: number;
  /** Messages per second of one replica of a version of its Deployment (0 before the rollout, 1 after it); `ratePerReplica` when left out. */
  rate?: (version: number, t: number) => number;
  /** Seconds between two commits of a member; within the second when left out. */
  commitSeconds?: number;
  /** Members of the group in each pod, which share its rate. */
  membersPerReplica?: number;
  /** Replicas at the beginning; `minReplicas` when left out. */
  startReplicas?: number;
  /** Partitions of each topic, where there are several; their sum is `partitions`. */
  topics?: readonly number[];
  /** Partitions are assigned by topic and range, as by Java's default assignor, and not in turn. */
  range?: boolean;
  /** Where the log begins, and how much is in it at the start. */
  logStart?: number;
  backlog?: number;
  neverCommitted?: boolean;
}

const BASE = { partitions: 12, ratePerReplica: 200, minReplicas: 1, maxReplicas: 12, maxDelay: 30 };

const between = (t: number, from: number, to: number) => t >= from && t < to;

/** The load of the measured run. */
export const MEASURED_STEP: Trace = {
  ...BASE,
  name: 'measured step',
  about: '100/s, from second 60 to 240 1,600/s, then 100/s',
  seconds: 480,
  arrivals: (t) => (between(t, 60, 240) ? 1600 : 100),
};

export const TRACES: readonly Trace[] = [
  {
    ...BASE,
    name: 'step',
    about: '100/s, from second 120 to 720 1,000/s, then 100/s',
    seconds: 1200,
    arrivals: (t) => (between(t, 120, 720) ? 1000 : 100),
  },
  {
    ...BASE,
    name: 'ramp',
    about: 'from 100/s up to 1,800/s over ten minutes, and back',
    seconds: 1800,
    arrivals: (t) => 100 + 1700 * Math.max(0, 1 - Math.abs(t - 900) / 600),
  },
  {
    ...BASE,
    name: 'spike',
    about: '100/s with two bursts of 3,000/s for 20 s',
    seconds: 1200,
    arrivals: (t) => (between(t, 200, 220) || between(t, 700, 720) ? 3000 : 100),
  },
  {
    ...BASE,
    name: 'sawtooth',
    about: 'every three minutes from 100/s up to 1,500/s and at once back',
    seconds: 1800,
    arrivals: (t) => 100 + (1400 * (t % 180)) / 180,
  },
  {
    ...BASE,
    name: 'day',
    about: 'a day: 100/s at night, 1,700/s at noon, 20 % noise, a burst after lunch',
    seconds: 86_400,
    noise: 0.2,
    arrivals: (t) => 100 + 1600 * Math.sin((Math.PI * t) / 86_400) ** 4 + (between(t, 50_000, 50_120) ? 1500 : 0),
  },
  {
    ...BASE,
    name: 'steady',
    about: 'an hour of 700/s with 20 % noise',
    seconds: 3600,
    noise: 0.2,
    arrivals: () => 700,
  },
  {
    ...BASE,
    name: 'hot partition',
    about: '600/s, of which from second 120 to 720 half goes to one partition',
    seconds: 1200,
    arrivals: (t) => (between(t, 120, 720) ? 600 : 100),
    weight: (partition) => (partition === 0 ? 11 : 1),
  },
  {
    ...BASE,
    name: 'broker outage',
    about: '800/s; the brokers are away from second 300 to 420',
    seconds: 1200,
    arrivals: () => 800,
    noise: 0.05,
    brokerDown: (t) => between(t, 300, 420),
  },
  {
    ...BASE,
    name: 'slow database',
    about: '700/s from second 60; from second 300 to 600 the database does 500/s in all',
    seconds: 1500,
    arrivals: (t) => (between(t, 60, 1000) ? 700 : 100),
    sharedLimit: (t) => (between(t, 300, 600) ? 500 : 5000),
  },
  {
    ...BASE,
    name: 'retention loss',
    about: '800/s; nothing is processed from second 200 to 500 and the log keeps 120 s',
    seconds: 1200,
    arrivals: () => 800,
    sharedLimit: (t) => (between(t, 200, 500) ? 0 : 5000),
    retentionSeconds: 120,
  },
  {
    ...BASE,
    name: 'never committed',
    about: 'a new group on a log of 20,000 messages that begins at offset 500,000; 200/s',
    seconds: 900,
    arrivals: () => 150,
    neverCommitted: true,
    logStart: 500_000,
    backlog: 20_000,
  },
  {
    ...BASE,
    name: 'deployment',
    about: '900/s with 10 % noise; a new version is rolled out in second 400',
    seconds: 1200,
    arrivals: () => 900,
    noise: 0.1,
    rolloutAt: 400,
  },
  {
    ...BASE,
    name: '100 partitions',
    about: '100 partitions, up to 40 replicas: 500/s, from second 120 to 720 5,000/s',
    seconds: 1200,
    partitions: 100,
    maxReplicas: 40,
    arrivals: (t) => (between(t, 120, 720) ? 5000 : 500),
    noise: 0.1,
  },
  {
    ...BASE,
    name: '1000 partitions',
    about: '1,000 partitions, up to 100 replicas: 500/s, from second 120 to 720 12,000/s',
    seconds: 1200,
    partitions: 1000,
    maxReplicas: 100,
    arrivals: (t) => (between(t, 120, 720) ? 12_000 : 500),
    noise: 0.1,
  },
];

const RELEASED = { rolloutAt: 400, seconds: 1800 };
const COMMITTING: Omit<Trace, 'name' | 'about'> = {
  ...BASE,
  seconds: 1800,
  maxDelay: 120,
  arrivals: (t) => (between(t, 120, 1200) ? 1500 : 300),
};

/** Loads that earlier versions of the policy were wrong on. */
export const CHANGING_TRACES: readonly Trace[] = [
  {
    ...BASE,
    ...RELEASED,
    name: 'slower release',
    about: '900/s; a release in second 400 halves the rate of every pod to 100/s',
    arrivals: () => 900,
    rate: (version) => (version === 0 ? 200 : 100),
  },
  {
    ...BASE,
    ...RELEASED,
    name: 'much slower release',
    about: '500/s; a release in second 400 takes every pod from 200/s to 60/s',
    arrivals: () => 500,
    rate: (version) => (version === 0 ? 200 : 60),
  },
  {
    ...BASE,
    ...RELEASED,
    name: 'faster release',
    about: '900/s; a release in second 400 doubles the rate of every pod from 100/s to 200/s',
    arrivals: () => 900,
    rate: (version) => (version === 0 ? 100 : 200),
  },
  { ...COMMITTING, name: 'commits every 10 s', about: '300/s, from second 120 to 1200 1,500/s; maxDelay 120 s', commitSeconds: 10 },
  { ...COMMITTING, name: 'commits every 20 s', about: '300/s, from second 120 to 1200 1,500/s; maxDelay 120 s', commitSeconds: 20 },
  { ...COMMITTING, name: 'commits every 30 s', about: '300/s, from second 120 to 1200 1,500/s; maxDelay 120 s', commitSeconds: 30 },
  {
    ...BASE,
    name: 'two members a pod',
    about: '100/s, from second 120 to 720 700/s; two members in each pod',
    seconds: 1200,
    membersPerReplica: 2,
    partitions: 24,
    arrivals: (t) => (between(t, 120, 720) ? 700 : 100),
  },
  {
    ...BASE,
    name: 'three members a pod',
    about: '100/s, from second 120 to 720 1,000/s; three members in each pod',
    seconds: 1200,
    membersPerReplica: 3,
    partitions: 36,
    arrivals: (t) => (between(t, 120, 720) ? 1000 : 100),
  },
  {
    ...BASE,
    name: 'takeover',
    about: '2,200/s carried by twelve replicas of an unknown rate when the autoscaler begins',
    seconds: 900,
    startReplicas: 12,
    arrivals: () => 2200,
  },
  {
    ...BASE,
    name: 'range assignor',
    about: 'topics of 12 and 3 partitions under the range assignor, up to 20 replicas: 200/s, from second 120 to 720 1,400/s',
    seconds: 1200,
    maxReplicas: 20,
    partitions: 15,
    topics: [12, 3],
    range: true,
    arrivals: (t) => (between(t, 120, 720) ? 1400 : 200),
  },
  {
    ...BASE,
    name: 'noisy sawtooth',
    about: 'every three minutes from 100/s up to 1,500/s and at once back, 20 % noise',
    seconds: 1800,
    noise: 0.2,
    arrivals: (t) => 100 + (1400 * (t % 180)) / 180,
  },
  {
    ...BASE,
    name: 'hourly bursts',
    about: 'six hours of 100/s, with 2,000/s for two minutes in each hour; maxDelay 15 s',
    seconds: 6 * 3600,
    maxDelay: 15,
    noise: 0.1,
    arrivals: (t) => (between(t % 3600, 1230, 1350) ? 2000 : 100),
  },
];
