/** The handlers of every route of the contract. */
import { ASSETS, assetRoutes } from '../shared/contracts/crm/assets.ts';
import { productRoutes, PRODUCTS } from '../shared/contracts/crm/products.ts';
import { serviceRoutes, SERVICES } from '../shared/contracts/crm/services.ts';
import { subscriptionRoutes, SUBSCRIPTIONS } from '../shared/contracts/crm/subscriptions.ts';
import { resourceHandlers } from './api.ts';
import type { Bound, Parts } from './api.ts';
import { customerHandlers } from './customers.ts';
import { ASSET, PRODUCT, SERVICE, SUBSCRIPTION } from './families.ts';
import type { Issuer } from './invoice/document.ts';
import { invoiceHandlers } from './invoices.ts';
import { orderHandlers } from './orders.ts';
import { paymentHandlers } from './payments/handlers.ts';
import type { Payments } from './payments/payments.ts';

export interface CrmParts extends Parts {
  payments: Payments;
  issuer: Issuer;
}

export function handlersOf(parts: CrmParts): Bound[] {
  return [
    ...customerHandlers(parts),
    ...resourceHandlers(PRODUCT, productRoutes, PRODUCTS, parts),
    ...resourceHandlers(SERVICE, serviceRoutes, SERVICES, parts),
    ...resourceHandlers(ASSET, assetRoutes, ASSETS, parts),
    ...resourceHandlers(SUBSCRIPTION, subscriptionRoutes, SUBSCRIPTIONS, parts),
    ...orderHandlers(parts),
    ...invoiceHandlers(parts, parts.issuer),
    ...paymentHandlers(parts, parts.payments),
  ];
}
