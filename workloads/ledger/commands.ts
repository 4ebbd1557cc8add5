import {
  accountParams,
  accountView,
  batchView,
  holdView,
  MAX_BATCH,
  openAccount,
  placeHold,
  postBatch,
  postedView,
  postTransaction,
  PROBLEMS as LEDGER,
  reverseTransaction,
  settleHold,
  transactionView,
  uuidParams,
} from '../shared/contracts/ledger.ts';
import type { ErrorType, HoldView, PostTransaction } from '../shared/contracts/ledger.ts';
import { ExpiredInQueue } from '../shared/kernel/group-commit.ts';
import { nameIds } from '../shared/kernel/http-telemetry.ts';
import { transferIdOf } from '../shared/contracts/transfers.ts';
import { answers } from '../shared/kernel/http.ts';
import type { HttpApp } from '../shared/kernel/http.ts';
import { Problem, PROBLEMS } from '../shared/kernel/problems.ts';
import type { LedgerEngine } from './engine.ts';
import type { LedgerMetrics } from './metrics.ts';
import { holdOperation, InvalidOperation, postOperation, reverseOperation, settleOperation, voidOperation } from './operations.ts';
import type { FixedHold, Operation, Outcome } from './operations.ts';
import type { LedgerStore } from './store.ts';

/** Of a batch: {@link MAX_BATCH} transactions of two postings need a quarter of it. */
const BATCH_BODY_BYTES = 1_048_576;
const POSTING_PROBLEMS = [
  LEDGER.account_not_found,
  LEDGER.account_closed,
  LEDGER.duplicate,
  LEDGER.insufficient_funds,
  LEDGER.currency_mismatch,
  LEDGER.balance_out_of_range,
  PROBLEMS.database_unavailable,
];
const READ = { scopes: ['ledger:read'] } as const;
const WRITE = { scopes: ['ledger:write'] } as const;

interface Parts {
  readonly store: LedgerStore;
  readonly engine: LedgerEngine;
  readonly metrics: LedgerMetrics;
}

/** Adds the operations that change the ledger. A rejection is a problem whose code is the error type. */
export function ledgerCommands(app: HttpApp, { store, engine, metrics }: Parts): void {
  const reject = (errorType: ErrorType, detail: string): never => {
    metrics.rejected(errorType);
    throw new Problem(LEDGER[errorType], detail);
  };
  /** Builds an operation from a request, and applies it. */
  const apply = async (build: () => Operation): Promise<{ id: string; replayed: boolean }> => {
    const outcome = await submitted(engine.submit(built(build, reject)));
    if (outcome.errorType !== undefined) throw new Problem(LEDGER[outcome.errorType], outcome.detail);
    return outcome;
  };
  const holdOf = async (id: string): Promise<HoldView> => (await store.hold(id)) ?? reject('hold_not_found', `There is no hold ${id}.`);

  accountCommands(app, store);
  app.post(
    '/api/v1/transactions',
    {
      config: WRITE,
      schema: {
        summary: 'Posts one transaction',
        body: postTransaction,
        response: answers(200, postedView, LEDGER.unbalanced, ...POSTING_PROBLEMS),
      },
    },
    async (request) => {
      const { body } = request;
      nameIds(request, transferIdOf(body.externalId));
      const { id, replayed } = await apply(() => postOperation(body));
      nameIds(request, { entry_id: id });
      return { transactionId: id, externalId: body.externalId, replayed };
    },
  );
  app.post(
    '/api/v1/transactions/batch',
    {
      bodyLimit: BATCH_BODY_BYTES,
      config: WRITE,
      schema: {
        summary: `Posts up to ${MAX_BATCH} transactions in order, each accepted or rejected on its own`,
        body: postBatch,
        response: answers(200, batchView, PROBLEMS.database_unavailable),
      },
    },
    async ({ body }) => ({ results: await batchResults(body.transactions, engine, metrics) }),
  );
  app.get(
    '/api/v1/transactions/:id',
    {
      config: READ,
      schema: {
        summary: 'One transaction with its postings',
        params: uuidParams,
        response: answers(200, transactionView, LEDGER.transaction_not_found, PROBLEMS.database_unavailable),
      },
    },
    async ({ params: { id } }) => {
      const transaction = await store.transaction(id);
      if (!transaction) throw new Problem(LEDGER.transaction_not_found, `There is no transaction ${id}.`);
      return transaction;
    },
  );
  app.post(
    '/api/v1/transactions/:id/reversal',
    {
      config: WRITE,
      schema: {
        summary: 'Posts the opposite of a transaction',
        params: uuidParams,
        body: reverseTransaction,
        response: answers(
          200,
          postedView,
          LEDGER.transaction_not_found,
          LEDGER.already_reversed,
          LEDGER.not_reversible,
          ...POSTING_PROBLEMS,
        ),
      },
    },
    async ({ params, body }) => {
      const original = (await store.transaction(params.id)) ?? reject('transaction_not_found', `There is no transaction ${params.id}.`);
      const lines = original.postings.map(({ accountId, amountMinor }) => ({ accountId, amountMinor: BigInt(amountMinor) }));
      const { id, replayed } = await apply(() => reverseOperation(body, { ...original, lines }));
      return { transactionId: id, externalId: body.externalId, replayed };
    },
  );

  app.post(
    '/api/v1/holds',
    {
      config: WRITE,
      schema: { summary: 'Reserves an amount of an account', body: placeHold, response: answers(200, holdView, ...POSTING_PROBLEMS) },
    },
    async ({ body }) => holdOf((await apply(() => holdOperation(body))).id),
  );
  app.get(
    '/api/v1/holds/:id',
    {
      config: READ,
      schema: {
        summary: 'One hold',
        params: uuidParams,
        response: answers(200, holdView, LEDGER.hold_not_found, PROBLEMS.database_unavailable),
      },
    },
    async ({ params: { id } }) => {
      const hold = await store.hold(id);
      if (!hold) throw new Problem(LEDGER.hold_not_found, `There is no hold ${id}.`);
      return hold;
    },
  );
  const endingProblems = [LEDGER.hold_not_found, LEDGER.hold_not_pending, LEDGER.hold_expired, ...POSTING_PROBLEMS];
  app.post(
    '/api/v1/holds/:id/settle',
    {
      config: WRITE,
      schema: {
        summary: 'Moves the amount of a hold, or a part of it, to another account and releases the rest',
        params: uuidParams,
        body: settleHold,
        response: answers(200, postedView, LEDGER.hold_exceeded, ...endingProblems),
      },
    },
    async ({ params, body }) => {
      const hold = fixed(await holdOf(params.id));
      const { id, replayed } = await apply(() => settleOperation(body, hold));
      return { transactionId: id, externalId: body.externalId, replayed };
    },
  );
  app.post(
    '/api/v1/holds/:id/void',
    { config: WRITE, schema: { summary: 'Releases a hold', params: uuidParams, response: answers(200, holdView, ...endingProblems) } },
    async ({ params }) => {
      const hold = fixed(await holdOf(params.id));
      await apply(() => voidOperation(hold));
      return holdOf(params.id);
    },
  );
}

