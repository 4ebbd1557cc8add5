/** A customer of the generated telecom orders, is invoiced and pays: what the demo shows of the BSS APIs. */
import { getJson, type Invoice, orderAndInvoice, pay, receivedOn } from './orders.ts';
import type { Gateway, PlatformResource } from './platform.ts';
import { until } from './platform.ts';
import { formatCount } from './timeline.ts';
import { balanceAfter } from './transfers.ts';

/** What became of the order. */
export interface OrderRun {
  /** Number of the invoice, such as INV-2026-000001. */
  readonly invoice: string;
  readonly totalMinor: string;
  readonly currency: string;
  /** Whether the invoice is settled. */
  readonly settled: boolean;
  /** By how much the account that receives payments has grown. */
  readonly receivedMinor: string;
}

interface Summary {
  readonly total: number;
}

interface Page<T> {
  readonly items: readonly T[];
}

interface Product {
  readonly id: string;
  readonly code: string;
  readonly name: string;
}

/** The Job that generates the customers may still run. */
const SEED_MS = 120_000;
/** Costs something once, and nothing a month. */
const PRODUCT = 'seed-router';

/**
 * Orders, invoices and pays, and prints what is seen.
 * @param note prints one line
 * @returns undefined where the platform has no crm
 * @throws Error when a request fails
 */
export async function showOrder(platform: PlatformResource, gateway: Gateway, note: (text: string) => void): Promise<OrderRun | undefined> {
  const components = (await platform.get())?.status?.components ?? [];
  if (!components.some(({ name, ready }) => name === 'crm' && ready > 0)) {
    note('the platform has no customers: workloads.crm does not run in it');
    return undefined;
  }
  const { customerId, product } = await until('the generated customers', SEED_MS, () => choose(gateway));
  note(await described(gateway));
  const ordered = await orderAndInvoice(gateway, customerId, product.id);
  const { number, totalMinor, currency } = ordered.invoice;
  note(`customer ${customerId} orders a ${product.name}: order ${ordered.orderId} is fulfilled, invoice ${number} issued`);
  const receipts = `crm-receipts-${currency}`;
  const before = await receivedOn(gateway, receipts);
  const payment = await pay(gateway, ordered);
  if (payment.transferId === null)
    throw new Error(`payment ${payment.id} is ${payment.status}: ${payment.errorType ?? 'its transfer is in progress'}`);
  const { transactionId } = await getJson<{ transactionId: string }>(gateway, `transfers/${payment.transferId}`);
  const after = await until('the balance of the receipts', SEED_MS, () => balanceAfter(gateway, receipts, transactionId));
  const receivedMinor = String(BigInt(after.balanceMinor) - before);
  const invoice = await getJson<Invoice>(gateway, `invoices/${ordered.invoice.id}`);
  note(
    `the customer pays ${totalMinor} ${currency} minor units: payment ${payment.status}, invoice ${invoice.status}, ${receipts} +${receivedMinor}`,
  );
  note(`the invoice as the customer sees it: GET /api/v1/invoices/${invoice.id}/page, and /pdf`);
  return { invoice: number, totalMinor, currency, settled: invoice.status === 'settled', receivedMinor };
}

/** A customer who may order, and what it orders; undefined while there are none. */
async function choose(gateway: Gateway): Promise<{ customerId: string; product: Product } | undefined> {
  const customers = await getJson<Page<{ id: string }>>(gateway, 'customers?status=active&sort=createdAt&limit=1');
  const products = await getJson<Page<Product>>(gateway, 'products?status=launched&limit=100');
  const [customer] = customers.items;
  const product = products.items.find(({ code }) => code === PRODUCT);
  return customer && product && { customerId: customer.id, product };
}

/** How much of a telecom there is. */
async function described(gateway: Gateway): Promise<string> {
  const [customers, orders] = await Promise.all(['customers', 'orders'].map((family) => getJson<Summary>(gateway, `${family}/summary`)));
  return `crm has ${formatCount(customers?.total ?? 0)} customers and ${formatCount(orders?.total ?? 0)} orders of theirs`;
}
