/**
 * Reads offsets and group membership over one kafkajs admin connection, for any number of looks at the same time. Every look has a time limit; a
 * connection that failed is replaced, so that work goes on at the first look after the brokers return.
 */
import { AssignerProtocol, Kafka, logLevel } from 'kafkajs';
import type { Admin, KafkaConfig } from 'kafkajs';
import { findEmpty } from './probe.ts';
import type { Suspect } from './probe.ts';
import { checkOnlyWaitingRequests } from './request-queue.ts';
import type { GroupState, GroupView, KafkaConnection, PartitionOffsets, UnusableReason } from './types.ts';

checkOnlyWaitingRequests();

/** What one look at a group gave: its offsets and members, or why they are not known. */
export type GroupReading = { ok: true; offsets: PartitionOffsets[]; group: GroupView; owners: number[] | null } | ReadFailure;

/** A failed look. */
export interface ReadFailure {
  ok: false;
  reason: UnusableReason;
  message: string;
}

/** A group to look at. */
export interface GroupQuery {
  group: string;
  topics: string[];
}

/** All groups are sampled within this time: less than the time between two samples. */
const SAMPLE_LIMIT_MS = 4500;
/** Time for all members at once, and for commits and ends: a request that takes longer costs its own group the sample, and no other. */
const DESCRIBE_LIMIT_MS = 1200;
const OFFSETS_LIMIT_MS = 1800;
/** The same for a group that is alone and costs no other one anything. */
const ALONE_LIMIT_MS = 2200;
const REQUEST_LIMIT_MS = 3000;
/** How often the list of topics is read anew while nothing goes wrong. */
const TOPICS_AGE_MS = 60_000;

type TopicOffsets = Map<number, { logStart: number | null; end: number | null }>;
type GroupInfo = { state: GroupState; assignor: string; members: { topics: Record<string, number[]> }[] };
type Described = ReadonlyMap<string, Settled<GroupInfo>>;

/** One admin client. When it is replaced, it is disconnected after the last look that uses it. */
interface Link {
  readonly admin: Promise<Admin>;
  /** When a group was last read in whole. */
  answeredAt: number;
  looks: number;
  retired: boolean;
}

/** A connection to the brokers of one platform, or of all that name the same ones. */
export class Sampler {
  readonly #kafka: Kafka;
  readonly #open: (kafka: Kafka) => Admin;
  #link: Link | null = null;
  #topics: { at: number; names: Set<string> } | null = null;
  #closed = false;

