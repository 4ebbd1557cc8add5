import { z } from 'zod';

/** CloudEvents type of the event, and the default topic that carries it. */
export const INTEREST_TRANSACTION_TYPE = 'interest.transaction.v1';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const ACCOUNT_ID = /^[A-Za-z0-9._-]{1,64}$/;
const CURRENCY = /^[A-Z]{3}$/;
/** Every date but 29 February. */
const DATE = /^\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)|02-(?:0[1-9]|1\d|2[0-8]))$/;

/**
 * A request to accrue simple interest on an account's balance, for a number of days up to a date.
 * The record's key is the account id, so that one account's events keep their order.
 */
export const interestTransaction = z.object({
  /** UUID (version 7 when we produce it); unique per event, and the id of the journal transaction that it causes. */
  id: z.guid('must be a UUID').transform((id) => id.toLowerCase()),
  accountId: z.string('must be a string').regex(ACCOUNT_ID, 'must be 1 to 64 letters, digits, ".", "_" or "-"'),
  /** ISO 4217 code; must be the account's currency. */
  currency: z.string('must be a string').regex(CURRENCY, 'must be an ISO 4217 code such as EUR'),
  /** Actual days to accrue, which end on the value date; the product's day-count convention turns them into a part of the year. */
  days: z.int('must be a whole number').min(1, 'must be at least 1').max(366, 'must be at most 366'),
  /** Date (UTC) that the interest is booked for, and the day after the last one that accrues. */
  valueDate: z.iso.date('must be a date such as 2026-01-31'),
});

export type InterestTransaction = z.output<typeof interestTransaction>;

/**
 * Reads an event as {@link interestTransaction} does, several times faster.
 * @returns undefined for what is not an event, and for rare valid ones (an id with capitals, 29 February): the schema decides about both
 */
export function readInterestTransaction(value: unknown): InterestTransaction | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { id, accountId, currency, days, valueDate } = value as Record<string, unknown>;
  if (typeof id !== 'string' || !UUID.test(id)) return undefined;
  if (typeof accountId !== 'string' || !ACCOUNT_ID.test(accountId)) return undefined;
  if (typeof currency !== 'string' || !CURRENCY.test(currency)) return undefined;
  if (typeof days !== 'number' || !Number.isInteger(days) || days < 1 || days > 366) return undefined;
  if (typeof valueDate !== 'string' || !DATE.test(valueDate)) return undefined;
  return { id, accountId, currency, days, valueDate };
}

/** CloudEvents attributes of an event as Kafka headers (binary content mode), beside the trace headers. */
export function cloudEventHeaders(event: InterestTransaction, source: string, time: string): Record<string, string> {
  return {
    ce_specversion: '1.0',
    ce_type: INTEREST_TRANSACTION_TYPE,
    ce_source: source,
    ce_id: event.id,
    ce_time: time,
    ce_subject: event.accountId,
    'content-type': 'application/json',
  };
}
