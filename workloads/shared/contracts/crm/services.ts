/** Services: what is provisioned for a customer (TMF638). */
import { z } from 'zod';
import { changesOf, date, id, resourceFields } from './common.ts';
import { resourceRoutes } from './resource.ts';
import type { ResourceContract } from './resource.ts';
import { STATE_MACHINES, statesOf } from './states.ts';

const status = z.enum(statesOf('service'));
const type = z.enum(['mobile', 'broadband', 'tv', 'voice', 'iot']);

export const serviceView = z.object({
  ...resourceFields,
  customerId: id,
  subscriptionId: id.nullable().describe('The subscription that pays for it'),
  type,
  status,
  startDate: date.nullable().describe('Set when the service becomes active'),
  endDate: date.nullable().describe('Set when the service is terminated'),
});
export type Service = z.output<typeof serviceView>;

export const newService = z.strictObject({
  customerId: id,
  subscriptionId: id.nullable().optional(),
  type,
  status: status.extract([...STATE_MACHINES.service.initial]).default(STATE_MACHINES.service.initial[0]),
});

const changes = changesOf({ status, subscriptionId: id.nullable() });

export const SERVICES = {
  family: 'services',
  noun: 'service',
  view: serviceView,
  create: newService,
  change: changes,
  filters: { status, type, customerId: id, subscriptionId: id },
  sorts: ['createdAt', 'updatedAt'],
} as const satisfies ResourceContract;

export const serviceRoutes = resourceRoutes(SERVICES);
