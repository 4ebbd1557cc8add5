import type { onRequestHookHandler } from 'fastify';
import {
  accountList,
  accountParams,
  accountView,
  balanceView,
  ledgerCheck,
  listQuery,
  PROBLEMS as LEDGER,
  statementQuery,
  statementView,
} from '../shared/contracts/ledger.ts';
import { answers } from '../shared/kernel/http.ts';
import type { HttpApp } from '../shared/kernel/http.ts';
import { PROBLEMS as COMMON } from '../shared/kernel/problems.ts';
import type { LedgerClient } from './ledger-client.ts';
import { PROBLEMS } from './problems.ts';

/** A list of 10,000 accounts takes longer than other reads. */
const LIST_DEADLINE_MS = 10_000;
const LIST_ATTEMPT_MS = 8_000;
/** The ledger's check has 20 s; the answer needs a moment to come back. */
const CHECK_DEADLINE_MS = 22_000;
const CHECK_ATTEMPT_MS = 20_000;

const at = (id: string) => `/api/v1/accounts/${encodeURIComponent(id)}`;

/**
 * Adds the reads that the gateway forwards to the ledger.
 * @param isAuthorized guards the routes that are not for every client
 */
export function ledgerRoutes(app: HttpApp, ledger: LedgerClient, isAuthorized: onRequestHookHandler): void {
  const unavailable = PROBLEMS.ledger_unavailable;
  app.get(
    '/api/v1/accounts',
    {
      handlerTimeout: LIST_DEADLINE_MS,
      schema: { summary: 'Customer accounts in order of id', querystring: listQuery, response: answers(200, accountList, unavailable) },
    },
    ({ query }) =>
      ledger.get(`/api/v1/accounts?after=${encodeURIComponent(query.after)}&limit=${query.limit}`, accountList, LIST_ATTEMPT_MS),
  );
  app.get(
    '/api/v1/accounts/:id',
    {
      schema: {
        summary: 'One account',
        params: accountParams,
        response: answers(200, accountView, LEDGER.account_not_found, unavailable),
      },
    },
    ({ params }) => ledger.get(at(params.id), accountView),
  );
  app.get(
    '/api/v1/accounts/:id/balance',
    {
      schema: {
        summary: 'Balance of an account in minor units',
        params: accountParams,
        response: answers(200, balanceView, LEDGER.account_not_found, unavailable),
      },
    },
    ({ params }) => ledger.get(`${at(params.id)}/balance`, balanceView),
  );
  app.get(
    '/api/v1/accounts/:id/statement',
    {
      schema: {
        summary: 'Newest postings of an account',
        params: accountParams,
        querystring: statementQuery,
        response: answers(200, statementView, LEDGER.account_not_found, unavailable),
      },
    },
    ({ params, query }) => ledger.get(`${at(params.id)}/statement?limit=${query.limit}`, statementView),
  );
  app.get(
    '/api/v1/ledger/check',
    {
      handlerTimeout: CHECK_DEADLINE_MS,
      onRequest: [isAuthorized],
      schema: {
        summary: 'Adds up the whole ledger; needs the debug token',
        response: answers(200, ledgerCheck, COMMON.unauthorized, unavailable),
      },
    },
    () => ledger.get('/api/v1/ledger/check', ledgerCheck, CHECK_ATTEMPT_MS),
  );
}
