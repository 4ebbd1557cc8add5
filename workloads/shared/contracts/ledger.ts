/** The HTTP contract of the ledger: what its API takes and answers. Callers check the answers against it. */
import { z } from 'zod';
import { defineProblems } from '../kernel/problems.ts';

/** Problems that the ledger answers with. */
export const PROBLEMS = defineProblems({
  account_not_found: { status: 404, title: 'There is no account with this id' },
  transaction_not_found: { status: 404, title: 'There is no transaction with this id' },
  hold_not_found: { status: 404, title: 'There is no hold with this id' },
  account_exists: { status: 409, title: 'Another account has this id' },
  account_closed: { status: 409, title: 'The account is closed' },
  account_not_empty: { status: 409, title: 'The account has a balance or holds' },
  duplicate: { status: 409, title: 'Another request has used this external id' },
  hold_not_pending: { status: 409, title: 'The hold is settled, voided or expired' },
  hold_expired: { status: 409, title: 'The time of the hold is over' },
  already_reversed: { status: 409, title: 'The transaction is reversed' },
  not_reversible: { status: 409, title: 'The transaction cannot be reversed' },
  insufficient_funds: { status: 422, title: 'The account would fall below its limit' },
  currency_mismatch: { status: 422, title: 'An account has another currency' },
  currency_not_found: { status: 422, title: 'The ledger does not have this currency' },
  product_not_found: { status: 422, title: 'There is no product with this code' },
  unbalanced: { status: 422, title: 'The postings do not sum to zero' },
  hold_exceeded: { status: 422, title: 'The amount is larger than the hold' },
  balance_out_of_range: { status: 422, title: 'A balance would have more than 18 digits' },
});

/** Why the ledger rejects a transaction, a hold, a settlement or a reversal. Also the label of `ledger_entry_validation_errors_total`. */
export const ERROR_TYPES = [
  'account_not_found',
  'transaction_not_found',
  'hold_not_found',
  'account_closed',
  'duplicate',
  'hold_not_pending',
  'hold_expired',
  'already_reversed',
  'not_reversible',
  'insufficient_funds',
  'currency_mismatch',
  'unbalanced',
  'hold_exceeded',
  'balance_out_of_range',
] as const satisfies (keyof typeof PROBLEMS)[];
export type ErrorType = (typeof ERROR_TYPES)[number];

/** Most transactions in one request, and in one database call. */
export const MAX_BATCH = 500;

const accountId = z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, 'must be an account id');
const currency = z.string().regex(/^[A-Z]{3}$/, 'must be an ISO 4217 code');
/** Minor units as text, since JSON numbers lose digits above 2^53. */
const amount = z.string().regex(/^-?[1-9]\d{0,17}$/, 'must be a whole number of minor units other than 0, of at most 18 digits');
const positiveAmount = z.string().regex(/^[1-9]\d{0,17}$/, 'must be a whole number of minor units above 0, of at most 18 digits');
const limitAmount = z.string().regex(/^(0|-?[1-9]\d{0,17})$/, 'must be a whole number of minor units of at most 18 digits');
const externalId = z
  .string()
  .regex(/^[A-Za-z0-9._:/-]{1,128}$/, 'must be 1 to 128 letters, digits, ".", "_", ":", "/" or "-"')
  .describe("The caller's id of the request. A repeated request with the same id and content has no second effect.");
const valueDate = z.iso.date().optional().describe('Date (UTC) for which the amounts count; default: today');
const moment = z.iso.datetime({ offset: true });

/** Path parameter of an account. */
export const accountParams = z.object({ id: accountId });
/** Path parameter of a transaction or a hold. */
export const uuidParams = z.object({ id: z.uuid() });

export const openAccount = z
  .strictObject({
    id: accountId,
    kind: z.enum(['customer', 'internal']),
    currency,
    productCode: z
      .string()
      .regex(/^[a-z0-9-]{1,64}$/, 'must be a product code')
      .optional()
      .describe('Decides the interest rate; only customer accounts have one'),
    minBalanceMinor: limitAmount
      .nullable()
      .optional()
      .describe('Balance less held amounts is never lower; null: no limit. Default: 0 for customers, no limit for internal accounts'),
  })
  .refine(({ kind, productCode }) => (kind === 'customer') === (productCode !== undefined), {
    path: ['productCode'],
    message: 'customer accounts need a product, and internal accounts have none',
  });
export type OpenAccount = z.output<typeof openAccount>;

