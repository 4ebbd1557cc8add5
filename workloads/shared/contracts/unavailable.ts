import { defineProblems } from '../kernel/problems.ts';

/** Problems of a service that calls another one: which of them does not answer. */
export const PROBLEMS = defineProblems({
  ledger_unavailable: { status: 503, title: 'The ledger does not answer' },
  orchestrator_unavailable: { status: 503, title: 'The orchestrator does not answer' },
  accounts_unavailable: { status: 503, title: 'The service of accounts does not answer' },
  crm_unavailable: { status: 503, title: 'The CRM service does not answer' },
});
