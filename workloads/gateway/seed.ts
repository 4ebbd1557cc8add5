import { randomInt, randomUUIDv7 } from 'node:crypto';
import { cloudEventHeaders } from '../shared/contracts/interest-transaction.ts';
import type { InterestTransaction } from '../shared/contracts/interest-transaction.ts';
import type { KafkaProducer, OutgoingRecord } from '../shared/kernel/kafka/producer.ts';
import type { Logger } from '../shared/kernel/log.ts';
import { Problem } from '../shared/kernel/problems.ts';
import { traceHeaders } from '../shared/kernel/telemetry.ts';
import { PROBLEMS } from './problems.ts';

/** Records per produce request: bounds the memory, whatever the count. */
const CHUNK = 2_000;
/** Produce requests in progress: the next chunk is built while Kafka writes this one. */
const IN_FLIGHT = 2;
const PROGRESS_EVERY = 100_000;

/** What an event needs to know of an account. */
export interface SeedAccount {
  id: string;
  currency: string;
}

export interface SeedRequest {
  topic: string;
  count: number;
  accounts: SeedAccount[];
  /** CloudEvents source. */
  source: string;
}

/** A random event for a random account; `now` gives its value date. */
export function randomEvent(accounts: SeedAccount[], now: Date): InterestTransaction {
  const account = accounts[randomInt(accounts.length)];
  if (!account) throw new Problem(PROBLEMS.no_accounts);
  return {
    id: randomUUIDv7(),
    accountId: account.id,
    currency: account.currency,
    days: 1 + randomInt(31),
    valueDate: now.toISOString().slice(0, 10),
  };
}

/**
 * Publishes `count` random interest transactions, keyed by account, and resolves when Kafka has acknowledged every one.
 * @returns how many were acknowledged; fewer than asked for when `cancelled` turned true
 * @throws when Kafka did not acknowledge; what was acknowledged before stays
 */
export async function seed(producer: KafkaProducer, request: SeedRequest, log: Logger, cancelled: () => boolean): Promise<number> {
  let planned = 0;
  let accepted = 0;
  const lane = async (): Promise<void> => {
    while (planned < request.count && !cancelled()) {
      const size = Math.min(CHUNK, request.count - planned);
      planned += size;
      const acknowledged = await producer.send(request.topic, () => records(request, size));
      accepted += acknowledged;
      if (Math.floor(accepted / PROGRESS_EVERY) > Math.floor((accepted - size) / PROGRESS_EVERY)) {
        log.info({ accepted, count: request.count, topic: request.topic }, 'seeding');
      }
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  return accepted;
}

function records({ accounts, source }: SeedRequest, size: number): OutgoingRecord[] {
  const now = new Date();
  const time = now.toISOString();
  const trace = traceHeaders();
  return Array.from({ length: size }, () => {
    const event = randomEvent(accounts, now);
    return { key: event.accountId, value: JSON.stringify(event), headers: { ...cloudEventHeaders(event, source, time), ...trace } };
  });
}
