/**
 * Payments and refunds, each one transfer. The database has a transfer before the orchestrator is called, and the orchestrator makes it once for its
 * key. So every step may be repeated after a crash or a lost answer.
 */
import type { StateOf } from '../../shared/contracts/crm/states.ts';
import { PROBLEMS } from '../../shared/contracts/crm/problems.ts';
import { withOwnDeadline } from '../../shared/kernel/deadline.ts';
import type { Logger } from '../../shared/kernel/log.ts';
import { Problem } from '../../shared/kernel/problems.ts';
import { repeat } from '../../shared/kernel/repeat.ts';
import { sampledTraceparent, traceHeaders, untraced } from '../../shared/kernel/telemetry.ts';
import { paidState } from '../billing.ts';
import { CUSTOMER, INVOICE, PAYMENT } from '../families.ts';
import type { Entity } from '../family.ts';
import type { Origin, Records, Writing } from '../records.ts';
import { requireTransition } from '../states.ts';
import type { PaymentMetrics } from './metrics.ts';
import { requirePayable } from './payable.ts';
import { PaymentStore } from './store.ts';
import type { PendingTransfer, TransferKind } from './store.ts';
import { customerAccount, PAYMENT_CLIENT, receiptsAccount } from './transfers.ts';
import type { TransferOutcome, Transfers } from './transfers.ts';

/** A request waits so long for the outcome; its deadline is later. */
const EXECUTION_MS = 4_000;
/** What the orchestrator has answered is written whether or not the client still waits. */
const END_MS = 5_000;
const RELEASE_MS = 1_000;
const SWEEP_INTERVAL_MS = 1_000;
const MAX_SWEEP_INTERVAL_MS = 10_000;
/** Transfers of one round. */
const MOST = 50;

interface Parts {
  records: Records;
  store: PaymentStore;
  /** Undefined: no payment can be processed. */
  transfers: Transfers | undefined;
  metrics: PaymentMetrics;
  log: Logger;
}

/** A payment after a request, and whether its transfer has ended. */
export interface Processed {
  payment: Entity;
  ended: boolean;
}

interface Step {
  kind: TransferKind;
  /** State while the outcome of the transfer is unknown. */
  pending: StateOf<'payment'>;
  completed: StateOf<'payment'>;
  rejected: StateOf<'payment'>;
}

const STEPS: Readonly<Record<TransferKind, Step>> = {
  payment: { kind: 'payment', pending: 'authorized', completed: 'done', rejected: 'failed' },
  refund: { kind: 'refund', pending: 'refunding', completed: 'refunded', rejected: 'done' },
};

const minor = (entity: Entity, field: string): bigint => BigInt(String(entity[field]));
const now = (): string => new Date().toISOString();

/** Later refunds have another key, because the orchestrator repeats the rejection of the first one. Pure. */
export function keyOf(kind: TransferKind, payment: Entity): string {
  const rejected = kind === 'refund' ? Number(payment['refundsRejected']) : 0;
  return rejected === 0 ? `${kind}:${payment.id}` : `${kind}:${payment.id}:${rejected + 1}`;
}

export class Payments {
  readonly #parts: Parts;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Processes a payment. @throws Problem `illegal_transition`, `invoice_not_payable`, `payments_not_configured` */
  process(id: string, origin: Origin): Promise<Processed> {
    return this.#run(STEPS.payment, id, origin);
  }

  /** Refunds a payment that is done. @throws as {@link process} */
  refund(id: string, origin: Origin): Promise<Processed> {
    return this.#run(STEPS.refund, id, origin);
  }

