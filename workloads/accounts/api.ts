import { ACCOUNT_REJECTIONS, accountRequest, forwardedAccountHeaders, openedAccount } from '../shared/contracts/accounts.ts';
import { clientName, CLIENT_HEADER, PROBLEMS as IDEMPOTENCY, REPLAYED_HEADER } from '../shared/contracts/idempotency.ts';
import { PROBLEMS as LEDGER } from '../shared/contracts/ledger.ts';
import { PROBLEMS as UNAVAILABLE } from '../shared/contracts/unavailable.ts';
import { clientOf } from '../shared/kernel/auth/routes.ts';
import { nameIds } from '../shared/kernel/http-telemetry.ts';
import { answers } from '../shared/kernel/http.ts';
import type { HttpApp } from '../shared/kernel/http.ts';
import { Problem, PROBLEMS } from '../shared/kernel/problems.ts';
import type { Accounts } from './accounts.ts';

const REPLAYED = { [REPLAYED_HEADER]: 'true' };

/** Adds the route that opens accounts. */
export function accountRoutes(app: HttpApp, accounts: Accounts): void {
  app.post(
    '/api/v1/accounts',
    {
      config: { scopes: ['accounts:write'] },
      schema: {
        summary: 'Opens a customer account, once for an idempotency key or an id',
        headers: forwardedAccountHeaders,
        body: accountRequest,
        response: answers(
          201,
          openedAccount,
          ...ACCOUNT_REJECTIONS.map((type) => LEDGER[type]),
          IDEMPOTENCY.idempotency_key_reused,
          UNAVAILABLE.ledger_unavailable,
          PROBLEMS.database_unavailable,
        ),
      },
    },
    async (request, reply) => {
      const { headers, body } = request;
      const key = headers['idempotency-key'];
      if (key === undefined && body.id === undefined) {
        throw new Problem(PROBLEMS.validation_failed, 'Send the header Idempotency-Key, or an id in the body.');
      }
      const { request: known, replayed } = await accounts.open(body, headers[CLIENT_HEADER] ?? clientName(clientOf(request)), key);
      nameIds(request, { account_id: known.accountId });
      if (known.problem) throw Problem.fromBody(known.problem, { headers: replayed ? REPLAYED : {} });
      if (replayed) void reply.headers(REPLAYED);
      const { accountId, currency, productCode, minBalanceMinor, endedAt } = known;
      if (endedAt === null) throw new Error(`request ${known.id} has not ended`);
      return reply.status(201).send({ id: accountId, currency, productCode, minBalanceMinor, openedAt: endedAt });
    },
  );
}
