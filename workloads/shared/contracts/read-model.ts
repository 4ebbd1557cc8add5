/** The HTTP contract of the read model: the ledger's balances and statements, with how fresh they are. */
import { z } from 'zod';
import { defineProblems } from '../kernel/problems.ts';
import { balanceQuery as ledgerBalanceQuery, balanceView as ledgerBalance, statementQuery, statementView } from './ledger.ts';

/** Problems that the read model answers with, beside the ledger's `account_not_found`. */
export const PROBLEMS = defineProblems({
  not_yet_projected: { status: 503, title: 'The read model does not have the postings that the request asks for yet' },
});

/** What a reader that has written asks for. */
const atLeast = {
  minSequence: z.coerce
    .number()
    .int()
    .min(1)
    .max(Number.MAX_SAFE_INTEGER)
    .optional()
    .describe('Waits until the posting of the account with this sequence is included'),
  afterTransaction: z.uuid().optional().describe('Waits until the posting of the account in this transaction is included'),
};

const freshness = {
  sequence: z.number().describe('Place of the last posting that is included among those of the account'),
  asOf: z.iso.datetime().describe('Every posting of the account that Kafka had at this time is included'),
};

export const balanceQuery = ledgerBalanceQuery.extend(atLeast);
export const balanceView = ledgerBalance.extend(freshness);
export const statementLinesQuery = statementQuery.extend(atLeast);
export const statementLinesView = statementView.extend(freshness);

export type AtLeast = Pick<z.output<typeof balanceQuery>, 'minSequence' | 'afterTransaction'>;
export type StatementLinesQuery = z.output<typeof statementLinesQuery>;
