/** Every route of the CRM APIs. The service registers its handlers from this table, and the gateway its forwarding. */
import { assetRoutes } from './assets.ts';
import { cacheRoutes } from './cache.ts';
import { customerRoutes } from './customers.ts';
import { invoiceRoutes } from './invoices.ts';
import { orderRoutes } from './orders.ts';
import { paymentRoutes } from './payments.ts';
import { productRoutes } from './products.ts';
import type { Route } from './route.ts';
import { serviceRoutes } from './services.ts';
import { subscriptionRoutes } from './subscriptions.ts';

export const ROUTES: readonly Route[] = [
  customerRoutes,
  productRoutes,
  serviceRoutes,
  assetRoutes,
  subscriptionRoutes,
  orderRoutes,
  invoiceRoutes,
  paymentRoutes,
  cacheRoutes,
].flatMap((family): Route[] => Object.values(family));
