/** Sends events at a chosen rate to the platform's Kafka from outside the cluster, and samples the group's offsets from there. */
import { randomInt, randomUUIDv7 } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { Partitioners, type Admin, type Kafka, type Producer } from 'kafkajs';
import { cloudEventHeaders, type InterestTransaction } from '../../workloads/shared/contracts/interest-transaction.ts';
import type { Account } from '../../local/src/demo/platform.ts';
import type { GroupSample } from './figures.ts';

export const TOPIC = 'interest.transaction.v1';
export const GROUP = 'interest-batch';

const PARTITIONS = 12;
const partitionFor = Partitioners.DefaultPartitioner();

const MOST_PER_REQUEST = 1000;
const TICK_MS = 100;
const SOURCE = '/tests/e2e';

/** What was sent of a load. */
export interface Sent {
  /** Epoch milliseconds of the first acknowledgement. */
  readonly firstAt: number;
  readonly count: number;
}

/** Sends random events for some accounts. */
export class Load {
  readonly #producer: Producer;
  readonly #accounts: readonly Account[];

  constructor(producer: Producer, accounts: readonly Account[]) {
    this.#producer = producer;
    this.#accounts = accounts;
  }

  /** The same load on the accounts of one partition alone. */
  onOnePartition(): Load {
    return new Load(
      this.#producer,
      this.#accounts.filter(({ id }) => partitionOf(id) === 0),
    );
  }

  /** Sends one event; resolves to when it was acknowledged, epoch milliseconds. */
  async one(): Promise<number> {
    await this.#send(1);
    return Date.now();
  }

  /**
   * Sends `perSecond` events a second for `seconds`, or until `enough` says so; what Kafka held up is caught up on.
   * @param onFirst called when the first events are acknowledged
   */
  async flow(perSecond: number, seconds: number, { enough = () => false, onFirst = () => undefined }: FlowOptions = {}): Promise<Sent> {
    const started = Date.now();
    const total = perSecond * seconds;
    let count = 0;
    let firstAt = 0;
    while (count < total && !enough()) {
      const due = Math.min(total, Math.ceil((perSecond * (Date.now() - started + TICK_MS)) / 1000)) - count;
      if (due > 0) await this.#send(due);
      count += Math.max(0, due);
      if (firstAt === 0) onFirst((firstAt = Date.now()));
      const ahead = started + (count / perSecond) * 1000 - TICK_MS - Date.now();
      if (ahead > 0) await pause(ahead);
    }
    return { firstAt, count };
  }

  async #send(count: number): Promise<void> {
    const now = new Date();
    // A broker refuses a batch of more than 1 MiB: on a busy machine, what is due for one partition can exceed that.
    for (let sent = 0; sent < count; sent += MOST_PER_REQUEST) {
      const messages = Array.from({ length: Math.min(MOST_PER_REQUEST, count - sent) }, () => this.#record(now));
      await this.#producer.send({ topic: TOPIC, acks: -1, messages });
    }
  }

  #record(now: Date) {
    const account = this.#accounts[randomInt(this.#accounts.length)];
    if (account === undefined) throw new Error('there are no accounts to send events for');
    const event: InterestTransaction = {
      id: randomUUIDv7(),
      accountId: account.id,
      currency: account.currency,
      days: 1 + randomInt(31),
      valueDate: now.toISOString().slice(0, 10),
    };
    return { key: event.accountId, value: JSON.stringify(event), headers: cloudEventHeaders(event, SOURCE, now.toISOString()) };
  }
}

/** Where a key goes, by the partitioner that the producer uses. */
function partitionOf(key: string): number {
  const partitionMetadata = Array.from({ length: PARTITIONS }, (_, partitionId) => ({
    partitionId,
    partitionErrorCode: 0,
    leader: 0,
    replicas: [0],
    isr: [0],
  }));
  return partitionFor({ topic: TOPIC, partitionMetadata, message: { key, value: null } });
}

interface FlowOptions {
  readonly enough?: () => boolean;
  readonly onFirst?: (at: number) => void;
}

/** Samples the group four times a second until it is stopped, and keeps the samples. A sample that fails is omitted. */
export class GroupRecorder {
  readonly samples: GroupSample[] = [];
  readonly #kafka: Kafka;
  #running = true;
  readonly #loop: Promise<void>;

  constructor(kafka: Kafka) {
    this.#kafka = kafka;
    this.#loop = this.#record();
  }

  /** Lag of the group at the last sample; Infinity before the first. */
  get lag(): number {
    const last = this.samples.at(-1);
    return last === undefined ? Infinity : last.end.reduce((sum, end, index) => sum + end - (last.committed[index] ?? 0), 0);
  }

  /** Time of the last sample, epoch milliseconds; 0 before the first. */
  get sampledAt(): number {
    return this.samples.at(-1)?.at ?? 0;
  }

  /** Stops sampling; resolves to all samples. */
  async stop(): Promise<readonly GroupSample[]> {
    this.#running = false;
    await this.#loop;
    return this.samples;
  }

  async #record(): Promise<void> {
    let admin: Admin | undefined;
    while (this.#running) {
      const started = Date.now();
      try {
        admin ??= await connected(this.#kafka);
        this.samples.push(await sample(admin));
      } catch {
        await admin?.disconnect().catch(() => undefined);
        admin = undefined;
      }
      await pause(Math.max(0, started + SAMPLE_MS - Date.now()));
    }
    await admin?.disconnect().catch(() => undefined);
  }
}

const SAMPLE_MS = 250;

async function connected(kafka: Kafka): Promise<Admin> {
  const admin = kafka.admin({ retry: { retries: 0 } });
  await admin.connect();
  return admin;
}

/** Commits before ends: a commit that is read after the end might lie beyond it. */
async function sample(admin: Admin): Promise<GroupSample> {
  const [[commits], { groups }] = await Promise.all([
    admin.fetchOffsets({ groupId: GROUP, topics: [TOPIC] }),
    admin.describeGroups([GROUP]),
  ]);
  const ends = await admin.fetchTopicOffsets(TOPIC);
  const committed = new Map(commits?.partitions.map(({ partition, offset }) => [partition, Math.max(0, Number(offset))]));
  const sorted = ends.toSorted((a, b) => a.partition - b.partition);
  return {
    at: Date.now(),
    end: sorted.map(({ high }) => Number(high)),
    committed: sorted.map(({ partition }) => committed.get(partition) ?? 0),
    stable: groups[0]?.state === 'Stable' || groups[0]?.state === 'Empty',
    members: (groups[0]?.members ?? []).map(({ memberId }) => memberId).toSorted(),
  };
}
