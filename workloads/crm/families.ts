/** The families as the database has them: one definition each. */
import { ASSETS } from '../shared/contracts/crm/assets.ts';
import { ADDRESS_PERSONAL_FIELDS, CUSTOMERS, PERSONAL_FIELDS } from '../shared/contracts/crm/customers.ts';
import { INVOICES } from '../shared/contracts/crm/invoices.ts';
import { ORDERS } from '../shared/contracts/crm/orders.ts';
import { PAYMENTS } from '../shared/contracts/crm/payments.ts';
import { PROBLEMS } from '../shared/contracts/crm/problems.ts';
import { PRODUCTS } from '../shared/contracts/crm/products.ts';
import { SERVICES } from '../shared/contracts/crm/services.ts';
import type { StatefulFamily, StateOf } from '../shared/contracts/crm/states.ts';
import { SUBSCRIPTIONS } from '../shared/contracts/crm/subscriptions.ts';
import { PROBLEMS as LEDGER } from '../shared/contracts/ledger.ts';
import { isoText } from '../shared/kernel/moment.ts';
import type { Queryable } from '../shared/kernel/postgres.ts';
import { Problem, PROBLEMS as KERNEL } from '../shared/kernel/problems.ts';
import { purgeStatement } from './family.ts';
import type { Family, Fields, Reference } from './family.ts';
import { daysOf } from './billing.ts';
import { requirePayable } from './payments/payable.ts';
import { requireState } from './states.ts';

/** A customer that new resources may refer to. */
export const OF_CUSTOMER: Reference = {
  field: 'customerId',
  text: `SELECT FROM customer WHERE id = $1 AND deleted_at IS NULL AND erased_at IS NULL AND status <> 'closed' FOR SHARE`,
};
const OF_PRODUCT: Reference = { field: 'productId', text: 'SELECT FROM product WHERE id = $1 AND deleted_at IS NULL FOR SHARE' };

const OPEN_SUBSCRIPTION = `deleted_at IS NULL AND status NOT IN ('terminated', 'cancelled', 'aborted')`;
const OPEN_ORDER = `deleted_at IS NULL AND status NOT IN ('completed', 'partial', 'cancelled')`;
const IN_USE = {
  subscriptions: 'it has subscriptions that have not ended',
  orders: 'it has orders that have not ended',
};

export const ADDRESS: Family = {
  name: 'addresses',
  noun: 'address',
  table: 'address',
  fields: {
    customerId: 'uuid',
    type: 'text',
    line1: 'text',
    line2: 'text',
    city: 'text',
    postcode: 'text',
    region: 'text',
    country: 'text',
  },
  personal: ADDRESS_PERSONAL_FIELDS,
  filters: ['customerId'],
  purge: purgeStatement({ name: 'addresses', table: 'address' }, [], 'customer_id'),
};

export const CUSTOMER: Family = {
  name: 'customers',
  noun: 'customer',
  table: 'customer',
  fields: {
    type: 'text',
    name: 'text',
    email: 'text',
    phone: 'text',
    status: 'text',
    statusReason: 'text',
    currency: 'text',
    ledgerAccount: 'text',
    erasedAt: 'time',
  },
  personal: PERSONAL_FIELDS,
  filters: Object.keys(CUSTOMERS.filters),
  machine: 'customer',
  dependants: [
    { what: IN_USE.subscriptions, text: `SELECT FROM subscription WHERE customer_id = $1 AND ${OPEN_SUBSCRIPTION} LIMIT 1` },
    { what: IN_USE.orders, text: `SELECT FROM "order" WHERE customer_id = $1 AND ${OPEN_ORDER} LIMIT 1` },
    {
      what: 'it has services that are not terminated',
      text: `SELECT FROM service WHERE customer_id = $1 AND deleted_at IS NULL AND status <> 'terminated' LIMIT 1`,
    },
    {
      what: 'it has invoices that are not settled',
      text: `SELECT FROM invoice WHERE customer_id = $1 AND deleted_at IS NULL AND status NOT IN ('settled', 'voided') LIMIT 1`,
    },
    {
      what: 'it has payments in progress',
      text: `SELECT FROM payment WHERE customer_id = $1 AND deleted_at IS NULL AND status NOT IN ('done', 'failed', 'refunded') LIMIT 1`,
    },
  ],
  owns: [ADDRESS],
  guard: ({ id, erasedAt }) => {
    if (erasedAt !== null) throw new Problem(PROBLEMS.customer_erased, `Customer ${id} cannot change any more.`);
  },
  purge: purgeStatement(
    { name: 'customers', table: 'customer' },
    [
      'address.customer_id',
      '"order".customer_id',
      'subscription.customer_id',
      'service.customer_id',
      'asset.customer_id',
      'invoice.customer_id',
      'payment.customer_id',
    ],
    'id',
  ),
};

