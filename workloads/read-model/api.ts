import { accountParams, PROBLEMS as LEDGER } from '../shared/contracts/ledger.ts';
import {
  balanceQuery,
  balanceView,
  PROBLEMS as READ_MODEL,
  statementLinesQuery,
  statementLinesView,
  type AtLeast,
} from '../shared/contracts/read-model.ts';
import { remainingMs } from '../shared/kernel/deadline.ts';
import { answers } from '../shared/kernel/http.ts';
import type { HttpApp } from '../shared/kernel/http.ts';
import { Problem, PROBLEMS } from '../shared/kernel/problems.ts';
import type { Changes } from './changes.ts';
import type { Freshness } from './freshness.ts';
import type { ReadModelMetrics } from './metrics.ts';
import type { ProjectedAccount, ReadModelStore } from './store.ts';

/** Time that the answer to a request that waited in vain needs before its deadline. */
const ANSWER_MS = 250;
const RETRY_AFTER_SECONDS = 1;

export interface ReadParts {
  store: Pick<ReadModelStore, 'balance' | 'statement'>;
  changes: Changes;
  freshness: Freshness;
  metrics: ReadModelMetrics;
}

const isIncluded = (account: ProjectedAccount, { minSequence = 0 }: AtLeast): boolean =>
  account.sequence >= minSequence && account.hasTransaction;

/**
 * Reads until the posting that the request asks for is included. Between two reads it waits for the next posting of the account.
 * @throws Problem `not_yet_projected` shortly before the deadline; `account_not_found` when nothing is projected and nothing is asked for
 */
async function readAtLeast<T extends ProjectedAccount>(
  { changes, freshness, metrics }: ReadParts,
  accountId: string,
  wanted: AtLeast,
  read: () => Promise<T | undefined>,
): Promise<T & { asOf: string }> {
  for (;;) {
    const completeUntil = freshness.snapshot();
    const found = await read();
    if (found && isIncluded(found, wanted)) return { ...found, asOf: freshness.asOf(completeUntil.get(found.partition), found.postedAt) };
    if (wanted.minSequence === undefined && wanted.afterTransaction === undefined)
      throw new Problem(LEDGER.account_not_found, `There is no account ${accountId} with postings.`);
    const left = remainingMs() - ANSWER_MS;
    if (left <= 0) {
      metrics.notYetProjected.inc();
      throw new Problem(
        READ_MODEL.not_yet_projected,
        `The last projected posting of account ${accountId} has the sequence ${found?.sequence ?? 0}; retry in a moment.`,
        { retryAfterSeconds: RETRY_AFTER_SECONDS },
      );
    }
    await changes.wait(accountId, found?.sequence ?? 0, left);
  }
}

/** Adds balance and statement. */
export function readModelRoutes(app: HttpApp, parts: ReadParts): void {
  const { store, metrics } = parts;
  const problems = [LEDGER.account_not_found, READ_MODEL.not_yet_projected, PROBLEMS.database_unavailable];
  app.get(
    '/api/v1/accounts/:id/balance',
    {
      config: { scopes: ['ledger:read'], ids: { id: 'account_id' } },
      schema: {
        summary: 'Balance of an account in minor units, now or at a time, with its freshness',
        params: accountParams,
        querystring: balanceQuery,
        response: answers(200, balanceView, ...problems),
      },
    },
    async ({ params: { id }, query }) => {
      const found = await readAtLeast(parts, id, query, () => store.balance(id, query.at, query));
      metrics.balanceQueries.inc();
      return { accountId: id, ...found };
    },
  );
  app.get(
    '/api/v1/accounts/:id/statement',
    {
      config: { scopes: ['ledger:read'], ids: { id: 'account_id' } },
      schema: {
        summary: 'Postings of an account, newest first, by period and page, with its freshness',
        params: accountParams,
        querystring: statementLinesQuery,
        response: answers(200, statementLinesView, ...problems),
      },
    },
    async ({ params: { id }, query }) => {
      const found = await readAtLeast(parts, id, query, () => store.statement(id, query));
      metrics.statementQueries.inc();
      return { accountId: id, ...found, next: found.lines.length === query.limit ? (found.lines.at(-1)?.sequence ?? null) : null };
    },
  );
}
