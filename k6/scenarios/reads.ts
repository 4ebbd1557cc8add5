/** Reads accounts, balances and statements, with a number of users that grows to 20. */
import { accountIds, readAccount } from '../lib/accounts.ts';
import { scaled } from '../lib/environment.ts';
import { optionsFor } from '../lib/options.ts';
import { writeSummary, type SummaryData } from '../lib/report.ts';

const MINUTE = 60;

/** 14 minutes. */
const STAGES = [
  { target: 10, duration: scaled(2 * MINUTE) },
  { target: 10, duration: scaled(5 * MINUTE) },
  { target: 20, duration: scaled(2 * MINUTE) },
  { target: 20, duration: scaled(3 * MINUTE) },
  { target: 0, duration: scaled(2 * MINUTE) },
];

export const options = optionsFor('reads', { reads: { executor: 'ramping-vus', startVUs: 1, stages: STAGES } });

export function setup(): string[] {
  return accountIds();
}

export default function reads(ids: string[]): void {
  readAccount(ids);
}

export function handleSummary(data: SummaryData): Record<string, string> {
  return writeSummary('reads', data);
}
