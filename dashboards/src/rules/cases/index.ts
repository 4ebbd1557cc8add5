import * as operations from './operations.ts';
import * as stores from './stores.ts';
import * as system from './system.ts';

export type { AlertCase, RecordCase } from './case.ts';
export { INTERVAL } from './case.ts';

export const ALERT_CASES = [...system.alerts, ...stores.alerts, ...operations.alerts];
export const RECORD_CASES = [...system.records, ...stores.records, ...operations.records];
