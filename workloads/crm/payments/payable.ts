/** Whether an invoice can be paid with an amount. */
import { PROBLEMS } from '../../shared/contracts/crm/problems.ts';
import type { Queryable } from '../../shared/kernel/postgres.ts';
import { Problem } from '../../shared/kernel/problems.ts';

/** Other payments than $2 that have paid the invoice $1, or are about to, and have not been refunded. */
const OTHERS = `SELECT i.status, i.total_minor::text AS "totalMinor", coalesce((
    SELECT sum(p.amount_minor) FROM payment p
     WHERE p.invoice_id = i.id AND p.id IS DISTINCT FROM $2 AND p.deleted_at IS NULL AND p.status IN ('authorized', 'done', 'refunding')), 0)::text AS others
  FROM invoice i WHERE i.id = $1`;

/**
 * The caller has locked the invoice, so that no other payment begins meanwhile.
 * @param paymentId null for a new payment
 * @throws Problem `invoice_not_payable` with the reason
 */
export async function requirePayable(tx: Queryable, invoiceId: string, amountMinor: bigint, paymentId: string | null): Promise<void> {
  const [invoice] = await tx.query<{ status: string; totalMinor: string; others: string }>('read open amount', OTHERS, [
    invoiceId,
    paymentId,
  ]);
  if (!invoice) throw new Error(`invoice ${invoiceId} is gone although it is locked`);
  const { status, totalMinor, others } = invoice;
  if (status !== 'sent' && status !== 'partiallyPaid') throw new Problem(PROBLEMS.invoice_not_payable, `The invoice is ${status}.`);
  const open = BigInt(totalMinor) - BigInt(others);
  if (amountMinor > open) throw new Problem(PROBLEMS.invoice_not_payable, `Of the invoice, ${open} minor units are open.`);
}
