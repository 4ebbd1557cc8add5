/** Gives k6 the summary of a run: a text for the terminal, and a page with its data where RESULTS_FOLDER is set. */
import { targetsOf, type ScenarioName } from '../targets.ts';
import { events, facts, resultsFolder } from './environment.ts';
import { summaryJson, summaryPage, summaryText, type Run, type SummaryData } from './summary.ts';

export type { SummaryData } from './summary.ts';

/** @returns content by path, as `handleSummary` does */
export function writeSummary(scenario: ScenarioName, data: SummaryData): Record<string, string> {
  const run: Run = { scenario, targets: targetsOf(scenario, events), at: new Date(), ...facts };
  const stdout = summaryText(run, data);
  if (!resultsFolder) return { stdout };
  const path = `${resultsFolder}/load-${scenario}`;
  return { stdout, [`${path}.md`]: summaryPage(run, data), [`${path}.json`]: summaryJson(run, data) };
}
