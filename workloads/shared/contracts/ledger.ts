/** The HTTP contract of the ledger: what its API takes and answers. Callers check the answers against it. */
import { z } from 'zod';
import { defineProblems } from '../kernel/problems.ts';

/** Problems that the ledger answers with. */
export const PROBLEMS = defineProblems({
  account_not_found: { status: 404, title: 'There is no account with this id' },
});

/** Path parameter of an account. */
export const accountParams = z.object({ id: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, 'must be an account id') });

export const accountView = z.object({
  id: z.string(),
  kind: z.string(),
  currency: z.string(),
  productCode: z.string().nullable(),
  balanceMinor: z.string(),
  openedAt: z.string(),
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
export const balanceView = z.object({ accountId: z.string(), currency: z.string(), balanceMinor: z.string() });
export const statementQuery = z.object({ limit: z.coerce.number().int().min(1).max(1000).default(50) });
export const statementView = z.object({
  accountId: z.string(),
  lines: z.array(
    z.object({
      transactionId: z.string(),
      kind: z.string(),
      valueDate: z.string(),
      amountMinor: z.string(),
      currency: z.string(),
      postedAt: z.string(),
    }),
  ),
});
export const ledgerCheck = z.object({
  ok: z.boolean(),
  accounts: z.number(),
  transactions: z.number(),
  interestTransactions: z.number(),
  postings: z.number(),
  sumMinor: z.string(),
  balanceMismatches: z.number(),
  unbalancedTransactions: z.number(),
});
