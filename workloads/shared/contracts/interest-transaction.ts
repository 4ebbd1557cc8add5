import { z } from 'zod';

/** CloudEvents type of the event, and the default topic that carries it. */
export const INTEREST_TRANSACTION_TYPE = 'interest.transaction.v1';

/**
 * A request to accrue simple interest on an account's balance, for a number of days up to a date.
 * The record's key is the account id, so that one account's events keep their order.
 */
export const interestTransaction = z.object({
  /** UUID (version 7 when we produce it); unique per event, and the id of the journal transaction that it causes. */
  id: z.guid('must be a UUID').transform((id) => id.toLowerCase()),
  accountId: z.string('must be a string').regex(/^[A-Za-z0-9._-]{1,64}$/, 'must be 1 to 64 letters, digits, ".", "_" or "-"'),
  /** ISO 4217 code; must be the account's currency. */
  currency: z.string('must be a string').regex(/^[A-Z]{3}$/, 'must be an ISO 4217 code such as EUR'),
  /** Days to accrue, counted as actual days (ACT/365F). */
  days: z.int('must be a whole number').min(1, 'must be at least 1').max(366, 'must be at most 366'),
  /** Date (UTC) that the interest is booked for. */
  valueDate: z.iso.date('must be a date such as 2026-01-31'),
});

export type InterestTransaction = z.output<typeof interestTransaction>;

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