export const PRODUCT: Family = {
  name: 'products',
  noun: 'product',
  table: 'product',
  fields: {
    code: 'text',
    name: 'text',
    description: 'text',
    category: 'text',
    status: 'text',
    currency: 'text',
    recurringMinor: 'minor',
    oneTimeMinor: 'minor',
    taxBasisPoints: 'int',
  },
  filters: Object.keys(PRODUCTS.filters),
  machine: 'product',
  dependants: [
    { what: IN_USE.subscriptions, text: `SELECT FROM subscription WHERE product_id = $1 AND ${OPEN_SUBSCRIPTION} LIMIT 1` },
    {
      what: IN_USE.orders,
      text: `SELECT FROM order_item i JOIN "order" o ON o.id = i.order_id WHERE i.product_id = $1 AND o.${OPEN_ORDER} LIMIT 1`,
    },
  ],
  purge: purgeStatement({ name: 'products', table: 'product' }, ['subscription.product_id', 'order_item.product_id']),
};

/** The dates from which and up to which something is used: they follow from the states in which it is, and has ended. */
function usedBetween(next: Fields, today: string): Fields {
  const start = next['startDate'] ?? (next['status'] === 'active' ? today : null);
  const ended = next['status'] === 'terminated' && start !== null;
  const end = next['endDate'] ?? (ended ? (String(start) > today ? start : today) : null);
  if (start !== null && end !== null && String(end) < String(start)) {
    const message = `is before startDate, ${String(start)}`;
    throw new Problem(KERNEL.validation_failed, `body.endDate: ${message}`, { errors: [{ path: 'body.endDate', message }] });
  }
  return { startDate: start, endDate: end };
}

export const SUBSCRIPTION: Family = {
  name: 'subscriptions',
  noun: 'subscription',
  table: 'subscription',
  fields: {
    customerId: 'uuid',
    productId: 'uuid',
    orderId: 'uuid',
    status: 'text',
    quantity: 'int',
    currency: 'text',
    recurringMinor: 'minor',
    taxBasisPoints: 'int',
    startDate: 'date',
    endDate: 'date',
  },
  filters: Object.keys(SUBSCRIPTIONS.filters),
  machine: 'subscription',
  references: [OF_CUSTOMER, OF_PRODUCT],
  dependants: [
    {
      what: 'it is charged',
      text: `SELECT FROM subscription WHERE id = $1 AND status IN ('active', 'suspended', 'pendingTerminate')`,
    },
    {
      what: 'it has services that are not terminated',
      text: `SELECT FROM service WHERE subscription_id = $1 AND deleted_at IS NULL AND status <> 'terminated' LIMIT 1`,
    },
  ],
  // The agreed price. One that the caller gives is that of an order.
  complete: async (tx, { productId, recurringMinor }) => {
    if (recurringMinor !== undefined) return {};
    const [price] = await tx.query<{ currency: string; recurringMinor: string; taxBasisPoints: number }>(
      'read price',
      `SELECT currency, recurring_minor::text AS "recurringMinor", tax_basis_points AS "taxBasisPoints" FROM product WHERE id = $1`,
      [productId],
    );
    return price ?? {};
  },
  derive: (next, _former, today) => usedBetween(next, today),
  purge: purgeStatement(
    { name: 'subscriptions', table: 'subscription' },
    ['service.subscription_id', 'invoice_line.subscription_id'],
    'customer_id',
  ),
};

