import { accountList, accountParams, accountView, ledgerCheck, listQuery, PROBLEMS as LEDGER } from '../shared/contracts/ledger.ts';
import { PROBLEMS as UNAVAILABLE } from '../shared/contracts/unavailable.ts';
import { answers } from '../shared/kernel/http.ts';
import type { HttpApp } from '../shared/kernel/http.ts';
import type { ServiceClient } from '../shared/kernel/service-client.ts';

/** A list of 10,000 accounts takes longer than other reads. */
const LIST_DEADLINE_MS = 10_000;
const LIST_ATTEMPT_MS = 8_000;
/** The ledger's check has 20 s; the answer needs a moment to come back. */
const CHECK_DEADLINE_MS = 22_000;
const CHECK_ATTEMPT_MS = 20_000;

const at = (id: string) => `/api/v1/accounts/${encodeURIComponent(id)}`;

/** Adds the reads that the gateway forwards to the ledger. */
export function ledgerRoutes(app: HttpApp, ledger: ServiceClient): void {
  const unavailable = UNAVAILABLE.ledger_unavailable;
  app.get(
    '/api/v1/accounts',
    {
      handlerTimeout: LIST_DEADLINE_MS,
      config: { scopes: ['ledger:read'] },
      schema: { summary: 'Customer accounts in order of id', querystring: listQuery, response: answers(200, accountList, unavailable) },
    },
    ({ query }) =>
      ledger.get({ path: `/api/v1/accounts?after=${encodeURIComponent(query.after)}&limit=${query.limit}` }, accountList, {
        attemptMs: LIST_ATTEMPT_MS,
      }),
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
    ({ params }) => ledger.get({ path: at(params.id), template: '/api/v1/accounts/{id}' }, accountView),
  );
  app.get(
    '/api/v1/ledger/check',
    {
      handlerTimeout: CHECK_DEADLINE_MS,
      config: { scopes: ['ledger:admin'] },
      schema: { summary: 'Adds up the whole ledger', response: answers(200, ledgerCheck, unavailable) },
    },
    () => ledger.get({ path: '/api/v1/ledger/check' }, ledgerCheck, { attemptMs: CHECK_ATTEMPT_MS }),
  );
}
