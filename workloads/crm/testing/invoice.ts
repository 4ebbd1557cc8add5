/** An invoice of a household, as tests and the preview of the page use it. */
import { invoiceLines, totalsOf } from '../billing.ts';
import type { BilledItem, BilledSubscription } from '../billing.ts';
import type { InvoiceData, Issuer } from '../invoice/document.ts';

export const ISSUER: Issuer = {
  name: 'Example Telecom',
  address: ['1 Exchange Street', '10115 Sampletown', 'Germany'],
  taxId: 'DE 000 000 000',
  payment: ['Example Bank', 'IBAN DE00 0000 0000 0000 0000 00', 'BIC EXAMPLEX'],
};

const PERIOD = { start: '2026-01-01', end: '2026-01-31' };
const subscription = { quantity: 1, taxBasisPoints: 1_900, startDate: '2025-06-01', endDate: null, invoiced: [] };
const SUBSCRIPTIONS: BilledSubscription[] = [
  { ...subscription, id: '1', product: 'Fibre 500 – internet and telephone', recurringMinor: 4_490n },
  { ...subscription, id: '2', product: 'Mobile L, 40 GB', quantity: 2, recurringMinor: 2_499n },
  { ...subscription, id: '3', product: 'TV package “Family”', recurringMinor: 1_290n, startDate: '2026-01-12' },
  { ...subscription, id: '4', product: 'Static IP address', recurringMinor: 500n, endDate: '2026-01-09' },
];
const ITEMS: BilledItem[] = [
  { orderId: 'o', orderLine: 1, product: 'Set-top box', quantity: 1, oneTimeMinor: 8_900n, taxBasisPoints: 1_900 },
  { orderId: 'o', orderLine: 2, product: 'User guide, printed', quantity: 1, oneTimeMinor: 950n, taxBasisPoints: 700 },
];

/** @param change replaces fields of the invoice */
export function exampleInvoice(change: Partial<InvoiceData> = {}): InvoiceData {
  const lines = invoiceLines(PERIOD, SUBSCRIPTIONS, ITEMS);
  const { netMinor, taxMinor, totalMinor } = totalsOf(lines);
  return {
    id: '019a0000-0000-7000-8000-000000000001',
    number: 'INV-2026-000042',
    status: 'sent',
    currency: 'EUR',
    periodStart: PERIOD.start,
    periodEnd: PERIOD.end,
    issueDate: '2026-02-01',
    dueDate: '2026-02-15',
    netMinor: String(netMinor),
    taxMinor: String(taxMinor),
    totalMinor: String(totalMinor),
    paidMinor: '0',
    customer: {
      id: '019a0000-0000-7000-8000-00000000c0de',
      name: 'Jane Example',
      address: ['7 Harbour Lane', '20457 Sampletown', 'Germany'],
    },
    lines: lines.map(({ description, quantity, unitMinor, netMinor: net, taxBasisPoints, taxMinor: tax, period }) => ({
      description,
      quantity,
      unitMinor: String(unitMinor),
      netMinor: String(net),
      taxBasisPoints,
      taxMinor: String(tax),
      periodStart: period?.start ?? null,
      periodEnd: period?.end ?? null,
    })),
    ...change,
  };
}
