import { z } from 'zod';
import type { HttpApi } from '../src/kernel/http.ts';
import type { Metrics } from '../src/kernel/metrics.ts';
import { Problem } from '../src/kernel/problems.ts';
import type { AccountView, LedgerStore } from './store.ts';

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
  after: z.string().max(64).default(''),
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
  duplicateEvents: z.number(),
});

/** Adds the ledger's read operations to an API. */
export function ledgerRoutes(api: HttpApi, store: LedgerStore, metrics: Metrics): void {
  const balanceQueries = metrics.counter('balance_queries_total', 'Balance queries answered', [], [{}]);
  const statementQueries = metrics.counter('statement_queries_total', 'Statement queries answered', [], [{}]);
  const find = async (id: string): Promise<AccountView> => {
    const account = await store.account(id);
    if (!account) throw new Problem('account_not_found', `There is no account ${id}.`);
    return account;
  };

  api.route({
    method: 'GET',
    path: '/api/v1/accounts',
    summary: 'Customer accounts in order of id',
    query: listQuery,
    response: accountList,
    handle: async ({ query: { after, limit } }) => {
      const accounts = await store.customerAccounts(after, limit);
      return { accounts, next: accounts.length === limit ? (accounts.at(-1)?.id ?? null) : null };
    },
  });
  api.route({
    method: 'GET',
    path: '/api/v1/accounts/{id}',
    summary: 'One account',
    params: accountParams,
    response: accountView,
    problems: ['account_not_found', 'database_unavailable'],
    handle: ({ params }) => find(params.id),
  });
  api.route({
    method: 'GET',
    path: '/api/v1/accounts/{id}/balance',
    summary: 'Balance of an account in minor units',
    params: accountParams,
    response: balanceView,
    problems: ['account_not_found', 'database_unavailable'],
    handle: async ({ params }) => {
      const { id, currency, balanceMinor } = await find(params.id);
      balanceQueries.inc();
      return { accountId: id, currency, balanceMinor };
    },
  });
  api.route({
    method: 'GET',
    path: '/api/v1/accounts/{id}/statement',
    summary: 'Newest postings of an account',
    params: accountParams,
    query: statementQuery,
    response: statementView,
    problems: ['account_not_found', 'database_unavailable'],
    handle: async ({ params, query }) => {
      const { id } = await find(params.id);
      statementQueries.inc();
      return { accountId: id, lines: await store.statement(id, query.limit) };
    },
  });
  api.route({
    method: 'GET',
    path: '/api/v1/ledger/check',
    summary: 'Adds up the whole ledger',
    response: ledgerCheck,
    problems: ['database_unavailable'],
    handle: () => store.check(),
  });
}
