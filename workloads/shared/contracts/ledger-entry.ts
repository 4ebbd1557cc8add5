import { z } from 'zod';

/** CloudEvents type of the event, and the default topic that carries it. */
export const LEDGER_ENTRY_TYPE = 'ledger.entry.v1';

/** Kinds of journal transactions. */
export const ENTRY_KINDS = ['opening', 'interest', 'transfer', 'settlement', 'reversal'] as const;

/** Minor units as text, since JSON numbers lose digits above 2^53. A balance stays within ±8 × 10^18, which has 19 digits. */
const minorUnits = z.string('must be a string').regex(/^(0|-?[1-9]\d{0,18})$/, 'must be a whole number of minor units');

/**
 * One posting of a customer account, as the ledger has committed it.
 *
 * The record's key is the account id, and the entries of an account are published in the order of `sequence`. Delivery is at least once: an entry
 * may come again, after later ones too. A consumer drops every entry whose sequence is not above the last that it applied to the account.
 */
export const ledgerEntry = z.object({
  /** UUID of the journal transaction, in lower case. */
  entryId: z.guid('must be a UUID').transform((id) => id.toLowerCase()),
  /** Place of the posting among those of its transaction, from 1. */
  line: z.int('must be a whole number').min(1, 'must be at least 1').max(32_767, 'must be at most 32767'),
  kind: z.enum(ENTRY_KINDS, `must be one of ${ENTRY_KINDS.join(', ')}`),
  /** The caller's id of the request; `transfer:<id>` for a transfer of the orchestrator. Null for interest and openings. */
  externalId: z.string('must be a string or null').min(1, 'must not be empty').max(128, 'must have at most 128 characters').nullable(),
  accountId: z.string('must be a string').regex(/^[A-Za-z0-9._-]{1,64}$/, 'must be 1 to 64 letters, digits, ".", "_" or "-"'),
  /** ISO 4217 code: that of the account and of the transaction. */
  currency: z.string('must be a string').regex(/^[A-Z]{3}$/, 'must be an ISO 4217 code such as EUR'),
  /** Above 0: the balance grows. Never "0". */
  amountMinor: minorUnits.refine((amount) => amount !== '0', 'must not be 0'),
  /** Place of the posting among those of the account: 1, 2, 3 and so on without gaps. */
  sequence: z.int('must be a whole number').min(1, 'must be at least 1'),
  /** Balance of the account after this posting. */
  balanceAfterMinor: minorUnits,
  /** Date (UTC) for which the amount counts. */
  valueDate: z.iso.date('must be a date such as 2026-01-31'),
  /** When the ledger made the posting, in UTC with milliseconds. It is no order: the postings of a batch share it. */
  postedAt: z.iso.datetime({ precision: 3, error: 'must be a time such as 2026-01-31T12:00:00.000Z' }),
});

export type LedgerEntry = z.output<typeof ledgerEntry>;

/** Id of the event: the same for every delivery. */
export function ledgerEntryEventId({ entryId, line }: Pick<LedgerEntry, 'entryId' | 'line'>): string {
  return `${entryId}/${line}`;
}

const TRANSFER = 'transfer:';

/** Id of the transfer that an entry belongs to, which the orchestrator puts into the external id; undefined for other entries. */
export function transferIdOf({ externalId }: Pick<LedgerEntry, 'externalId'>): string | undefined {
  return externalId?.startsWith(TRANSFER) ? externalId.slice(TRANSFER.length) : undefined;
}

/** CloudEvents attributes of an entry as Kafka headers (binary content mode), beside the trace headers. */
export function ledgerEntryHeaders(entry: LedgerEntry, source: string): Record<string, string> {
  return {
    ce_specversion: '1.0',
    ce_type: LEDGER_ENTRY_TYPE,
    ce_source: source,
    ce_id: ledgerEntryEventId(entry),
    ce_time: entry.postedAt,
    ce_subject: entry.accountId,
    'content-type': 'application/json',
  };
}
