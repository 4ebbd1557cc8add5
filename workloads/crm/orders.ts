/** What orders have beyond the standard routes: items, submission, fulfilment, cancellation. */
import { MAX_ITEMS, orderRoutes as routes, ORDERS } from '../shared/contracts/crm/orders.ts';
import type { OrderItem } from '../shared/contracts/crm/orders.ts';
import { PROBLEMS } from '../shared/contracts/crm/problems.ts';
import { REPLAYED_HEADER } from '../shared/contracts/idempotency.ts';
import { Problem } from '../shared/kernel/problems.ts';
import { answerWith, bind, created, keyed, resourceHandlers } from './api.ts';
import type { Bound, Parts } from './api.ts';
import { ORDER, SUBSCRIPTION } from './families.ts';
import type { Entity } from './family.ts';
import type { Writing } from './records.ts';
import { requireState, requireTransition } from './states.ts';

/** Largest amount: it has 18 digits. */
const MOST_MINOR = 10n ** 18n;

const OFFERED = `SELECT status, currency, one_time_minor::text AS "oneTimeMinor", recurring_minor::text AS "recurringMinor",
    tax_basis_points AS "taxBasisPoints"
  FROM product WHERE id = $1 AND deleted_at IS NULL FOR SHARE`;
const ADD_ITEM = `INSERT INTO order_item (order_id, line, product_id, quantity, one_time_minor, recurring_minor, tax_basis_points)
  VALUES ($1, $2, $3, $4, $5, $6, $7)`;
const FULFILLED = 'UPDATE order_item SET fulfilled_at = clock_timestamp(), subscription_id = $3 WHERE order_id = $1 AND line = $2';

interface Offer {
  status: string;
  currency: string;
  oneTimeMinor: string;
  recurringMinor: string;
  taxBasisPoints: number;
}

/** Items of an order, as its row shows them. */
export const itemsOf = (order: Entity): readonly OrderItem[] => order['items'] as unknown as readonly OrderItem[];

/** The lines to fulfil. Pure. @param wanted default: all that are open @throws Problem `item_not_open` */
export function linesToFulfil(items: readonly OrderItem[], wanted: readonly number[] | undefined): OrderItem[] {
  const open = items.filter(({ fulfilledAt }) => fulfilledAt === null);
  if (wanted === undefined) return open;
  return [...new Set(wanted)].map((line) => {
    const item = open.find((one) => one.line === line);
    if (!item) throw new Problem(PROBLEMS.item_not_open, `Line ${line} is not among the open items of the order.`);
    return item;
  });
}

/** @throws Problem `amount_out_of_range` */
export function requireRange(minor: bigint): string {
  if (minor < MOST_MINOR) return String(minor);
  throw new Problem(PROBLEMS.amount_out_of_range, 'Divide it among several orders or invoices.');
}

async function offerOf(writing: Writing, productId: string, currency: string): Promise<Offer> {
  const [offer] = await writing.query<Offer>('read offer', OFFERED, [productId]);
  if (!offer) {
    const message = 'there is no such product';
    throw new Problem(PROBLEMS.reference_not_found, `body.productId: ${message}`, { errors: [{ path: 'body.productId', message }] });
  }
  if (offer.status !== 'active' && offer.status !== 'launched')
    throw new Problem(PROBLEMS.product_not_offered, `The product is ${offer.status}.`);
  if (offer.currency !== currency)
    throw new Problem(PROBLEMS.product_not_offered, `The product costs ${offer.currency}, and the order is in ${currency}.`);
  return offer;
}

