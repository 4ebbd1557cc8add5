/** Balances and statements: from the read model, or from the ledger where the platform has no read model, or where it cannot answer. */
import type { z } from 'zod';
import { accountParams, PROBLEMS as LEDGER } from '../shared/contracts/ledger.ts';
import {
  balanceQuery,
  balanceView,
  PROBLEMS as READ_MODEL,
  statementLinesQuery,
  statementLinesView,
  type AtLeast,
} from '../shared/contracts/read-model.ts';
import { PROBLEMS as UNAVAILABLE } from '../shared/contracts/unavailable.ts';
import { remainingMs, withDeadline } from '../shared/kernel/deadline.ts';
import { answers } from '../shared/kernel/http.ts';
import type { HttpApp } from '../shared/kernel/http.ts';
import type { Metrics } from '../shared/kernel/metrics.ts';
import { Problem, type ProblemDefinition } from '../shared/kernel/problems.ts';
import type { ServiceClient } from '../shared/kernel/service-client.ts';

/** Time for the read model, where nothing is waited for. */
const READ_MS = 1_500;
/** Time that the ledger needs if the read model does not answer. */
const RESERVED_MS = 1_500;
const SOURCE_HEADER = 'x-bss-source';

/** The read model does not answer. No client sees it: the ledger answers instead. */
export const READ_MODEL_AWAY: ProblemDefinition = {
  code: 'read_model_unavailable',
  status: 503,
  title: 'The read model does not answer',
};

/** Where a balance or a statement came from. */
type Source = 'read-model' | 'ledger';

interface Sources {
  ledger: Pick<ServiceClient, 'get'>;
  readModel: Pick<ServiceClient, 'get'> | undefined;
}

// The ledger's answers have no freshness: they are current.
const balance = balanceView.partial({ sequence: true, asOf: true });
const statement = statementLinesView.partial({ sequence: true, asOf: true });

/** The parameters that a request has, as a query string. */
function queryString(query: Record<string, string | number | undefined>): string {
  const given = Object.entries(query).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]]));
  return given.length === 0 ? '' : `?${new URLSearchParams(given).toString()}`;
}

/** A reader that waits for its own writes waits in the read model. Half of the time is left for the ledger at least. */
function timeForReadModel({ minSequence, afterTransaction }: AtLeast): number {
  const waits = minSequence !== undefined || afterTransaction !== undefined;
  const short = Math.min(READ_MS, remainingMs() / 2);
  return waits ? Math.max(short, remainingMs() - RESERVED_MS) : short;
}

/** The ledger can answer what the read model does not know, and while it does not answer. */
function isForLedger(error: unknown): boolean {
  const codes = [LEDGER.account_not_found.code, READ_MODEL_AWAY.code];
  return error instanceof Problem && codes.includes(error.code);
}

/** Reads one of the two resources of an account. */
function reader<S extends z.ZodType>({ ledger, readModel }: Sources, resource: 'balance' | 'statement', shape: S) {
  const template = `/api/v1/accounts/{id}/${resource}`;
  return async (
    id: string,
    { minSequence, afterTransaction, ...query }: AtLeast & Record<string, string | number | undefined>,
  ): Promise<{ source: Source; body: z.output<S> }> => {
    const path = `/api/v1/accounts/${encodeURIComponent(id)}/${resource}`;
    const wanted = { minSequence, afterTransaction };
    if (readModel) {
      try {
        const limitMs = timeForReadModel(wanted);
        const target = { path: `${path}${queryString({ ...query, ...wanted })}`, template };
        const body = await withDeadline(limitMs, () => readModel.get(target, shape, { attemptMs: limitMs }));
        return { source: 'read-model', body };
      } catch (error) {
        if (!isForLedger(error)) throw error;
      }
    }
    return { source: 'ledger', body: await ledger.get({ path: `${path}${queryString(query)}`, template }, shape) };
  };
}

/** Adds balance and statement. The header `x-bss-source` of an answer names the service that it came from. */
export function projectedRoutes(app: HttpApp, sources: Sources, metrics: Metrics): void {
  const reads = metrics.counter(
    'gateway_account_reads_total',
    'Balances and statements answered, by the service that they came from',
    ['source'],
    // The series of the read model tells that the platform has one.
    [...(sources.readModel ? [{ source: 'read-model' as const }] : []), { source: 'ledger' as const }],
  );
  const problems = [LEDGER.account_not_found, READ_MODEL.not_yet_projected, UNAVAILABLE.ledger_unavailable];
  const readBalance = reader(sources, 'balance', balance);
  const readStatement = reader(sources, 'statement', statement);
  app.get(
    '/api/v1/accounts/:id/balance',
    {
      config: { scopes: ['ledger:read'], ids: { id: 'account_id' } },
      schema: {
        summary: 'Balance of an account in minor units, now or at a time',
        params: accountParams,
        querystring: balanceQuery,
        response: answers(200, balance, ...problems),
      },
    },
    async ({ params, query }, reply) => {
      const { source, body } = await readBalance(params.id, query);
      reads.inc({ source });
      void reply.header(SOURCE_HEADER, source);
      return body;
    },
  );
  app.get(
    '/api/v1/accounts/:id/statement',
    {
      config: { scopes: ['ledger:read'], ids: { id: 'account_id' } },
      schema: {
        summary: 'Postings of an account, newest first, by period and page',
        params: accountParams,
        querystring: statementLinesQuery,
        response: answers(200, statement, ...problems),
      },
    },
    async ({ params, query }, reply) => {
      const { source, body } = await readStatement(params.id, query);
      reads.inc({ source });
      void reply.header(SOURCE_HEADER, source);
      return body;
    },
  );
}
