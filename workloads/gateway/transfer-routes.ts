import {
  clientName,
  CLIENT_HEADER,
  idempotencyHeaders,
  PROBLEMS as IDEMPOTENCY,
  REPLAYED_HEADER,
} from '../shared/contracts/idempotency.ts';
import { PROBLEMS as LEDGER } from '../shared/contracts/ledger.ts';
import {
  completedTransfer,
  PROBLEMS as TRANSFERS,
  TRANSFER_REJECTIONS,
  transferFields,
  transferParams,
  transferRequest,
  transferView,
} from '../shared/contracts/transfers.ts';
import { PROBLEMS as UNAVAILABLE } from '../shared/contracts/unavailable.ts';
import { clientOf } from '../shared/kernel/auth/routes.ts';
import { nameIds } from '../shared/kernel/http-telemetry.ts';
import { answers } from '../shared/kernel/http.ts';
import type { HttpApp } from '../shared/kernel/http.ts';
import type { ServiceClient } from '../shared/kernel/service-client.ts';

/** The orchestrator waits for the ledger with retries, within the deadline of the request. */
const ATTEMPT_MS = 4_500;

/** How the gateway calls the orchestrator, apart from address and key. The ledger's failure is not the orchestrator's. */
export const ORCHESTRATOR_CLIENT = {
  name: 'orchestrator',
  unavailable: UNAVAILABLE.orchestrator_unavailable,
  passed: [UNAVAILABLE.ledger_unavailable],
  keptHeaders: [REPLAYED_HEADER],
};

/** Adds the routes of transfers that the gateway forwards to the orchestrator. */
export function transferRoutes(app: HttpApp, orchestrator: ServiceClient): void {
  const unavailable = UNAVAILABLE.orchestrator_unavailable;
  app.post(
    '/api/v1/transfers',
    {
      config: { scopes: ['transfers:write'] },
      schema: {
        summary: 'Moves an amount from one account to another, once for an idempotency key',
        headers: idempotencyHeaders,
        body: transferRequest,
        response: answers(
          201,
          completedTransfer,
          ...TRANSFER_REJECTIONS.map((type) => LEDGER[type]),
          TRANSFERS.transfer_in_progress,
          TRANSFERS.same_account,
          IDEMPOTENCY.idempotency_key_reused,
          UNAVAILABLE.ledger_unavailable,
          unavailable,
        ),
      },
    },
    async (request, reply) => {
      const { headers: given, body } = request;
      nameIds(request, transferFields(body));
      const headers = { 'idempotency-key': given['idempotency-key'], [CLIENT_HEADER]: clientName(clientOf(request)) };
      const options = { idempotent: true, attemptMs: ATTEMPT_MS, headers };
      const answer = await orchestrator.post({ path: '/api/v1/transfers' }, body, completedTransfer, options);
      nameIds(request, { transfer_id: answer.body.transferId });
      const replayed = answer.headers.get(REPLAYED_HEADER);
      if (replayed !== null) void reply.header(REPLAYED_HEADER, replayed);
      return reply.status(201).send(answer.body);
    },
  );
  app.get(
    '/api/v1/transfers/:id',
    {
      config: { scopes: ['transfers:read'], ids: { id: 'transfer_id' } },
      schema: {
        summary: 'One transfer',
        params: transferParams,
        response: answers(200, transferView, TRANSFERS.transfer_not_found, unavailable),
      },
    },
    ({ params: { id } }) => orchestrator.get({ path: `/api/v1/transfers/${id}`, template: '/api/v1/transfers/{id}' }, transferView),
  );
}