async function addItem(writing: Writing, id: string, { productId, quantity }: { productId: string; quantity: number }): Promise<Entity> {
  const order = await writing.lock(ORDER, id);
  requireState('order', String(order['status']), ['draft'], 'items are added to a draft');
  const items = itemsOf(order);
  if (items.length >= MAX_ITEMS) throw new Problem(PROBLEMS.too_many_items, `An order has at most ${MAX_ITEMS} items.`);
  const { oneTimeMinor, recurringMinor, taxBasisPoints } = await offerOf(writing, productId, String(order['currency']));
  const totalMinor = requireRange(BigInt(String(order['totalMinor'])) + BigInt(oneTimeMinor) * BigInt(quantity));
  requireRange(BigInt(String(order['recurringMinor'])) + BigInt(recurringMinor) * BigInt(quantity));
  const line = items.length + 1;
  await writing.query('insert item', ADD_ITEM, [id, line, productId, quantity, oneTimeMinor, recurringMinor, taxBasisPoints]);
  return writing.update(ORDER, order, { totalMinor }, 'itemAdded');
}

async function submit(writing: Writing, id: string): Promise<Entity> {
  const order = await writing.lock(ORDER, id);
  requireTransition('order', String(order['status']), 'acknowledged');
  if (itemsOf(order).length === 0) throw new Problem(PROBLEMS.order_empty, 'Add an item first.');
  return writing.update(ORDER, order, { status: 'acknowledged', submittedAt: new Date().toISOString() }, 'submitted');
}

/** Begins the subscription of an item with a monthly price. */
async function fulfilItem(writing: Writing, order: Entity, item: OrderItem): Promise<void> {
  const { productId, quantity, recurringMinor, taxBasisPoints } = item;
  const { id: orderId, customerId = null, currency = null } = order;
  const price = { currency, recurringMinor, taxBasisPoints };
  const subscription =
    recurringMinor === '0'
      ? undefined
      : await writing.insert(SUBSCRIPTION, { customerId, productId, orderId, quantity, ...price, status: 'active' });
  await writing.query('fulfil item', FULFILLED, [orderId, item.line, subscription?.id ?? null]);
}

async function fulfil(writing: Writing, id: string, wanted: readonly number[] | undefined): Promise<Entity> {
  const order = await writing.lock(ORDER, id);
  requireTransition('order', String(order['status']), 'completed');
  const items = itemsOf(order);
  const lines = linesToFulfil(items, wanted);
  for (const item of lines) await fulfilItem(writing, order, item);
  const open = items.filter(({ fulfilledAt }) => fulfilledAt === null).length - lines.length;
  if (open > 0) return writing.update(ORDER, order, { status: 'inProgress' }, 'itemsFulfilled');
  return writing.update(ORDER, order, { status: 'completed', endedAt: new Date().toISOString() }, 'completed');
}

async function cancel(writing: Writing, id: string): Promise<Entity> {
  const order = await writing.lock(ORDER, id);
  const status = order['status'] === 'inProgress' ? 'partial' : 'cancelled';
  requireTransition('order', String(order['status']), status);
  return writing.update(ORDER, order, { status, endedAt: new Date().toISOString() }, 'cancelled');
}

export function orderHandlers(parts: Parts): Bound[] {
  const { reads, records } = parts;
  return [
    ...resourceHandlers(ORDER, routes, ORDERS, parts),
    bind(routes.summary, async () => ({ body: await reads.summary('orders') })),
    bind(routes.addItem, async (input, origin) => {
      const { params, body } = input;
      const outcome = await records.once(origin, keyed(routes.addItem, input), ORDER, {}, (writing) => addItem(writing, params.id, body));
      return created(outcome, routes.create.url);
    }),
    bind(routes.submit, async ({ params: { id } }, origin) => answerWith(await records.write(origin, (writing) => submit(writing, id)))),
    bind(routes.fulfil, async (input, origin) => {
      const { params, body } = input;
      const outcome = await records.once(origin, keyed(routes.fulfil, input), ORDER, {}, (writing) =>
        fulfil(writing, params.id, body?.items),
      );
      return { ...answerWith(outcome.entity), headers: outcome.replayed ? { [REPLAYED_HEADER]: 'true' } : {} };
    }),
    bind(routes.cancel, async ({ params: { id } }, origin) => answerWith(await records.write(origin, (writing) => cancel(writing, id)))),
  ];
}
