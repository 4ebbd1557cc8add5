import * as apis from './apis.ts';
import * as capacity from './capacity.ts';
import * as eventPath from './event-path.ts';
import * as operations from './operations.ts';
import * as stores from './stores.ts';
import * as system from './system.ts';
import * as telemetry from './telemetry.ts';

export type { AlertCase, RecordCase } from './case.ts';
export { INTERVAL } from './case.ts';

export const ALERT_CASES = [
  ...system.alerts,
  ...stores.alerts,
  ...operations.alerts,
  ...apis.alerts,
  ...eventPath.alerts,
  ...telemetry.alerts,
  ...capacity.alerts,
];
export const RECORD_CASES = [
  ...system.records,
  ...stores.records,
  ...operations.records,
  ...apis.records,
  ...eventPath.records,
  ...capacity.records,
];
