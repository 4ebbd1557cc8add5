/** The routes of payments. */
import { paymentRoutes as routes, PAYMENTS } from '../../shared/contracts/crm/payments.ts';
import { answerWith, bind, resourceHandlers } from '../api.ts';
import type { Answer, Bound, Parts } from '../api.ts';
import { PAYMENT } from '../families.ts';
import type { Payments, Processed } from './payments.ts';

/** 202: the transfer is requested, and will be completed or rejected. */
const answered = ({ payment, ended }: Processed): Answer => answerWith(payment, ended ? 200 : 202);

export function paymentHandlers(parts: Parts, payments: Payments): Bound[] {
  return [
    ...resourceHandlers(PAYMENT, routes, PAYMENTS, parts),
    bind(routes.process, async ({ params: { id } }, origin) => answered(await payments.process(id, origin))),
    bind(routes.refund, async ({ params: { id } }, origin) => answered(await payments.refund(id, origin))),
  ];
}
