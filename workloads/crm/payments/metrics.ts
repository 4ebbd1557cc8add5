import { TRANSFER_REJECTIONS } from '../../shared/contracts/transfers.ts';
import type { Metrics } from '../../shared/kernel/metrics.ts';
import type { TransferKind } from './store.ts';

const KINDS: readonly TransferKind[] = ['payment', 'refund'];
const ERROR_TYPES: ReadonlySet<string> = new Set([...TRANSFER_REJECTIONS, 'currency_not_found', 'other']);

export type PaymentMetrics = ReturnType<typeof paymentMetrics>;

export function paymentMetrics(metrics: Metrics) {
  const settled = metrics.counter(
    'payment_transfers_completed_total',
    'Transfers of payments and refunds that were completed',
    ['kind'],
    KINDS.map((kind) => ({ kind })),
  );
  const rejected = metrics.counter(
    'payment_transfers_rejected_total',
    'Transfers of payments and refunds that were rejected',
    ['kind', 'error_type'],
    KINDS.flatMap((kind) => [...ERROR_TYPES].map((error_type) => ({ kind, error_type }))),
  );
  return {
    completed: (kind: TransferKind): void => settled.inc({ kind }),
    /** An unknown type counts as `other`. */
    rejected: (kind: TransferKind, errorType: string): void =>
      rejected.inc({ kind, error_type: ERROR_TYPES.has(errorType) ? errorType : 'other' }),
    resumed: metrics.counter(
      'payment_transfers_resumed_total',
      'Transfers of payments that were resumed after they had been given up',
      [],
      [{}],
    ),
    pending: metrics.gauge(
      'payment_transfers_pending',
      'Transfers of payments whose outcome is unknown, for more than an hour where they are overdue',
      ['state'],
    ),
  };
}
