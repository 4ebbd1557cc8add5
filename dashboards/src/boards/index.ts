/** Every dashboard. */
import type { Board } from './board.ts';
import { operator } from './operator.ts';
import { overview } from './overview.ts';
import { cache, database, kafka } from './stores.ts';
import { autoscaling, creditLedger, interest, slo } from './workloads.ts';

export { dashboard, type Board } from './board.ts';

export const BOARDS: readonly Board[] = [overview, kafka, database, cache, interest, autoscaling, creditLedger, operator, slo];
