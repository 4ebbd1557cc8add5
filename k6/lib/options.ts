/** What the options of all scenarios have in common. */
import type { Options, Scenario } from 'k6/options';
import { targetsOf, thresholdsOf, type ScenarioName } from '../targets.ts';
import { events } from './environment.ts';
import { STATISTICS } from './summary.ts';

/** @param parts scenarios of k6 by name; most runs have one */
export function optionsFor(scenario: ScenarioName, parts: Record<string, Scenario>): Options {
  return {
    scenarios: parts,
    thresholds: thresholdsOf(targetsOf(scenario, events)),
    summaryTrendStats: STATISTICS,
    // A redirect could lead away from loopback, and the API does not redirect.
    maxRedirects: 0,
    userAgent: 'bss-platform-k6',
  };
}
