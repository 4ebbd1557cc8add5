/** The service crm in end-to-end tests: it is off in their platform, except where they test it. */
import { randomUUID } from 'node:crypto';
import { orderAndInvoice, postJson, type Ordered } from '../../local/src/demo/orders.ts';
import { until } from '../../local/src/demo/platform.ts';
import { MINUTE, NAMESPACE, PLATFORM, type Environment } from './environment.ts';

/** Prices of an order with one item, in minor units. */
const PRICE = '5000';
/** With 19 % tax. */
export const PRICE_WITH_TAX = '5950';

/** Switches crm, and waits until it answers or is gone. */
export async function setCrm(env: Environment, enabled: boolean): Promise<void> {
  const patch = JSON.stringify({ spec: { workloads: { crm: { enabled } } } });
  await env.kubectl.run(['patch', 'bss', PLATFORM, '-n', NAMESPACE, '--type=merge', '-p', patch]);
  await env.waitReady(4 * MINUTE);
  if (enabled) await until('crm to answer', MINUTE, async () => (await env.gateway.send('/api/v1/customers')).ok);
}

/** A new customer orders a new product, and the order is invoiced. */
export async function newOrder({ gateway }: Environment): Promise<Ordered> {
  const code = `installation-${randomUUID()}`;
  const product = { code, name: 'Installation', category: 'broadband', status: 'launched', oneTimeMinor: PRICE };
  const { id: productId } = await postJson<{ id: string }>(gateway, 'products', product);
  const { id: customerId } = await postJson<{ id: string }>(gateway, 'customers', { name: 'Jane Example' });
  return orderAndInvoice(gateway, customerId, productId);
}