function accountCommands(app: HttpApp, store: LedgerStore): void {
  const unavailable = PROBLEMS.database_unavailable;
  app.post(
    '/api/v1/accounts',
    {
      config: WRITE,
      schema: {
        summary: 'Opens an account',
        body: openAccount,
        response: answers(200, accountView, LEDGER.account_exists, LEDGER.currency_not_found, LEDGER.product_not_found, unavailable),
      },
    },
    async ({ body }) => {
      const result = await store.open(body);
      if ('errorType' in result) throw new Problem(LEDGER[result.errorType]);
      return result.account;
    },
  );
  app.post(
    '/api/v1/accounts/:id/close',
    {
      config: WRITE,
      schema: {
        summary: 'Closes an account that has neither balance nor holds',
        params: accountParams,
        response: answers(200, accountView, LEDGER.account_not_found, LEDGER.account_not_empty, unavailable),
      },
    },
    async ({ params }) => {
      const result = await store.close(params.id);
      if ('errorType' in result) throw new Problem(LEDGER[result.errorType]);
      return result.account;
    },
  );
}

function built(build: () => Operation, reject: (errorType: ErrorType, detail: string) => never): Operation {
  try {
    return build();
  } catch (error) {
    if (error instanceof InvalidOperation) return reject(error.errorType, error.message);
    throw error;
  }
}

async function submitted<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof ExpiredInQueue) throw new Problem(PROBLEMS.deadline_exceeded, 'Retry in a moment.', { retryAfterSeconds: 1 });
    throw error;
  }
}

function fixed({ id, accountId, currency, amountMinor }: HoldView): FixedHold {
  return { id, accountId, currency, amountMinor: BigInt(amountMinor) };
}

type BatchResult = {
  externalId: string;
  status: 'posted' | 'replayed' | 'rejected';
  transactionId: string | null;
  errorType: ErrorType | null;
  detail: string | null;
};

async function batchResults(transactions: PostTransaction[], engine: LedgerEngine, metrics: LedgerMetrics): Promise<BatchResult[]> {
  const operations = transactions.map((transaction) => operationOrRejection(transaction));
  const outcomes = await submitted(engine.submitAll(operations.filter((one): one is Operation => !('errorType' in one))));
  let next = 0;
  return operations.map((operation, index) => {
    const externalId = transactions[index]?.externalId ?? '';
    if ('errorType' in operation) metrics.rejected(operation.errorType);
    const outcome = 'errorType' in operation ? operation : outcomes[next++];
    if (outcome === undefined) throw new Error(`no outcome for ${externalId}`);
    return batchResult(externalId, outcome);
  });
}

function operationOrRejection(transaction: PostTransaction): Operation | { errorType: ErrorType; detail: string } {
  try {
    return postOperation(transaction);
  } catch (error) {
    if (error instanceof InvalidOperation) return { errorType: error.errorType, detail: error.message };
    throw error;
  }
}

function batchResult(externalId: string, outcome: Outcome): BatchResult {
  if (outcome.errorType !== undefined) {
    return { externalId, status: 'rejected', transactionId: null, errorType: outcome.errorType, detail: outcome.detail };
  }
  const status = outcome.replayed ? 'replayed' : 'posted';
  return { externalId, status, transactionId: outcome.id, errorType: null, detail: null };
}
