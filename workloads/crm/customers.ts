/** What customers have beyond the standard routes: status, addresses, and what belongs to them. */
import { customerRoutes as routes, CUSTOMERS } from '../shared/contracts/crm/customers.ts';
import { answerWith, bind, created, existing, keyed, lockVersion, personalOf, requiredVersion, resourceHandlers } from './api.ts';
import type { Answer, Bound, Parts } from './api.ts';
import { eraseCustomer, exportCustomer } from './erasure.ts';
import { ADDRESS, CUSTOMER } from './families.ts';
import type { Fields, StoredFamily } from './family.ts';
import type { OwnedQuery, Reads } from './reads.ts';

/** The handler of a route with the resources of a customer. */
function owned(reads: Reads, family: StoredFamily) {
  return async ({ params: { id }, query }: { params: { id: string }; query: OwnedQuery }): Promise<Answer> => {
    await existing(reads, CUSTOMER, id);
    return { body: await reads.ofCustomer(id, family, query) };
  };
}

export function customerHandlers(parts: Parts): Bound[] {
  const { reads, records, database } = parts;
  return [
    ...resourceHandlers(CUSTOMER, routes, CUSTOMERS, parts),
    bind(routes.summary, async () => ({ body: await reads.summary('customers') })),
    bind(routes.changeStatus, async ({ params: { id }, headers, body: { status, reason = null } }, origin) => {
      const version = requiredVersion(headers);
      const entity = await records.write(origin, async (writing) => {
        const current = await lockVersion(writing, CUSTOMER, id, version);
        if (status === 'closed') await writing.requireIndependent(CUSTOMER, id);
        return writing.update(CUSTOMER, current, { status, statusReason: reason }, 'statusChanged');
      });
      return answerWith(entity);
    }),
    bind(routes.addresses, owned(reads, 'addresses')),
    bind(routes.orders, owned(reads, 'orders')),
    bind(routes.subscriptions, owned(reads, 'subscriptions')),
    bind(routes.invoices, owned(reads, 'invoices')),
    bind(routes.exportData, async ({ params: { id } }) => ({ body: await exportCustomer(database, id) })),
    bind(routes.erase, async ({ params: { id } }, origin) =>
      answerWith(await records.write(origin, (writing) => eraseCustomer(writing, id))),
    ),
    bind(routes.addAddress, async (input, origin) => {
      const { id } = input.params;
      const body: Fields = input.body;
      const outcome = await records.once(origin, keyed(routes.addAddress, input), ADDRESS, personalOf(ADDRESS, body), async (writing) => {
        CUSTOMER.guard?.(await writing.lock(CUSTOMER, id));
        return writing.insert(ADDRESS, { ...body, customerId: id });
      });
      return created(outcome, routes.addAddress.url.replace(':id', id));
    }),
  ];
}
