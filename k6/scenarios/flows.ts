/** The flows of the BSS APIs with generated customers, with a number of users that grows to 10. */
import { scaled } from '../lib/environment.ts';
import { telecom, work, type Telecom } from '../lib/flows.ts';
import { optionsFor } from '../lib/options.ts';
import { writeSummary, type SummaryData } from '../lib/report.ts';

const MINUTE = 60;

/** 4 minutes. */
const STAGES = [
  { target: 10, duration: scaled(MINUTE) },
  { target: 10, duration: scaled(2 * MINUTE) },
  { target: 0, duration: scaled(MINUTE) },
];

export const options = optionsFor('flows', { flows: { executor: 'ramping-vus', startVUs: 1, stages: STAGES } });

export function setup(): Telecom {
  return telecom();
}

export default function flows(found: Telecom): void {
  work(found);
}

export function handleSummary(data: SummaryData): Record<string, string> {
  return writeSummary('flows', data);
}
