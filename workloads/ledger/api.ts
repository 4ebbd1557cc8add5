import {
  accountList,
  accountParams,
  accountView,
  balanceQuery,
  balanceView,
  ledgerCheck,
  listQuery,
  PROBLEMS as LEDGER,
  statementQuery,
  statementView,
} from '../shared/contracts/ledger.ts';
import { withOwnDeadline } from '../shared/kernel/deadline.ts';
import { answers } from '../shared/kernel/http.ts';
import type { HttpApp } from '../shared/kernel/http.ts';
import type { Metrics } from '../shared/kernel/metrics.ts';
import { oneAtATime } from '../shared/kernel/one-at-a-time.ts';
import { Problem, PROBLEMS } from '../shared/kernel/problems.ts';
import type { AccountView, LedgerStore } from './store.ts';

/** Deadline of the list, which has up to 10,000 accounts. */
const LIST_DEADLINE_MS = 10_000;
/** Deadline of the check, which reads the whole ledger. */
const CHECK_DEADLINE_MS = 20_000;

/** Adds the ledger's read operations. */
export function ledgerRoutes(app: HttpApp, store: LedgerStore, metrics: Metrics): void {
  const balanceQueries = metrics.counter('balance_queries_total', 'Balance queries answered', [], [{}]);
  const statementQueries = metrics.counter('statement_queries_total', 'Statement queries answered', [], [{}]);
  const unavailable = PROBLEMS.database_unavailable;
  const check = oneAtATime(() => withOwnDeadline(CHECK_DEADLINE_MS, () => store.check()));
  const find = async (id: string): Promise<AccountView> => {
    const account = await store.account(id);
    if (!account) throw new Problem(LEDGER.account_not_found, `There is no account ${id}.`);
    return account;
  };

  app.get(
    '/api/v1/accounts',
    {
      handlerTimeout: LIST_DEADLINE_MS,
      config: { scopes: ['ledger:read'] },
      schema: { summary: 'Customer accounts in order of id', querystring: listQuery, response: answers(200, accountList, unavailable) },
    },
    async ({ query: { after, limit } }) => {
      const accounts = await store.customerAccounts(after, limit);
      return { accounts, next: accounts.length === limit ? (accounts.at(-1)?.id ?? null) : null };
    },
  );
  app.get(
    '/api/v1/accounts/:id',
    {
      config: { scopes: ['ledger:read'], ids: { id: 'account_id' } },
      schema: {
        summary: 'One account',
        params: accountParams,
        response: answers(200, accountView, LEDGER.account_not_found, unavailable),
      },
    },
    ({ params }) => find(params.id),
  );
  app.get(
    '/api/v1/accounts/:id/balance',
    {
      config: { scopes: ['ledger:read'], ids: { id: 'account_id' } },
      schema: {
        summary: 'Balance of an account in minor units, now or at a time',
        params: accountParams,
        querystring: balanceQuery,
        response: answers(200, balanceView, LEDGER.account_not_found, unavailable),
      },
    },
    async ({ params, query: { at } }) => {
      const { id, currency, balanceMinor } = await find(params.id);
      balanceQueries.inc();
      return { accountId: id, currency, balanceMinor: at === undefined ? balanceMinor : await store.balanceAt(id, at) };
    },
  );
  app.get(
    '/api/v1/accounts/:id/statement',
    {
      config: { scopes: ['ledger:read'], ids: { id: 'account_id' } },
      schema: {
        summary: 'Postings of an account, newest first, by period and page',
        params: accountParams,
        querystring: statementQuery,
        response: answers(200, statementView, LEDGER.account_not_found, unavailable),
      },
    },
    async ({ params, query }) => {
      const { id } = await find(params.id);
      statementQueries.inc();
      const lines = await store.statement(id, query);
      return { accountId: id, lines, next: lines.length === query.limit ? (lines.at(-1)?.sequence ?? null) : null };
    },
  );
  app.get(
    '/api/v1/ledger/check',
    {
      handlerTimeout: CHECK_DEADLINE_MS,
      config: { scopes: ['ledger:admin'] },
      schema: { summary: 'Adds up the whole ledger', response: answers(200, ledgerCheck, unavailable) },
    },
    () => check(),
  );
}
