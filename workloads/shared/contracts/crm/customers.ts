/** Customers and their addresses: the only resources with personal data. */
import { z } from 'zod';
import { answers } from '../../kernel/http.ts';
import { PROBLEMS as KERNEL } from '../../kernel/problems.ts';
import { PROBLEMS as IDEMPOTENCY } from '../idempotency.ts';
import {
  changesOf,
  createHeaders,
  currency,
  id,
  idParams,
  ifMatch,
  line,
  moment,
  pageOf,
  pageQuery,
  resourceFields,
  summaryView,
} from './common.ts';
import { invoiceView } from './invoices.ts';
import { orderView } from './orders.ts';
import { PROBLEMS } from './problems.ts';
import { PRECONDITIONS, resourceRoutes } from './resource.ts';
import type { FamilyName, ResourceContract } from './resource.ts';
import { route } from './route.ts';
import { statesOf } from './states.ts';
import { subscriptionView } from './subscriptions.ts';

const status = z.enum(statesOf('customer'));
const type = z.enum(['individual', 'organization']);
const email = z.email().max(254);
const phone = z.string().regex(/^\+[1-9]\d{6,14}$/, 'must be a telephone number in international form, such as +491701234567');

/** Fields that identify a person. They are in no audit row, event or log. */
export const PERSONAL_FIELDS = ['name', 'email', 'phone', 'statusReason'] as const;

export const customerView = z.object({
  ...resourceFields,
  type,
  name: z.string(),
  email: z.string().nullable(),
  phone: z.string().nullable(),
  status,
  statusReason: z.string().nullable(),
  currency: currency.describe('Of invoices and of the account at the ledger'),
  ledgerAccount: z.string().nullable().describe('Account at the ledger; null before the first payment'),
  erasedAt: moment.nullable().describe('When the personal data was overwritten'),
});
export type Customer = z.output<typeof customerView>;

export const newCustomer = z.strictObject({
  type: type.default('individual'),
  name: line(200),
  email: email.nullable().optional(),
  phone: phone.nullable().optional(),
  currency: currency.default('EUR'),
});

export const customerChanges = changesOf({ type, name: line(200), email: email.nullable(), phone: phone.nullable() });

export const statusChange = z.strictObject({ status, reason: line(500).nullable().optional() });

export const CUSTOMERS = {
  family: 'customers',
  noun: 'customer',
  view: customerView,
  create: newCustomer,
  change: customerChanges,
  // No personal field: filters and cursors are in addresses, which proxies log.
  filters: { status, type },
  sorts: ['createdAt', 'updatedAt'],
  problems: [PROBLEMS.customer_erased],
} as const satisfies ResourceContract;

export const addressView = z.object({
  ...resourceFields,
  customerId: id,
  type: z.enum(['billing', 'delivery', 'installation']),
  line1: z.string(),
  line2: z.string().nullable(),
  city: z.string(),
  postcode: z.string(),
  region: z.string().nullable(),
  country: z.string(),
});
export type Address = z.output<typeof addressView>;

export const newAddress = z.strictObject({
  type: addressView.shape.type.default('billing'),
  line1: line(200),
  line2: line(200).nullable().optional(),
  city: line(100),
  postcode: line(20),
  region: line(100).nullable().optional(),
  country: z.string().regex(/^[A-Z]{2}$/, 'must be an ISO 3166 code of two letters'),
});

export const ADDRESS_PERSONAL_FIELDS = ['line1', 'line2', 'city', 'postcode', 'region'] as const;

/** What is stored about a customer. */
export const customerExport = z.object({
  exportedAt: moment,
  customer: customerView,
  resources: z.record(z.string(), z.array(z.looseObject({ id }))).describe('By family; deleted resources within the retention too'),
  audit: z
    .array(
      z.object({
        at: moment,
        client: z.string(),
        action: z.string(),
        family: z.string(),
        entityId: id,
        changes: z.record(z.string(), z.array(z.unknown())),
      }),
    )
    .describe('Who has changed what, and when'),
});