export const accountView = z.object({
  id: z.string(),
  kind: z.string(),
  currency: z.string(),
  productCode: z.string().nullable(),
  balanceMinor: z.string(),
  heldMinor: z.string().default('0'),
  minBalanceMinor: z.string().nullable().default(null),
  openedAt: z.string(),
  closedAt: z.string().nullable().default(null),
});
export const accountList = z.object({ accounts: z.array(accountView), next: z.string().nullable() });
export const listQuery = z.object({
  /** The last id of the page before. */
  after: z
    .string()
    .regex(/^[A-Za-z0-9._-]{0,64}$/, 'must be an account id')
    .default(''),
  limit: z.coerce.number().int().min(1).max(10_000).default(100),
});
export const balanceQuery = z.object({ at: moment.optional().describe('The balance at this time; default: now') });
export const balanceView = z.object({ accountId: z.string(), currency: z.string(), balanceMinor: z.string() });
export const statementQuery = z.object({
  from: moment.optional().describe('Postings since this time, inclusive'),
  to: moment.optional().describe('Postings before this time'),
  before: z.coerce.number().int().min(1).max(Number.MAX_SAFE_INTEGER).optional().describe('`next` of the page before'),
  limit: z.coerce.number().int().min(1).max(1000).default(50),
});
export type StatementQuery = z.output<typeof statementQuery>;
export const statementView = z.object({
  accountId: z.string(),
  lines: z.array(
    z.object({
      sequence: z.number().optional().describe('Place among the postings of the account: 1, 2, 3 and so on'),
      transactionId: z.string(),
      kind: z.string(),
      valueDate: z.string(),
      amountMinor: z.string(),
      balanceAfterMinor: z.string().optional(),
      currency: z.string(),
      postedAt: z.string(),
    }),
  ),
  next: z.number().nullable().default(null),
});

export const postTransaction = z.strictObject({
  externalId,
  currency,
  valueDate,
  postings: z
    .array(z.strictObject({ accountId, amountMinor: amount }))
    .min(2)
    .max(100)
    .describe('They sum to zero'),
});
export type PostTransaction = z.output<typeof postTransaction>;
export const postBatch = z.strictObject({ transactions: z.array(postTransaction).min(1).max(MAX_BATCH) });

/** What a transaction, settlement or reversal became. */
export const postedView = z.object({
  transactionId: z.string(),
  externalId: z.string(),
  replayed: z.boolean().describe('An earlier request with this external id posted it'),
});
export const batchView = z.object({
  results: z
    .array(
      z.object({
        externalId: z.string(),
        status: z.enum(['posted', 'replayed', 'rejected']),
        transactionId: z.string().nullable(),
        errorType: z.enum(ERROR_TYPES).nullable(),
        detail: z.string().nullable(),
      }),
    )
    .describe('In the order of the request'),
});
export const transactionView = z.object({
  id: z.string(),
  kind: z.string(),
  currency: z.string(),
  valueDate: z.string(),
  externalId: z.string().nullable(),
  reverses: z.string().nullable(),
  reversedBy: z.string().nullable(),
  holdId: z.string().nullable(),
  postings: z.array(z.object({ accountId: z.string(), amountMinor: z.string(), sequence: z.number() })),
});

export const placeHold = z.strictObject({
  externalId,
  accountId,
  currency,
  amountMinor: positiveAmount,
  expiresAt: moment.optional().describe('The hold ends at this time, unless it is settled or voided before'),
});
export type PlaceHold = z.output<typeof placeHold>;
export const settleHold = z.strictObject({
  externalId,
  toAccountId: accountId,
  amountMinor: positiveAmount.optional().describe('Default: the whole hold. What remains is released'),
  valueDate,
});
export type SettleHold = z.output<typeof settleHold>;
export const holdView = z.object({
  id: z.string(),
  externalId: z.string(),
  accountId: z.string(),
  currency: z.string(),
  amountMinor: z.string(),
  state: z.enum(['pending', 'settled', 'voided', 'expired']),
  settledMinor: z.string().nullable(),
  expiresAt: z.string().nullable(),
  createdAt: z.string(),
  endedAt: z.string().nullable(),
});
export type HoldView = z.output<typeof holdView>;
export const reverseTransaction = z.strictObject({ externalId, valueDate });
export type ReverseTransaction = z.output<typeof reverseTransaction>;

export const ledgerCheck = z.object({
  ok: z.boolean(),
  accounts: z.number(),
  transactions: z.number(),
  interestTransactions: z.number(),
  postings: z.number(),
  sumMinor: z.string(),
  balanceMismatches: z.number(),
  unbalancedTransactions: z.number(),
  sequenceMismatches: z.number().default(0).describe('Accounts whose postings have gaps in their sequence, or another running balance'),
  holdMismatches: z.number().default(0).describe('Accounts whose held amount is not the sum of their pending holds'),
});
