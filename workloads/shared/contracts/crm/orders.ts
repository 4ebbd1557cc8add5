/** Orders: products that a customer wants, from a draft to their fulfilment (TMF622). */
import { z } from 'zod';
import { answers } from '../../kernel/http.ts';
import { PROBLEMS as KERNEL } from '../../kernel/problems.ts';
import { PROBLEMS as IDEMPOTENCY } from '../idempotency.ts';
import { createHeaders, currency, id, idParams, line, minorUnits, moment, resourceFields, summaryView, taxBasisPoints } from './common.ts';
import { PROBLEMS } from './problems.ts';
import { resourceRoutes } from './resource.ts';
import type { ResourceContract } from './resource.ts';
import { route } from './route.ts';
import { statesOf } from './states.ts';

const status = z.enum(statesOf('order'));
const reference = line(100).nullable().describe("The customer's own number of the order");
const quantity = z.int().min(1).max(1_000);
/** Most items of an order: an answer has all of them. */
export const MAX_ITEMS = 100;

export const orderItem = z.object({
  line: z.int(),
  productId: id,
  quantity: z.int(),
  oneTimeMinor: minorUnits.describe('One-time price of each of the quantity, when the item was added'),
  recurringMinor: minorUnits.describe('Price of a month for each of the quantity, when the item was added'),
  taxBasisPoints,
  fulfilledAt: moment.nullable(),
  subscriptionId: id.nullable().describe('The subscription that the fulfilment has begun; null for a product without a monthly price'),
});
export type OrderItem = z.output<typeof orderItem>;

export const orderView = z.object({
  ...resourceFields,
  customerId: id,
  status,
  reference,
  currency,
  totalMinor: minorUnits.describe('One-time prices of the items, without tax'),
  recurringMinor: minorUnits.describe('Monthly prices of the items, without tax'),
  items: z.array(orderItem),
  submittedAt: moment.nullable(),
  endedAt: moment.nullable().describe('When it was completed or cancelled'),
});
export type Order = z.output<typeof orderView>;

export const newOrder = z.strictObject({ customerId: id, reference: reference.optional() });
export const newItem = z.strictObject({ productId: id, quantity: quantity.default(1) });
/** Without a body, every item that is not fulfilled yet. */
export const fulfilment = z
  .strictObject({ items: z.array(z.int().min(1)).min(1).max(MAX_ITEMS).optional().describe('Lines to fulfil; default: all that are open') })
  .nullish();

export const ORDERS = {
  family: 'orders',
  noun: 'order',
  view: orderView,
  create: newOrder,
  change: z.strictObject({ reference }),
  filters: { status, customerId: id },
  sorts: ['createdAt', 'updatedAt'],
} as const satisfies ResourceContract;

const one = '/api/v1/orders/:id';
const ids = { id: 'order_id' };
const write = ['orders:write'] as const;
const refusals = [PROBLEMS.resource_not_found, PROBLEMS.illegal_transition, KERNEL.database_unavailable] as const;

export const orderRoutes = {
  summary: route({
    name: 'summarizeOrders',
    method: 'GET',
    url: '/api/v1/orders/summary',
    scopes: ['orders:read'],
    summary: 'How many orders there are, by status',
    schema: { response: answers(200, summaryView, KERNEL.database_unavailable) },
    idempotent: true,
  }),
  ...resourceRoutes(ORDERS),
  addItem: route({
    name: 'addOrderItem',
    method: 'POST',
    url: `${one}/items`,
    scopes: write,
    ids,
    summary: 'Adds an item to a draft, once for an idempotency key',
    schema: {
      params: idParams,
      headers: createHeaders,
      body: newItem,
      response: answers(
        201,
        orderView,
        ...refusals,
        PROBLEMS.reference_not_found,
        PROBLEMS.product_not_offered,
        PROBLEMS.amount_out_of_range,
        PROBLEMS.too_many_items,
        IDEMPOTENCY.idempotency_key_reused,
      ),
    },
    idempotent: true,
  }),
  submit: route({
    name: 'submitOrder',
    method: 'POST',
    url: `${one}/submit`,
    scopes: write,
    ids,
    summary: 'Submits a draft',
    schema: { params: idParams, response: answers(200, orderView, ...refusals, PROBLEMS.order_empty) },
    idempotent: true,
  }),
  fulfil: route({
    name: 'fulfilOrder',
    method: 'POST',
    url: `${one}/fulfil`,
    scopes: write,
    ids,
    summary:
      'Fulfils items of an order, once for an idempotency key: monthly prices become subscriptions, and one-time prices can be invoiced',
    schema: {
      params: idParams,
      headers: createHeaders,
      body: fulfilment,
      response: answers(
        200,
        orderView,
        ...refusals,
        PROBLEMS.item_not_open,
        PROBLEMS.reference_not_found,
        IDEMPOTENCY.idempotency_key_reused,
      ),
    },
    idempotent: true,
  }),
  cancel: route({
    name: 'cancelOrder',
    method: 'POST',
    url: `${one}/cancel`,
    scopes: write,
    ids,
    summary: 'Cancels what is not fulfilled yet',
    schema: { params: idParams, response: answers(200, orderView, ...refusals) },
    idempotent: true,
  }),
};
