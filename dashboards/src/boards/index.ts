/** Every dashboard, in the order in which the documentation lists them. */
import type { Board } from './board.ts';
import { business } from './business.ts';
import { components } from './components.ts';
import { logs } from './logs.ts';
import { monitoring } from './monitoring.ts';
import { operator } from './operator.ts';
import { overview } from './overview.ts';
import { cache, database, kafka } from './stores.ts';
import { system } from './system.ts';
import { traces } from './traces.ts';
import { autoscaling, creditLedger, interest, slo } from './workloads.ts';

export type { Board } from './board.ts';
export { dashboard } from './build.ts';

export const BOARDS: readonly Board[] = [
  overview,
  business,
  system,
  components,
  kafka,
  database,
  cache,
  interest,
  autoscaling,
  creditLedger,
  slo,
  logs,
  traces,
  monitoring,
  operator,
];