export const SERVICE: Family = {
  name: 'services',
  noun: 'service',
  table: 'service',
  fields: { customerId: 'uuid', subscriptionId: 'uuid', type: 'text', status: 'text', startDate: 'date', endDate: 'date' },
  filters: Object.keys(SERVICES.filters),
  machine: 'service',
  references: [
    OF_CUSTOMER,
    {
      field: 'subscriptionId',
      text: 'SELECT FROM subscription WHERE id = $1 AND customer_id = $2 AND deleted_at IS NULL FOR SHARE',
      ofCustomer: true,
    },
  ],
  dependants: [
    { what: 'it is active', text: `SELECT FROM service WHERE id = $1 AND status = 'active'` },
    { what: 'it has assets', text: 'SELECT FROM asset WHERE service_id = $1 AND deleted_at IS NULL LIMIT 1' },
  ],
  derive: (next, _former, today) => usedBetween(next, today),
  purge: purgeStatement({ name: 'services', table: 'service' }, ['asset.service_id'], 'customer_id'),
};

export const ASSET: Family = {
  name: 'assets',
  noun: 'asset',
  table: 'asset',
  fields: { customerId: 'uuid', serviceId: 'uuid', type: 'text', model: 'text', serialNumber: 'text', status: 'text' },
  filters: Object.keys(ASSETS.filters),
  machine: 'asset',
  references: [
    OF_CUSTOMER,
    {
      field: 'serviceId',
      text: `SELECT FROM service WHERE id = $1 AND customer_id = $2 AND deleted_at IS NULL AND status <> 'terminated' FOR SHARE`,
      ofCustomer: true,
    },
  ],
  purge: purgeStatement({ name: 'assets', table: 'asset' }, [], 'customer_id'),
};

const CUSTOMERS_CURRENCY = 'SELECT currency FROM customer WHERE id = $1';

/** Everything that a customer is charged is in one currency. */
async function customersCurrency(tx: Queryable, { customerId }: Fields): Promise<string> {
  const [customer] = await tx.query<{ currency: string }>('read currency', CUSTOMERS_CURRENCY, [customerId]);
  if (!customer) throw new Error(`customer ${String(customerId)} is gone although it is locked`);
  return customer.currency;
}

/** Rejects a change of some fields, unless the resource is in one of the states. */
function changeable<F extends StatefulFamily>(
  machine: F,
  fields: readonly string[],
  states: readonly StateOf<F>[],
): NonNullable<Family['guard']> {
  return (current, set = {}) => {
    const changed = fields.filter((field) => set[field] !== undefined && set[field] !== current[field]);
    if (changed.length > 0)
      requireState(machine, String(current['status']), states, `${changed.join(' and ')} can change while it is ${states.join(' or ')}`);
  };
}

const ITEMS = `(SELECT coalesce(json_agg(json_build_object('line', i.line, 'productId', i.product_id, 'quantity', i.quantity,
    'oneTimeMinor', i.one_time_minor::text, 'recurringMinor', i.recurring_minor::text, 'taxBasisPoints', i.tax_basis_points,
    'fulfilledAt', ${isoText('i.fulfilled_at')}, 'subscriptionId', i.subscription_id) ORDER BY i.line), '[]')
  FROM order_item i WHERE i.order_id = "order".id)`;

export const ORDER: Family = {
  name: 'orders',
  noun: 'order',
  table: '"order"',
  fields: {
    customerId: 'uuid',
    status: 'text',
    reference: 'text',
    currency: 'text',
    totalMinor: 'minor',
    submittedAt: 'time',
    endedAt: 'time',
  },
  computed: {
    recurringMinor: '(SELECT coalesce(sum(i.recurring_minor * i.quantity), 0)::text FROM order_item i WHERE i.order_id = "order".id)',
    items: ITEMS,
  },
  filters: Object.keys(ORDERS.filters),
  machine: 'order',
  references: [OF_CUSTOMER],
  dependants: [{ what: 'it was submitted', text: `SELECT FROM "order" WHERE id = $1 AND status NOT IN ('draft', 'cancelled')` }],
  guard: changeable('order', ['reference'], ['draft', 'acknowledged', 'inProgress']),
  complete: async (tx, values) => ({ currency: await customersCurrency(tx, values), totalMinor: '0' }),
  purge: purgeStatement({ name: 'orders', table: '"order"' }, ['subscription.order_id', 'invoice_line.order_id'], 'customer_id'),
};

/** Longest period of an invoice. */
const MOST_DAYS = 366;

function invalid(field: string, message: string): Problem {
  return new Problem(KERNEL.validation_failed, `body.${field}: ${message}`, { errors: [{ path: `body.${field}`, message }] });
}

