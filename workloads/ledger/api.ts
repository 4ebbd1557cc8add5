import {
  accountParams,
  accountView,
  accountList,
  listQuery,
  balanceView,
  statementQuery,
  statementView,
  ledgerCheck,
} from '../shared/contracts/ledger.ts';
import type { HttpApi } from '../shared/kernel/http.ts';
import type { Metrics } from '../shared/kernel/metrics.ts';
import { Problem } from '../shared/kernel/problems.ts';
import type { AccountView, LedgerStore } from './store.ts';

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
