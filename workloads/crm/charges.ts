/** What a customer can be charged for: read from the database, and written as the lines of an invoice. */
import type { Queryable } from '../shared/kernel/postgres.ts';
import { invoiceLines } from './billing.ts';
import type { BilledItem, BilledSubscription, InvoiceLine, Period } from './billing.ts';

/** Subscriptions of customer $1 that are used between $2 and $3, with the days that invoices other than $4 charge. */
const SUBSCRIPTIONS = `SELECT s.id::text, p.name AS product, s.quantity, s.recurring_minor::text AS "recurringMinor", s.tax_basis_points AS "taxBasisPoints",
    s.start_date::text AS "startDate", s.end_date::text AS "endDate", coalesce((
      SELECT json_agg(json_build_object('start', l.period_start, 'end', l.period_end)) FROM invoice_line l JOIN invoice i ON i.id = l.invoice_id
       WHERE l.subscription_id = s.id AND i.id <> $4 AND i.status <> 'voided' AND i.deleted_at IS NULL AND l.period_end >= $2 AND l.period_start <= $3
    ), '[]') AS invoiced
  FROM subscription s JOIN product p ON p.id = s.product_id
 WHERE s.customer_id = $1 AND s.deleted_at IS NULL AND s.start_date <= $3 AND coalesce(s.end_date, $3) >= $2 AND s.currency = $5
 ORDER BY s.start_date, s.id`;
/** Items of orders of customer $1 that were fulfilled up to the end of day $2, and that no invoice other than $3 charges. */
const ITEMS = `SELECT o.id::text AS "orderId", t.line AS "orderLine", p.name AS product, t.quantity, t.one_time_minor::text AS "oneTimeMinor",
    t.tax_basis_points AS "taxBasisPoints"
  FROM "order" o JOIN order_item t ON t.order_id = o.id JOIN product p ON p.id = t.product_id
 WHERE o.customer_id = $1 AND o.deleted_at IS NULL AND t.one_time_minor > 0 AND t.fulfilled_at < ($2::date + 1)::timestamp AT TIME ZONE 'UTC'
   AND o.currency = $4 AND NOT EXISTS (
     SELECT FROM invoice_line l JOIN invoice i ON i.id = l.invoice_id
      WHERE l.order_id = o.id AND l.order_line = t.line AND i.id <> $3 AND i.status <> 'voided' AND i.deleted_at IS NULL)
 ORDER BY t.fulfilled_at, o.id, t.line`;
const CLEAR = 'DELETE FROM invoice_line WHERE invoice_id = $1';
const WRITE = `INSERT INTO invoice_line (invoice_id, line, description, subscription_id, order_id, order_line, quantity, unit_minor, net_minor,
    tax_basis_points, tax_minor, period_start, period_end)
  SELECT $1, line, description, subscription_id, order_id, order_line, quantity, unit_minor, net_minor, tax_basis_points, tax_minor, period_start, period_end
    FROM jsonb_to_recordset($2) AS l (line int, description text, subscription_id uuid, order_id uuid, order_line int, quantity int, unit_minor bigint,
      net_minor bigint, tax_basis_points int, tax_minor bigint, period_start date, period_end date)`;

/** An invoice that is generated. */
export interface Billing {
  invoiceId: string;
  customerId: string;
  currency: string;
  period: Period;
}

type Row<T, K extends keyof T> = Omit<T, K> & { [P in K]: string };

/** The lines that an invoice has to have now. The caller has locked the customer, so that no other invoice takes the same days. */
export async function chargesOf(
  tx: Queryable,
  { invoiceId, customerId, currency, period: { start, end } }: Billing,
): Promise<readonly InvoiceLine[]> {
  const subscriptions = await tx.query<Row<BilledSubscription, 'recurringMinor'>>('read subscriptions to charge', SUBSCRIPTIONS, [
    customerId,
    start,
    end,
    invoiceId,
    currency,
  ]);
  const items = await tx.query<Row<BilledItem, 'oneTimeMinor'>>('read items to charge', ITEMS, [customerId, end, invoiceId, currency]);
  return invoiceLines(
    { start, end },
    subscriptions.map((row) => ({ ...row, recurringMinor: BigInt(row.recurringMinor) })),
    items.map((row) => ({ ...row, oneTimeMinor: BigInt(row.oneTimeMinor) })),
  );
}

/** Replaces the lines of an invoice. */
export async function writeLines(tx: Queryable, invoiceId: string, lines: readonly InvoiceLine[]): Promise<void> {
  const rows = lines.map((line, index) => ({
    line: index + 1,
    description: line.description,
    subscription_id: line.subscriptionId,
    order_id: line.orderId,
    order_line: line.orderLine,
    quantity: line.quantity,
    unit_minor: String(line.unitMinor),
    net_minor: String(line.netMinor),
    tax_basis_points: line.taxBasisPoints,
    tax_minor: String(line.taxMinor),
    period_start: line.period?.start ?? null,
    period_end: line.period?.end ?? null,
  }));
  await tx.query('clear lines', CLEAR, [invoiceId]);
  await tx.query('write lines', WRITE, [invoiceId, JSON.stringify(rows)]);
}