/** @throws Problem `validation_failed` */
function requirePeriod({ periodStart, periodEnd }: Fields): void {
  const days = daysOf({ start: String(periodStart), end: String(periodEnd) });
  if (days < 1) throw invalid('periodEnd', `is before periodStart, ${String(periodStart)}`);
  if (days > MOST_DAYS) throw invalid('periodEnd', `is more than ${MOST_DAYS} days after periodStart`);
}

const LINES = `(SELECT coalesce(json_agg(json_build_object('line', l.line, 'description', l.description, 'subscriptionId', l.subscription_id,
    'orderId', l.order_id, 'orderLine', l.order_line, 'quantity', l.quantity, 'unitMinor', l.unit_minor::text, 'netMinor', l.net_minor::text,
    'taxBasisPoints', l.tax_basis_points, 'taxMinor', l.tax_minor::text, 'periodStart', l.period_start, 'periodEnd', l.period_end) ORDER BY l.line), '[]')
  FROM invoice_line l WHERE l.invoice_id = invoice.id)`;

export const INVOICE: Family = {
  name: 'invoices',
  noun: 'invoice',
  table: 'invoice',
  fields: {
    customerId: 'uuid',
    number: 'text',
    status: 'text',
    currency: 'text',
    periodStart: 'date',
    periodEnd: 'date',
    issueDate: 'date',
    dueDate: 'date',
    netMinor: 'minor',
    taxMinor: 'minor',
    totalMinor: 'minor',
    paidMinor: 'minor',
  },
  computed: { lines: LINES },
  filters: Object.keys(INVOICES.filters),
  machine: 'invoice',
  references: [OF_CUSTOMER],
  dependants: [{ what: 'it was issued or voided', text: `SELECT FROM invoice WHERE id = $1 AND status NOT IN ('new', 'validated')` }],
  guard: (current, set) => {
    changeable('invoice', ['periodStart', 'periodEnd'], ['new'])(current, set);
    // The issue sets the day on which it is due, where the request has none.
    changeable('invoice', ['dueDate'], ['new', 'validated'])(current, set);
  },
  complete: async (tx, values) => ({
    currency: await customersCurrency(tx, values),
    netMinor: '0',
    taxMinor: '0',
    totalMinor: '0',
    paidMinor: '0',
  }),
  derive: (next) => {
    requirePeriod(next);
    return {};
  },
  purge: purgeStatement({ name: 'invoices', table: 'invoice' }, ['payment.invoice_id'], 'customer_id'),
};

export const PAYMENT: Family = {
  name: 'payments',
  noun: 'payment',
  table: 'payment',
  fields: {
    customerId: 'uuid',
    invoiceId: 'uuid',
    status: 'text',
    amountMinor: 'minor',
    currency: 'text',
    method: 'text',
    errorType: 'text',
    transferId: 'uuid',
    settledAt: 'time',
    refundTransferId: 'uuid',
    refundedAt: 'time',
    refundsRejected: 'int',
  },
  filters: Object.keys(PAYMENTS.filters),
  machine: 'payment',
  references: [
    OF_CUSTOMER,
    {
      field: 'invoiceId',
      text: 'SELECT FROM invoice WHERE id = $1 AND customer_id = $2 AND deleted_at IS NULL FOR SHARE',
      ofCustomer: true,
    },
  ],
  dependants: [
    { what: 'it was processed', text: `SELECT FROM payment WHERE id = $1 AND status NOT IN ('pendingAuthorization', 'failed')` },
  ],
  guard: changeable('payment', ['method'], ['pendingAuthorization']),
  complete: async (tx, values) => {
    const currency = await customersCurrency(tx, values);
    if (values['currency'] !== undefined && values['currency'] !== currency)
      throw new Problem(LEDGER.currency_mismatch, `The customer pays in ${currency}.`);
    if (typeof values['invoiceId'] === 'string') await requirePayable(tx, values['invoiceId'], BigInt(String(values['amountMinor'])), null);
    return { currency, refundsRejected: 0 };
  },
  purge: purgeStatement({ name: 'payments', table: 'payment' }, ['payment_transfer.payment_id'], 'customer_id'),
};

/** Each before the ones that it refers to: the retention removes them in this order. */
export const STORED: readonly Family[] = [PAYMENT, INVOICE, ASSET, SERVICE, SUBSCRIPTION, ORDER, PRODUCT, ADDRESS, CUSTOMER];