const one = '/api/v1/customers/:id';
const ids = { id: 'customer_id' };
const read = ['customers:read'] as const;
const write = ['customers:write'] as const;

/** The route of the resources of a family that belong to a customer, the oldest first. */
export function ownedRoute<T extends z.ZodType>(family: FamilyName, view: T) {
  return route({
    name: `listCustomer${family.charAt(0).toUpperCase()}${family.slice(1)}`,
    method: 'GET',
    url: `${one}/${family}`,
    scopes: ['customers:read', `${family}:read`],
    ids,
    summary: `The ${family} of a customer, by page`,
    schema: {
      params: idParams,
      querystring: pageQuery,
      response: answers(200, pageOf(view), PROBLEMS.resource_not_found, KERNEL.database_unavailable),
    },
    idempotent: true,
  });
}

export const customerRoutes = {
  summary: route({
    name: 'summarizeCustomers',
    method: 'GET',
    url: '/api/v1/customers/summary',
    scopes: read,
    summary: 'How many customers there are, by status',
    schema: { response: answers(200, summaryView, KERNEL.database_unavailable) },
    idempotent: true,
  }),
  ...resourceRoutes(CUSTOMERS),
  changeStatus: route({
    name: 'changeCustomerStatus',
    method: 'PATCH',
    url: `${one}/status`,
    scopes: write,
    ids,
    summary: 'Changes the status of a customer',
    schema: {
      params: idParams,
      headers: ifMatch,
      body: statusChange,
      response: answers(
        200,
        customerView,
        ...PRECONDITIONS,
        PROBLEMS.illegal_transition,
        PROBLEMS.resource_in_use,
        PROBLEMS.customer_erased,
        KERNEL.database_unavailable,
      ),
    },
    idempotent: true,
  }),
  addresses: route({
    name: 'listCustomerAddresses',
    method: 'GET',
    url: `${one}/addresses`,
    scopes: read,
    ids,
    summary: 'Addresses of a customer, by page',
    schema: {
      params: idParams,
      querystring: pageQuery,
      response: answers(200, pageOf(addressView), PROBLEMS.resource_not_found, KERNEL.database_unavailable),
    },
    idempotent: true,
  }),
  orders: ownedRoute('orders', orderView),
  subscriptions: ownedRoute('subscriptions', subscriptionView),
  invoices: ownedRoute('invoices', invoiceView),
  exportData: route({
    name: 'exportCustomer',
    method: 'GET',
    url: `${one}/export`,
    scopes: ['customers:erase'],
    ids,
    summary: 'Everything that is stored about a customer',
    schema: {
      params: idParams,
      response: answers(200, customerExport, PROBLEMS.resource_not_found, KERNEL.database_unavailable),
    },
    idempotent: true,
  }),
  erase: route({
    name: 'eraseCustomer',
    method: 'POST',
    url: `${one}/erase`,
    scopes: ['customers:erase'],
    ids,
    summary: 'Overwrites the personal data of a customer for good, and closes the customer',
    schema: {
      params: idParams,
      response: answers(200, customerView, PROBLEMS.resource_not_found, PROBLEMS.resource_in_use, KERNEL.database_unavailable),
    },
    idempotent: true,
  }),
  addAddress: route({
    name: 'addCustomerAddress',
    method: 'POST',
    url: `${one}/addresses`,
    scopes: write,
    ids,
    creates: 'address_id',
    summary: 'Adds an address to a customer, once for an idempotency key',
    schema: {
      params: idParams,
      headers: createHeaders,
      body: newAddress,
      response: answers(
        201,
        addressView,
        PROBLEMS.resource_not_found,
        PROBLEMS.customer_erased,
        IDEMPOTENCY.idempotency_key_reused,
        KERNEL.database_unavailable,
      ),
    },
    idempotent: true,
  }),
};