  /** @param open makes the client that asks the brokers; a test may pass one that hangs */
  constructor(connection: KafkaConnection, open: (kafka: Kafka) => Admin = (kafka) => kafka.admin()) {
    this.#open = open;
    const { brokers, ssl = false, ca, sasl } = connection;
    const access: KafkaConfig = { clientId: 'bss-operator', brokers, ssl: ca === undefined ? ssl : { ca: [ca] } };
    // One object per mechanism: the type of kafkajs does not take their union.
    if (sasl?.mechanism === 'plain') access.sasl = { ...sasl, mechanism: 'plain' };
    else if (sasl?.mechanism === 'scram-sha-256') access.sasl = { ...sasl, mechanism: 'scram-sha-256' };
    else if (sasl !== undefined) access.sasl = { ...sasl, mechanism: 'scram-sha-512' };
    this.#kafka = new Kafka({
      ...access,
      connectionTimeout: REQUEST_LIMIT_MS,
      authenticationTimeout: REQUEST_LIMIT_MS,
      requestTimeout: REQUEST_LIMIT_MS,
      retry: { retries: 1, initialRetryTime: 100, maxRetryTime: 500 },
      logLevel: logLevel.NOTHING,
    });
  }

  /** Looks at every group. Never rejects: what went wrong is in the readings, and one group's trouble stays its own. */
  async read(queries: readonly GroupQuery[]): Promise<Map<string, GroupReading>> {
    const begun = performance.now();
    const link = this.#use();
    link.looks++;
    try {
      return await within(SAMPLE_LIMIT_MS, this.#readAll(link, queries, begun));
    } catch (error) {
      this.#suspect(link, begun);
      const failure = failureOf(error);
      return new Map(queries.map(({ group }) => [group, failure]));
    } finally {
      link.looks--;
      if (link.retired && link.looks === 0) void disconnect(link);
    }
  }

  /** The partitions, of those asked about, that hold nothing readable from the given position on; empty when that cannot be found out. */
  async probe(suspects: readonly Suspect[]): Promise<Set<string>> {
    return findEmpty(this.#kafka, suspects);
  }

  /** Ends the connection; looks under way come back as failures. */
  async close(): Promise<void> {
    this.#closed = true;
    const link = this.#link;
    this.#link = null;
    if (link !== null) await disconnect(link);
  }

  async #readAll(link: Link, queries: readonly GroupQuery[], begun: number): Promise<Map<string, GroupReading>> {
    const admin = await link.admin;
    const existing = await this.#existingTopics(link, admin, queries);
    const known = queries.filter(({ topics }) => topics.every((topic) => existing.has(topic)));
    // Commits before ends: a commit read after the end might lie beyond it.
    const limitMs = known.length === 1 ? ALONE_LIMIT_MS : OFFSETS_LIMIT_MS;
    const [groups, ...commits] = await Promise.all([
      describe(admin, known),
      ...known.map(async (query) => settle(limitMs, admin.fetchOffsets({ groupId: query.group, topics: query.topics }))),
    ]);
    const names = [...new Set(known.flatMap(({ topics }) => topics))];
    const ends = new Map(
      await Promise.all(names.map(async (topic) => [topic, await settle(limitMs, topicOffsets(admin, topic))] as const)),
    );
    const readings = known.map((query, index) => [query.group, combine(query, groups.get(query.group), commits[index], ends)] as const);
    if (readings.some(([, reading]) => reading.ok)) link.answeredAt = performance.now();
    else if (readings.length > 0) this.#suspect(link, begun);
    if (readings.some(([, reading]) => !reading.ok)) this.#topics = null;
    if (readings.some(([, reading]) => !reading.ok && reading.reason === 'UnknownTopic')) this.#retire(link);
    const readingOf = new Map<string, GroupReading>(readings);
    for (const { group, topics } of queries) if (!readingOf.has(group)) readingOf.set(group, missing(topics, existing));
    return readingOf;
  }

  #use(): Link {
    this.#link ??= { admin: this.#connect(), answeredAt: 0, looks: 0, retired: false };
    return this.#link;
  }

  async #connect(): Promise<Admin> {
    if (this.#closed) throw new Error('the connection was closed');
    const admin = this.#open(this.#kafka);
    try {
      await admin.connect();
      return admin;
    } catch (error) {
      admin.disconnect().catch(() => undefined);
      throw error;
    }
  }

  async #existingTopics(link: Link, admin: Admin, queries: readonly GroupQuery[]): Promise<Set<string>> {
    const wanted = queries.flatMap(({ topics }) => topics);
    const held = this.#topics;
    if (held !== null && Date.now() - held.at < TOPICS_AGE_MS && wanted.every((topic) => held.names.has(topic))) return held.names;
    const names = new Set(await admin.listTopics());
    const gone = held !== null && wanted.some((topic) => held.names.has(topic) && !names.has(topic));
    if (gone) this.#retire(link);
    this.#topics = { at: Date.now(), names };
    return names;
  }

  /** A look got no answer. The connection is replaced unless another look that ended after this one began did get one. */
  #suspect(link: Link, begun: number): void {
    if (link.answeredAt < begun) this.#retire(link);
  }

  /** Among others a link that was asked for a topic which is gone: kafkajs goes on asking for it, and fails for all other topics too. */
  #retire(link: Link): void {
    link.retired = true;
    if (this.#link === link) this.#link = null;
  }
}

/** Never rejects. */
async function disconnect({ admin }: Link): Promise<void> {
  await admin.then(async (open) => open.disconnect()).catch(() => undefined);
}

/** Tells a refusal from an absence by what kafkajs threw, through its layers of wrapping. */
export function failureOf(error: unknown): ReadFailure {
  const chain = causes(error);
  const message = chain[0]?.message ?? String(error);
  const types = chain.map((one) => ('type' in one ? String(one.type) : ''));
  if (chain.some(({ name }) => name === 'KafkaJSSASLAuthenticationError') || types.includes('SASL_AUTHENTICATION_FAILED')) {
    return { ok: false, reason: 'CredentialsRefused', message: `the brokers refuse the credentials: ${message}` };
  }
  if (types.some((type) => type.endsWith('AUTHORIZATION_FAILED')))
    return { ok: false, reason: 'NotAuthorized', message: `not allowed to read offsets: ${message}` };
  if (types.includes('UNKNOWN_TOPIC_OR_PARTITION')) return { ok: false, reason: 'UnknownTopic', message };
  if (chain.some(({ name }) => name === 'KafkaJSGroupCoordinatorNotFound'))
    return {
      ok: false,
      reason: 'BrokerAway',
      message: 'no coordinator of the group was found: it is moving to another broker, or the operator has no permission to describe it',
    };
  if (types.some((type) => type.includes('COORDINATOR')))
    return { ok: false, reason: 'BrokerAway', message: `the group has no coordinator yet: ${message}` };
  return { ok: false, reason: 'BrokerAway', message: `the brokers do not answer: ${message}` };
}

function causes(error: unknown): Error[] {
  const chain: Error[] = [];
  for (let next = error; next instanceof Error && chain.length < 10; next = next.cause) chain.push(next);
  return chain;
}

function missing(topics: string[], existing: Set<string>): ReadFailure {
  const absent = topics.filter((topic) => !existing.has(topic));
  return { ok: false, reason: 'UnknownTopic', message: `no such topic: ${absent.join(', ')}` };
}

type Settled<T> = { value: T } | { failure: ReadFailure };

