import { ACCOUNT_REJECTIONS, accountHeaders, accountRequest, openedAccount } from '../shared/contracts/accounts.ts';
import { clientName, CLIENT_HEADER, PROBLEMS as IDEMPOTENCY, REPLAYED_HEADER } from '../shared/contracts/idempotency.ts';
import { PROBLEMS as LEDGER } from '../shared/contracts/ledger.ts';
import { PROBLEMS as UNAVAILABLE } from '../shared/contracts/unavailable.ts';
import { clientOf } from '../shared/kernel/auth/routes.ts';
import { nameIds } from '../shared/kernel/http-telemetry.ts';
import { answers } from '../shared/kernel/http.ts';
import type { HttpApp } from '../shared/kernel/http.ts';
import type { ServiceClient } from '../shared/kernel/service-client.ts';

/** The service waits for the ledger with retries, within the deadline of the request. */
const ATTEMPT_MS = 4_500;

/** How the gateway calls the accounts service, apart from address and key. The ledger's failure is not that service's. */
export const ACCOUNTS_CLIENT = {
  name: 'accounts service',
  unavailable: UNAVAILABLE.accounts_unavailable,
  passed: [UNAVAILABLE.ledger_unavailable],
  keptHeaders: [REPLAYED_HEADER],
};

/** Adds the route that opens accounts, which the gateway forwards to the accounts service. */
export function accountRoutes(app: HttpApp, accounts: ServiceClient): void {
  app.post(
    '/api/v1/accounts',
    {
      config: { scopes: ['accounts:write'] },
      schema: {
        summary: 'Opens a customer account, once for an idempotency key or an id',
        headers: accountHeaders,
        body: accountRequest,
        response: answers(
          201,
          openedAccount,
          ...ACCOUNT_REJECTIONS.map((type) => LEDGER[type]),
          IDEMPOTENCY.idempotency_key_reused,
          UNAVAILABLE.ledger_unavailable,
          UNAVAILABLE.accounts_unavailable,
        ),
      },
    },
    async (request, reply) => {
      const key = request.headers['idempotency-key'];
      const headers = { ...(key === undefined ? {} : { 'idempotency-key': key }), [CLIENT_HEADER]: clientName(clientOf(request)) };
      const idempotent = key !== undefined || request.body.id !== undefined;
      const options = { idempotent, attemptMs: ATTEMPT_MS, headers };
      const answer = await accounts.post({ path: '/api/v1/accounts' }, request.body, openedAccount, options);
      nameIds(request, { account_id: answer.body.id });
      const replayed = answer.headers.get(REPLAYED_HEADER);
      if (replayed !== null) void reply.header(REPLAYED_HEADER, replayed);
      return reply.status(201).send(answer.body);
    },
  );
}
