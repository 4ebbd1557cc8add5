import { defineProblems } from '../../kernel/problems.ts';

/** Problems of the CRM APIs. */
export const PROBLEMS = defineProblems({
  resource_not_found: { status: 404, title: 'There is no resource with this id' },
  illegal_transition: { status: 409, title: 'The state of the resource does not permit this' },
  resource_exists: { status: 409, title: 'Another resource has this unique value' },
  resource_in_use: { status: 409, title: 'Other resources depend on this one' },
  invoice_not_payable: { status: 409, title: 'The invoice cannot be paid with this amount now' },
  customer_erased: { status: 409, title: 'The personal data of the customer has been erased' },
  precondition_failed: { status: 412, title: 'The resource has another version than If-Match' },
  reference_not_found: { status: 422, title: 'The request names a resource that does not exist' },
  product_not_offered: { status: 422, title: 'The product is not offered, or in another currency' },
  order_empty: { status: 422, title: 'The order has no items' },
  item_not_open: { status: 422, title: 'The order has no such item that is open' },
  too_many_items: { status: 422, title: 'The order has as many items as it can have' },
  invoice_empty: { status: 422, title: 'The invoice charges nothing' },
  amount_out_of_range: { status: 422, title: 'An amount would have more than 18 digits' },
  precondition_required: { status: 428, title: 'The request needs the header If-Match' },
  payments_not_configured: { status: 503, title: 'The platform has no orchestrator and accounts for payments' },
});
