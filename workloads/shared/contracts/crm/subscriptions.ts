/** Subscriptions: products that a customer has, and pays for by month (TMF637). */
import { z } from 'zod';
import { changesOf, currency, date, id, minorUnits, resourceFields, taxBasisPoints } from './common.ts';
import { resourceRoutes } from './resource.ts';
import type { ResourceContract } from './resource.ts';
import { STATE_MACHINES, statesOf } from './states.ts';

const status = z.enum(statesOf('subscription'));
const quantity = z.int().min(1).max(10_000);

export const subscriptionView = z.object({
  ...resourceFields,
  customerId: id,
  productId: id,
  orderId: id.nullable().describe('The order that it comes from'),
  status,
  quantity,
  currency,
  recurringMinor: minorUnits.describe('Price of a month for each of the quantity, as agreed at the beginning'),
  taxBasisPoints,
  startDate: date.nullable().describe('First day that is charged; set when the subscription becomes active'),
  endDate: date.nullable().describe('Last day that is charged; set when the subscription is terminated'),
});
export type Subscription = z.output<typeof subscriptionView>;

export const newSubscription = z.strictObject({
  customerId: id,
  productId: id,
  quantity: quantity.default(1),
  status: status.extract([...STATE_MACHINES.subscription.initial]).default(STATE_MACHINES.subscription.initial[0]),
  startDate: date.nullable().optional(),
});

const changes = changesOf({ status, quantity, startDate: date, endDate: date.nullable() });

export const SUBSCRIPTIONS = {
  family: 'subscriptions',
  noun: 'subscription',
  view: subscriptionView,
  create: newSubscription,
  change: changes,
  filters: { status, customerId: id, productId: id, orderId: id },
  sorts: ['createdAt', 'updatedAt'],
} as const satisfies ResourceContract;

export const subscriptionRoutes = resourceRoutes(SUBSCRIPTIONS);
