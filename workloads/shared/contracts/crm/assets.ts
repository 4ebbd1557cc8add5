/** Assets: devices and SIM cards, in stock or with a customer (TMF639). */
import { z } from 'zod';
import { changesOf, id, line, resourceFields } from './common.ts';
import { resourceRoutes } from './resource.ts';
import type { ResourceContract } from './resource.ts';
import { STATE_MACHINES, statesOf } from './states.ts';

const status = z.enum(statesOf('asset'));
const type = z.enum(['sim', 'router', 'setTopBox', 'phone', 'meter']);
const serialNumber = z.string().regex(/^[A-Za-z0-9-]{1,64}$/, 'must be 1 to 64 letters, digits or "-"');

export const assetView = z.object({
  ...resourceFields,
  customerId: id.nullable().describe('null: in stock'),
  serviceId: id.nullable().describe('The service that it is used for'),
  type,
  model: z.string(),
  serialNumber: z.string(),
  status,
});
export type Asset = z.output<typeof assetView>;

export const newAsset = z.strictObject({
  customerId: id.nullable().optional(),
  serviceId: id.nullable().optional(),
  type,
  model: line(100),
  serialNumber: serialNumber.describe('Unique'),
  status: status.extract([...STATE_MACHINES.asset.initial]).default(STATE_MACHINES.asset.initial[0]),
});

const changes = changesOf({ status, customerId: id.nullable(), serviceId: id.nullable(), model: line(100) });

export const ASSETS = {
  family: 'assets',
  noun: 'asset',
  view: assetView,
  create: newAsset,
  change: changes,
  filters: { status, type, customerId: id, serviceId: id, serialNumber },
  sorts: ['createdAt', 'updatedAt'],
} as const satisfies ResourceContract;

export const assetRoutes = resourceRoutes(ASSETS);
