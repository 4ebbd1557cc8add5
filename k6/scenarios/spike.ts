/** Reads with 5 users, with up to 50 for a while, and with 5 again: how fast the platform is during a spike and after it. */
import { accountIds, readAccount } from '../lib/accounts.ts';
import { scaled } from '../lib/environment.ts';
import { optionsFor } from '../lib/options.ts';
import { writeSummary, type SummaryData } from '../lib/report.ts';

const USERS = 5;
const SPIKE_USERS = 50;
const HALF_MINUTE = 30;

/** Three minutes. Metrics carry the name of each part as the tag `scenario`. */
export const options = optionsFor('spike', {
  before: { executor: 'constant-vus', vus: USERS, duration: scaled(HALF_MINUTE), gracefulStop: '5s' },
  spike: {
    executor: 'ramping-vus',
    startTime: scaled(HALF_MINUTE),
    startVUs: USERS,
    stages: [
      { target: SPIKE_USERS, duration: scaled(HALF_MINUTE) },
      { target: SPIKE_USERS, duration: scaled(2 * HALF_MINUTE) },
      { target: USERS, duration: scaled(HALF_MINUTE) },
    ],
    gracefulRampDown: '5s',
    gracefulStop: '5s',
  },
  after: { executor: 'constant-vus', startTime: scaled(5 * HALF_MINUTE), vus: USERS, duration: scaled(HALF_MINUTE), gracefulStop: '5s' },
});

export function setup(): string[] {
  return accountIds();
}

export default function spike(ids: string[]): void {
  readAccount(ids);
}

export function handleSummary(data: SummaryData): Record<string, string> {
  return writeSummary('spike', data);
}
