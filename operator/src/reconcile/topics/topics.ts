/** Reconciles topics in the background; a pass only reads their state. */
import kafkajs, { type Admin } from 'kafkajs';
import type { KafkaConnection } from '../../autoscale/index.ts';
import { hash } from '../../platform/index.ts';
import type { Clock, Logger } from '../../runtime/index.ts';
import type { Health } from '../health/health.ts';
import { kafkaClient } from './kafka.ts';
import { describePlan, planTopics, type ExistingTopic, type TopicPlan, type WantedTopic } from './topic-plan.ts';

// kafkajs is CommonJS, and Node does not detect all of its named exports.
const { ConfigResourceTypes, KafkaJSError } = kafkajs;

export interface TopicsState {
  health: Health;
  /** One sentence for each difference that cannot be reconciled; undefined before the first check. */
  differences: string[] | undefined;
}

interface Entry {
  fingerprint: string;
  state: TopicsState;
  running: boolean;
  failures: number;
  /** Monotonic milliseconds of the next check. */
  due: number;
}

export interface TopicKeeperOptions {
  clock: Clock;
  logger: Logger;
  /** The state of the platform's topics changed. */
  onChange: (platformKey: string) => void;
  /** Topics were created or changed. */
  onEvent: (platformKey: string, message: string) => void;
}

/** Interval between checks: deleted topics are recreated within it. */
const RECHECK_MS = 5 * 60_000;
const RETRY_MS = 1_000;
const RETRY_MAX_MS = 30_000;
/** Failed attempts that are tolerated while brokers start. */
const TOLERATED_FAILURES = 5;

export class TopicKeeper {
  readonly #options: TopicKeeperOptions;
  readonly #entries = new Map<string, Entry>();

  constructor(options: TopicKeeperOptions) {
    this.#options = options;
  }

  /**
   * State of the topics at the last check. Starts a check when one is due, and does not wait for it.
   * @param wereSettled whether status reports these topics as ready: after a restart of the operator they count as healthy until the first check
   */
  ensure(platformKey: string, connection: KafkaConnection, topics: WantedTopic[], wereSettled: boolean): TopicsState {
    const entry = this.#entryFor(platformKey, hash([connection, topics]), topics, wereSettled);
    if (!entry.running && this.#options.clock.monotonic() >= entry.due) void this.#run(platformKey, entry, connection, topics);
    return entry.state;
  }

  /** Milliseconds until the next check of the platform's topics; 0 while one is in progress. */
  nextCheckMs(platformKey: string): number {
    const entry = this.#entries.get(platformKey);
    return entry === undefined || entry.running ? 0 : Math.max(0, entry.due - this.#options.clock.monotonic());
  }

  remove(platformKey: string): void {
    this.#entries.delete(platformKey);
  }

  #entryFor(platformKey: string, fingerprint: string, topics: WantedTopic[], wereSettled: boolean): Entry {
    const known = this.#entries.get(platformKey);
    if (known?.fingerprint === fingerprint) return known;
    const unknown = { healthy: false, failing: false, ready: 0, desired: topics.length, message: 'checking the topics' };
    const state = wereSettled && known === undefined ? settled(topics.length, undefined) : { health: unknown, differences: undefined };
    const entry: Entry = { fingerprint, state, running: false, failures: 0, due: 0 };
    this.#entries.set(platformKey, entry);
    return entry;
  }

  async #run(platformKey: string, entry: Entry, connection: KafkaConnection, topics: WantedTopic[]): Promise<void> {
    const { clock, logger, onChange, onEvent } = this.#options;
    entry.running = true;
    const before = JSON.stringify(entry.state);
    try {
      const plan = await reconcileTopics(connection, topics);
      const done = describePlan(plan);
      if (done !== undefined) onEvent(platformKey, done);
      entry.state = settled(topics.length, plan.differences);
      entry.failures = 0;
      entry.due = clock.monotonic() + RECHECK_MS;
    } catch (error) {
      entry.failures += 1;
      entry.due = clock.monotonic() + Math.min(RETRY_MAX_MS, RETRY_MS * 2 ** (entry.failures - 1));
      entry.state = this.#failed(entry, describeError(error, connection), topics.length);
      logger.warn({ platform: platformKey, failures: entry.failures, error: String(error) }, 'cannot reconcile the topics, retrying');
    } finally {
      entry.running = false;
    }
    const current = this.#entries.get(platformKey) === entry;
    if (current && JSON.stringify(entry.state) !== before) onChange(platformKey);
  }