  async #run(step: Step, id: string, origin: Origin): Promise<Processed> {
    const transfers = this.#configured();
    const { payment, transfer } = await this.#begun(step, id, origin);
    if (!transfer) return { payment, ended: false };
    const after = await withOwnDeadline(EXECUTION_MS, () => this.#executed(transfer, transfers, origin)).catch((error: unknown) =>
      this.#givenUp(transfer, error),
    );
    return after ? { payment: after, ended: true } : { payment, ended: false };
  }

  #configured(): Transfers {
    const { transfers } = this.#parts;
    if (transfers) return transfers;
    throw new Problem(PROBLEMS.payments_not_configured, 'Set ORCHESTRATOR_URL and ACCOUNTS_URL with their keys.');
  }

  /** Writes that the transfer is requested, or takes one over that was given up. Without a transfer another request executes it. */
  async #begun(step: Step, id: string, origin: Origin): Promise<{ payment: Entity; transfer: PendingTransfer | undefined }> {
    const { records, store } = this.#parts;
    const { payment, begun } = await records.write(origin, async (writing) => begin(writing, step, id));
    if (begun) return { payment, transfer: begun };
    return { payment, transfer: await store.take(id, step.kind) };
  }

  /** The transfer was neither completed nor rejected. It is resumed. */
  async #givenUp(transfer: PendingTransfer, error: unknown): Promise<undefined> {
    const { store, log } = this.#parts;
    log.warn({ error, payment_id: transfer.paymentId, kind: transfer.kind }, 'the outcome of a transfer is unknown; it is resumed');
    await withOwnDeadline(RELEASE_MS, () => store.release(transfer)).catch(() => undefined);
    return undefined;
  }

  /** @returns the payment after its transfer @throws when the outcome is unknown */
  async #executed(transfer: PendingTransfer, transfers: Transfers, origin: Origin): Promise<Entity> {
    const outcome = await this.#transferred(transfer, transfers, origin);
    return withOwnDeadline(END_MS, () => this.#end(transfer, outcome, origin));
  }

  async #transferred(
    { kind, key, customerId, amountMinor, currency }: PendingTransfer,
    transfers: Transfers,
    origin: Origin,
  ): Promise<TransferOutcome> {
    const account = customerAccount(customerId);
    const receipts = receiptsAccount(currency);
    const refused = (await transfers.open(receipts, currency)) ?? (await this.#openAccount(customerId, currency, transfers, origin));
    if (refused !== undefined) return { errorType: refused };
    const [fromAccount, toAccount] = kind === 'payment' ? [account, receipts] : [receipts, account];
    return transfers.transfer({ key, fromAccount, toAccount, amountMinor, currency });
  }

  /** Opens the account of a customer with the first payment, and notes it. */
  async #openAccount(customerId: string, currency: string, transfers: Transfers, origin: Origin): Promise<string | undefined> {
    const account = customerAccount(customerId);
    if ((await this.#parts.store.accountOf(customerId)) === account) return undefined;
    const refused = await transfers.open(account, currency);
    if (refused !== undefined) return refused;
    await this.#parts.records.write(origin, async (writing) => {
      const customer = await writing.lock(CUSTOMER, customerId);
      if (customer['ledgerAccount'] === null && customer['erasedAt'] === null)
        await writing.update(CUSTOMER, customer, { ledgerAccount: account }, 'accountOpened');
    });
    return undefined;
  }

  /** Writes the outcome, once. */
  async #end(transfer: PendingTransfer, outcome: TransferOutcome, origin: Origin): Promise<Entity> {
    const { records, metrics } = this.#parts;
    const { payment, ended } = await records.write(origin, (writing) => end(writing, transfer, outcome));
    if (ended && 'transferId' in outcome) metrics.completed(transfer.kind);
    if (ended && 'errorType' in outcome) metrics.rejected(transfer.kind, outcome.errorType);
    return payment;
  }

  /** Resumes transfers whose process has ended or given them up. Every replica does. @returns stops after the round in progress */
  startSweeper(): () => Promise<void> {
    const { log } = this.#parts;
    const what = 'resume transfers of payments';
    return repeat({ log, what, intervalMs: SWEEP_INTERVAL_MS, maxIntervalMs: MAX_SWEEP_INTERVAL_MS, round: () => this.#sweep() });
  }

  async #sweep(): Promise<boolean> {
    const { store, transfers, metrics, log } = this.#parts;
    const counts = await withOwnDeadline(END_MS, () => untraced(() => store.counts()));
    metrics.pending.set({ state: 'in_progress' }, counts.inProgress);
    metrics.pending.set({ state: 'overdue' }, counts.overdue);
    if (!transfers || counts.inProgress + counts.overdue === 0) return false;
    const taken = await withOwnDeadline(END_MS, () => untraced(() => store.takeAbandoned(MOST)));
    const results = await Promise.allSettled(taken.map((transfer) => withOwnDeadline(END_MS, () => this.#resume(transfer, transfers))));
    const failed = results.filter((result) => result.status === 'rejected');
    // One transfer that fails time and again does not delay the others.
    if (failed[0] && failed.length === results.length) throw failed[0].reason;
    if (failed[0]) log.warn({ error: failed[0].reason, transfers: failed.length }, 'transfers could not be resumed; retrying');
    return taken.length === MOST;
  }

  async #resume(transfer: PendingTransfer, transfers: Transfers): Promise<void> {
    const { metrics, store, log } = this.#parts;
    const traceId = traceHeaders()['traceparent']?.split('-')[1];
    metrics.resumed.inc();
    try {
      const payment = await this.#executed(transfer, transfers, { client: PAYMENT_CLIENT, traceparent: sampledTraceparent(), traceId });
      log.info({ payment_id: payment.id, kind: transfer.kind, status: payment['status'] }, 'payment resumed');
    } catch (error) {
      await withOwnDeadline(RELEASE_MS, () => store.release(transfer)).catch(() => undefined);
      throw error;
    }
  }
}

/** @returns the payment as it is now, and its transfer unless that was begun before */
async function begin(writing: Writing, step: Step, id: string): Promise<{ payment: Entity; begun: PendingTransfer | undefined }> {
  const { kind, pending } = step;
  const payment = await writing.lock(PAYMENT, id);
  if (payment['status'] === pending) return { payment, begun: undefined };
  requireTransition('payment', String(payment['status']), pending);
  const customerId = String(payment['customerId']);
  const amountMinor = String(payment['amountMinor']);
  const { invoiceId } = payment;
  if (kind === 'payment' && typeof invoiceId === 'string') {
    await writing.lock(INVOICE, invoiceId);
    await requirePayable(writing, invoiceId, BigInt(amountMinor), id);
  }
  const begun = { paymentId: id, kind, key: keyOf(kind, payment), customerId, amountMinor, currency: String(payment['currency']) };
  await PaymentStore.begin(writing, begun);
  return { payment: await writing.update(PAYMENT, payment, { status: pending, errorType: null }, pending), begun };
}

/** @returns the payment as it is now, and whether this call has ended its transfer */
async function end(writing: Writing, transfer: PendingTransfer, outcome: TransferOutcome): Promise<{ payment: Entity; ended: boolean }> {
  const payment = await writing.lock(PAYMENT, transfer.paymentId);
  if (!(await PaymentStore.end(writing, transfer))) return { payment, ended: false };
  const { kind, completed, rejected } = STEPS[transfer.kind];
  if ('errorType' in outcome) {
    const refundsRejected = Number(payment['refundsRejected']) + (kind === 'refund' ? 1 : 0);
    const action = kind === 'refund' ? 'refundRejected' : 'failed';
    return {
      payment: await writing.update(PAYMENT, payment, { status: rejected, errorType: outcome.errorType, refundsRejected }, action),
      ended: true,
    };
  }
  const { transferId } = outcome;
  const set = kind === 'payment' ? { transferId, settledAt: now() } : { refundTransferId: transferId, refundedAt: now() };
  const after = await writing.update(PAYMENT, payment, { status: completed, ...set }, kind === 'payment' ? 'settled' : 'refunded');
  await book(writing, kind, payment);
  return { payment: after, ended: true };
}

/** What a completed transfer means for the invoice. */
async function book(writing: Writing, kind: TransferKind, payment: Entity): Promise<void> {
  const { invoiceId } = payment;
  if (typeof invoiceId !== 'string') return;
  const invoice = await writing.lock(INVOICE, invoiceId);
  const amount = minor(payment, 'amountMinor');
  const paid = minor(invoice, 'paidMinor') + (kind === 'payment' ? amount : -amount);
  const status = paidState(minor(invoice, 'totalMinor'), paid);
  const action = kind === 'refund' ? 'refunded' : status === 'settled' ? 'settled' : 'partiallyPaid';
  await writing.update(INVOICE, invoice, { paidMinor: String(paid), status }, action);
}
