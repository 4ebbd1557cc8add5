import { ACCOUNT_OPENED_TYPE, accountOpenedHeaders } from '../shared/contracts/accounts.ts';
import { withOwnDeadline } from '../shared/kernel/deadline.ts';
import type { KafkaProducer, OutgoingRecord } from '../shared/kernel/kafka/producer.ts';
import type { Logger } from '../shared/kernel/log.ts';
import { repeat } from '../shared/kernel/repeat.ts';
import { untraced } from '../shared/kernel/telemetry.ts';
import type { Accounts } from './accounts.ts';
import type { AccountStore, OutboxRow } from './store.ts';

const RELAY_INTERVAL_MS = 200;
const RESUME_INTERVAL_MS = 1_000;
const MAX_INTERVAL_MS = 10_000;
/** Longer than the deadline of a request. */
const ABANDONED_MS = 8_000;
const ROUND_DEADLINE_MS = 5_000;
const EVENTS = 500;
const REQUESTS = 50;

interface Parts {
  store: AccountStore;
  accounts: Accounts;
  producer: Pick<KafkaProducer, 'send'>;
  /** CloudEvents source. */
  source: string;
  log: Logger;
}

/** The record of an event. The trace is that of the request. */
export function recordOf({ requestId, traceparent, account }: OutboxRow, source: string): OutgoingRecord {
  const trace: Record<string, string> = traceparent === null ? {} : { traceparent };
  return { key: account.id, value: JSON.stringify(account), headers: { ...accountOpenedHeaders(account, requestId, source), ...trace } };
}

/**
 * Publishes the events of opened accounts, and resumes requests whose process has ended. Every replica does.
 * @returns stops after the rounds in progress
 */
export function startBackground({ store, accounts, producer, source, log }: Parts): () => Promise<void> {
  const publish = async (): Promise<boolean> => {
    const send = async (rows: OutboxRow[]): Promise<void> => {
      await producer.send(ACCOUNT_OPENED_TYPE, () => rows.map((row) => recordOf(row, source)));
    };
    return (await untraced(() => store.drain(EVENTS, send))) === EVENTS;
  };
  const resume = async (): Promise<boolean> => {
    const abandoned = await withOwnDeadline(ROUND_DEADLINE_MS, () => untraced(() => store.abandoned(ABANDONED_MS, REQUESTS)));
    await Promise.all(abandoned.map((request) => withOwnDeadline(ROUND_DEADLINE_MS, () => accounts.execute(request))));
    if (abandoned.length > 0) log.info({ requests: abandoned.length }, 'account requests resumed');
    return abandoned.length === REQUESTS;
  };
  const common = { log, maxIntervalMs: MAX_INTERVAL_MS };
  const stops = [
    repeat({ ...common, what: 'publish events of accounts', intervalMs: RELAY_INTERVAL_MS, round: publish }),
    repeat({ ...common, what: 'resume account requests', intervalMs: RESUME_INTERVAL_MS, round: resume }),
  ];
  return async () => {
    await Promise.all(stops.map((stop) => stop()));
  };
}