  /** Healthy topics stay healthy until TOLERATED_FAILURES checks have failed. */
  #failed(entry: Entry, message: string, desired: number): TopicsState {
    const failing = entry.failures >= TOLERATED_FAILURES;
    if (entry.state.health.healthy && !failing) return entry.state;
    return { health: { healthy: false, failing, ready: 0, desired, message }, differences: entry.state.differences };
  }
}

function settled(count: number, differences: string[] | undefined): TopicsState {
  return { health: { healthy: true, failing: false, ready: count, desired: count, message: '' }, differences };
}

/** Applies the plan and returns it. Rejects when the brokers do not respond or refuse. */
async function reconcileTopics(connection: KafkaConnection, wanted: WantedTopic[]): Promise<TopicPlan> {
  const admin = kafkaClient(connection).admin();
  try {
    await admin.connect();
    const plan = planTopics(wanted, await existingTopics(admin, wanted));
    await applyPlan(admin, plan);
    return plan;
  } finally {
    await admin.disconnect().catch(() => undefined);
  }
}

async function existingTopics(admin: Admin, wanted: WantedTopic[]): Promise<ExistingTopic[]> {
  const known = new Set(await admin.listTopics());
  const names = wanted.map((topic) => topic.name).filter((name) => known.has(name));
  if (names.length === 0) return [];
  const { topics } = await admin.fetchTopicMetadata({ topics: names });
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: names.map((name) => ({ type: ConfigResourceTypes.TOPIC, name })),
  });
  return topics.map(({ name, partitions }) => {
    const entries = resources.find((resource) => resource.resourceName === name)?.configEntries ?? [];
    const own = entries.filter((config) => isOwn(config));
    return {
      name,
      partitions: partitions.length,
      overrides: Object.fromEntries(own.map((config) => [config.configName, config.configValue])),
    };
  });
}

/** Kafka's code of a config source: an override on the topic itself. */
const DYNAMIC_TOPIC_CONFIG = 1;

function isOwn(config: { configSource: number }): boolean {
  return config.configSource === DYNAMIC_TOPIC_CONFIG;
}

async function applyPlan(admin: Admin, { create, extend, alter }: TopicPlan): Promise<void> {
  // The client's own wait ends with an error if it asks a broker that has not yet learned of the topic; clients of a new topic wait for its leaders anyway.
  if (create.length > 0) await admin.createTopics({ waitForLeaders: false, topics: create.map((topic) => topicConfig(topic)) });
  if (extend.length > 0)
    await admin.createPartitions({ topicPartitions: extend.map(({ name, partitions }) => ({ topic: name, count: partitions })) });
  if (alter.length > 0)
    await admin.alterConfigs({
      validateOnly: false,
      resources: alter.map(({ name, config }) => ({ type: ConfigResourceTypes.TOPIC, name, configEntries: configEntries(config) })),
    });
}

function topicConfig({ name, partitions, replicationFactor, config }: TopicPlan['create'][number]) {
  return { topic: name, numPartitions: partitions, replicationFactor, configEntries: configEntries(config) };
}

function configEntries(config: Record<string, string>): { name: string; value: string }[] {
  return Object.entries(config).map(([name, value]) => ({ name, value }));
}

/** One sentence per cause: kafkajs has several messages for an unreachable broker. */
function describeError(error: unknown, { brokers }: KafkaConnection): string {
  const at = brokers.join(', ');
  if (!(error instanceof KafkaJSError)) return `cannot be checked: ${String(error)}`;
  const text = `${error.name} ${error.message}`;
  if (/SASL|Authentication/i.test(text)) return `Kafka at ${at} refuses the credentials`;
  if (/not authorized|AUTHORIZATION_FAILED/i.test(text)) return `Kafka at ${at} does not allow the operator to manage topics`;
  if (/Connection|timed out|ENOTFOUND|ECONNREFUSED|broker/i.test(text)) return `Kafka at ${at} does not respond`;
  return `cannot be reconciled: ${error.message}`;
}