async function settle<T>(limitMs: number, promise: Promise<T>): Promise<Settled<T>> {
  try {
    return { value: await within(limitMs, promise) };
  } catch (error) {
    return { failure: failureOf(error) };
  }
}

async function topicOffsets(admin: Admin, topic: string): Promise<TopicOffsets> {
  const offsets = await admin.fetchTopicOffsets(topic);
  return new Map(offsets.map(({ partition, low, high }) => [partition, { logStart: offsetOf(low), end: offsetOf(high) }]));
}

/** All groups in one request for each coordinator. One group that cannot be described fails such a request, so then each is asked for alone. */
async function describe(admin: Admin, queries: readonly GroupQuery[]): Promise<Described> {
  const names = queries.map(({ group }) => group);
  if (names.length === 0) return new Map();
  const all = await settle(names.length === 1 ? ALONE_LIMIT_MS : DESCRIBE_LIMIT_MS, describeTogether(admin, names));
  if ('value' in all) return new Map(names.map((name) => [name, { value: all.value.get(name) ?? UNKNOWN_GROUP }]));
  if (names.length === 1) return new Map(names.map((name) => [name, all]));
  const alone = names.map(async (name): Promise<[string, Settled<GroupInfo>]> => {
    const one = await settle(DESCRIBE_LIMIT_MS, describeTogether(admin, [name]));
    return [name, 'failure' in one ? one : { value: one.value.get(name) ?? UNKNOWN_GROUP }];
  });
  return new Map(await Promise.all(alone));
}

const UNKNOWN_GROUP: GroupInfo = { state: 'Unknown', assignor: '', members: [] };

async function describeTogether(admin: Admin, names: string[]): Promise<Map<string, GroupInfo>> {
  const { groups } = await admin.describeGroups(names);
  return new Map(groups.map(({ groupId, state, protocol, members }) => [groupId, infoOf(state, protocol, members)]));
}

function infoOf(state: GroupState, assignor: string, members: { memberId: string; memberAssignment: Buffer }[]): GroupInfo {
  const sorted = members.toSorted((a, b) => (a.memberId < b.memberId ? -1 : 1));
  return { state, assignor, members: sorted.map(({ memberAssignment }) => ({ topics: assignmentOf(memberAssignment) })) };
}

/** A member of another protocol, or one that has no assignment yet, owns nothing that we can name. */
function assignmentOf(bytes: Buffer): Record<string, number[]> {
  if (bytes.length === 0) return {};
  try {
    return AssignerProtocol.MemberAssignment.decode(bytes)?.assignment ?? {};
  } catch {
    return {};
  }
}

type Commits = Settled<{ topic: string; partitions: { partition: number; offset: string }[] }[]>;

function combine(
  query: GroupQuery,
  described: Settled<GroupInfo> | undefined,
  commits: Commits | undefined,
  ends: Map<string, Settled<TopicOffsets>>,
): GroupReading {
  if (commits === undefined || described === undefined)
    return { ok: false, reason: 'BrokerAway', message: 'the sample was not completed in time' };
  if ('failure' in described) return described.failure;
  if ('failure' in commits) return commits.failure;
  const offsets: PartitionOffsets[] = [];
  for (const topic of query.topics) {
    const read = ends.get(topic);
    if (read === undefined) return { ok: false, reason: 'UnknownTopic', message: `no such topic: ${topic}` };
    if ('failure' in read) return read.failure;
    const committed = new Map(
      commits.value.find((one) => one.topic === topic)?.partitions.map(({ partition, offset }) => [partition, offsetOf(offset)]),
    );
    const partitions = [...new Set([...read.value.keys(), ...committed.keys()])].toSorted((a, b) => a - b);
    for (const partition of partitions) {
      const { logStart, end } = read.value.get(partition) ?? { logStart: null, end: null };
      offsets.push({ topic, partition, logStart, end, committed: committed.get(partition) ?? null });
    }
  }
  const { value: info } = described;
  const group = { state: info.state, members: info.members.length, ...(info.assignor === '' ? {} : { assignor: info.assignor }) };
  return { ok: true, offsets, group, owners: ownersOf(info, offsets) };
}

/** The number of each partition's owner among the members, in the order of their ids. */
function ownersOf(info: GroupInfo, offsets: PartitionOffsets[]): number[] | null {
  const owner = new Map<string, number>();
  for (const [index, member] of info.members.entries()) {
    for (const [topic, partitions] of Object.entries(member.topics))
      for (const partition of partitions) owner.set(`${topic}/${partition}`, index);
  }
  return owner.size === 0 ? null : offsets.map(({ topic, partition }) => owner.get(`${topic}/${partition}`) ?? -1);
}

/** Kafka sends 64-bit offsets; one beyond what a number holds exactly is as good as unreadable. */
function offsetOf(text: string): number | null {
  const offset = Number(text);
  return Number.isSafeInteger(offset) ? offset : null;
}

async function within<T>(limitMs: number, work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    reject(new Error(`no answer within ${limitMs / 1000} s`));
  }, limitMs);
  work.catch(() => undefined);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}
