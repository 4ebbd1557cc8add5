/** The HTTP contract of transfers: what the orchestrator's API takes and answers, and the gateway's in front of it. */
import { z } from 'zod';
import { defineProblems } from '../kernel/problems.ts';
import { ERROR_TYPES } from './ledger.ts';

/** Problems that the orchestrator answers with, beside the ledger's. */
export const PROBLEMS = defineProblems({
  transfer_not_found: { status: 404, title: 'There is no transfer with this id' },
  transfer_in_progress: { status: 409, title: 'The transfer with this idempotency key is in progress' },
  same_account: { status: 422, title: 'The transfer is from an account to itself' },
});

/** Why the ledger may reject a transfer. */
export const TRANSFER_REJECTIONS = [
  'account_not_found',
  'account_closed',
  'duplicate',
  'insufficient_funds',
  'currency_mismatch',
  'balance_out_of_range',
] as const satisfies (typeof ERROR_TYPES)[number][];

const accountId = z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, 'must be an account id');

export const transferRequest = z.strictObject({
  fromAccount: accountId,
  toAccount: accountId.describe('Another account than fromAccount'),
  amountMinor: z
    .string()
    .regex(/^[1-9]\d{0,17}$/, 'must be a whole number of minor units above 0, of at most 18 digits')
    .describe('Minor units as text, such as "1250" for 12.50 EUR'),
  currency: z.string().regex(/^[A-Z]{3}$/, 'must be an ISO 4217 code'),
});
export type TransferRequest = z.output<typeof transferRequest>;

export const transferParams = z.object({ id: z.uuid() });

const common = {
  transferId: z.string(),
  fromAccount: z.string(),
  toAccount: z.string(),
  amountMinor: z.string(),
  currency: z.string(),
  createdAt: z.iso.datetime(),
};

/** The answer to a request for a transfer. */
export const completedTransfer = z.object({
  ...common,
  status: z.literal('completed'),
  transactionId: z.string().describe('The transaction in the ledger'),
  completedAt: z.iso.datetime(),
});
export type CompletedTransfer = z.output<typeof completedTransfer>;

/** A transfer in any state. */
export const transferView = z.object({
  ...common,
  status: z.enum(['initiated', 'completed', 'rejected']),
  transactionId: z.string().nullable(),
  completedAt: z.iso.datetime().nullable(),
  errorType: z.string().nullable().describe('Why the ledger has rejected it'),
});
export type TransferView = z.output<typeof transferView>;

const EXTERNAL_ID = /^transfer:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

/** The id of a transfer's transaction at the ledger: however often it is posted, it is applied once. */
export const externalIdOf = (transferId: string): string => `transfer:${transferId}`;

/** The id of a transfer, as logs and spans name it; empty for the external id of another transaction. */
export function transferIdOf(externalId: string): { transfer_id?: string } {
  const id = EXTERNAL_ID.exec(externalId)?.[1];
  return id === undefined ? {} : { transfer_id: id };
}

/** What logs and spans say about a transfer. */
export function transferFields(transfer: TransferRequest): Record<string, string> {
  const { fromAccount, toAccount, amountMinor, currency } = transfer;
  return { from_account: fromAccount, to_account: toAccount, amount_minor: amountMinor, currency };
}
