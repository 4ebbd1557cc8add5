import { randomUUIDv7 } from 'node:crypto';
import { clientName, CLIENT_HEADER, forwardedHeaders, PROBLEMS as IDEMPOTENCY, REPLAYED_HEADER } from '../shared/contracts/idempotency.ts';
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
import type { CompletedTransfer, TransferView } from '../shared/contracts/transfers.ts';
import { PROBLEMS as UNAVAILABLE } from '../shared/contracts/unavailable.ts';
import { clientOf } from '../shared/kernel/auth/routes.ts';
import { ExpiredInQueue } from '../shared/kernel/group-commit.ts';
import { nameIds } from '../shared/kernel/http-telemetry.ts';
import { answers } from '../shared/kernel/http.ts';
import type { HttpApp } from '../shared/kernel/http.ts';
import { Problem, PROBLEMS } from '../shared/kernel/problems.ts';
import type { Transfer, TransferStore } from './store.ts';
import type { Answered, Transfers } from './transfers.ts';

const REPLAYED = { [REPLAYED_HEADER]: 'true' };

/** Adds the routes of transfers. */
export function transferRoutes(app: HttpApp, { transfers, store }: { transfers: Transfers; store: TransferStore }): void {
  app.post(
    '/api/v1/transfers',
    {
      config: { scopes: ['transfers:write'] },
      schema: {
        summary: 'Moves an amount from one account to another, once for an idempotency key',
        headers: forwardedHeaders,
        body: transferRequest,
        response: answers(
          201,
          completedTransfer,
          ...TRANSFER_REJECTIONS.map((type) => LEDGER[type]),
          TRANSFERS.transfer_in_progress,
          TRANSFERS.same_account,
          IDEMPOTENCY.idempotency_key_reused,
          UNAVAILABLE.ledger_unavailable,
          PROBLEMS.database_unavailable,
        ),
      },
    },
    async (request, reply) => {
      const { headers, body } = request;
      if (body.fromAccount === body.toAccount) throw new Problem(TRANSFERS.same_account, 'Name two accounts.');
      const client = headers[CLIENT_HEADER] ?? clientName(clientOf(request));
      const wanted = { ...body, id: randomUUIDv7(), client, key: headers['idempotency-key'] };
      const named = (id: string): void => nameIds(request, { transfer_id: id, ...transferFields(body) });
      const { transfer, replayed } = await answered(transfers.request(wanted, named));
      if (transfer.problem) throw Problem.fromBody(transfer.problem, { headers: replayed ? REPLAYED : {} });
      nameIds(request, { entry_id: transfer.transactionId ?? '' });
      if (replayed) void reply.headers(REPLAYED);
      return reply.status(201).send(completed(transfer));
    },
  );
  app.get(
    '/api/v1/transfers/:id',
    {
      config: { scopes: ['transfers:read'], ids: { id: 'transfer_id' } },
      schema: {
        summary: 'One transfer',
        params: transferParams,
        response: answers(200, transferView, TRANSFERS.transfer_not_found, PROBLEMS.database_unavailable),
      },
    },
    async ({ params: { id } }) => {
      const transfer = await store.read(id);
      if (!transfer) throw new Problem(TRANSFERS.transfer_not_found, `There is no transfer ${id}.`);
      return viewOf(transfer);
    },
  );
}

async function answered(work: Promise<Answered>): Promise<Answered> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof ExpiredInQueue) throw new Problem(PROBLEMS.deadline_exceeded, 'Retry in a moment.', { retryAfterSeconds: 1 });
    throw error;
  }
}

function viewOf(transfer: Transfer): TransferView {
  const { id, status, transactionId, problem, createdAt, endedAt, fromAccount, toAccount, amountMinor, currency } = transfer;
  const content = { fromAccount, toAccount, amountMinor, currency };
  const completedAt = status === 'completed' ? endedAt : null;
  return { transferId: id, status, ...content, transactionId, createdAt, completedAt, errorType: problem?.code ?? null };
}

function completed(transfer: Transfer): CompletedTransfer {
  const { errorType: _none, status, transactionId, completedAt, ...view } = viewOf(transfer);
  if (status !== 'completed' || transactionId === null || completedAt === null) throw new Error(`transfer ${transfer.id} is ${status}`);
  return { ...view, status, transactionId, completedAt };
}
