/** Transfers on a platform: two of them, one repeated, the balance that follows, and the trace over all services. */
import { randomUUID } from 'node:crypto';
import type { Target } from '../target/target.ts';
import { until, type Gateway, type PlatformResource } from './platform.ts';
import { ARRIVAL_MS, TRACE_STORES } from './trace-stores.ts';
import { traceLines, type Span } from './trace.ts';
import { accountPair, balanceAfter, makeTransfer, spansByService, spansOfTransfer } from './transfers.ts';

/** What became of the transfers. */
export interface TransferRun {
  readonly transferId: string;
  /** Whether the repeated request had the answer of the first one. */
  readonly repeated: boolean;
  /** The service that answered with the balance. */
  readonly source: string;
  /** Spans of the first transfer; undefined where the platform keeps no traces. */
  readonly spans: number | undefined;
}

/** The first one of a connection may wait for it. */
const FIRST_MS = 60_000;
const PROJECTION_MS = 120_000;
const AMOUNT = { forth: '1250', back: '250' };

/**
 * Makes the transfers and prints what is seen.
 * @param note prints one line
 * @returns undefined where the platform has no orchestrator
 * @throws when a transfer or the query of the balance fails
 */
export async function showTransfer(
  target: Target,
  platform: PlatformResource,
  gateway: Gateway,
  note: (text: string) => void,
): Promise<TransferRun | undefined> {
  const running = new Set((await platform.get())?.status?.components?.flatMap(({ name, ready }) => (ready > 0 ? [name] : [])) ?? []);
  if (!running.has('orchestrator')) {
    note('the platform makes no transfers: workloads.orchestrator does not run in it');
    return undefined;
  }
  const { from, to, currency } = await accountPair(gateway);
  const forth = { fromAccount: from, toAccount: to, amountMinor: AMOUNT.forth, currency };
  const key = randomUUID();
  const first = await until('a transfer', FIRST_MS, () => makeTransfer(gateway, forth, key));
  note(
    `POST /api/v1/transfers: ${AMOUNT.forth} ${currency} minor units from ${from} to ${to}: ${first.status}, transfer ${first.body.transferId}`,
  );
  const back = { ...forth, fromAccount: to, toAccount: from, amountMinor: AMOUNT.back };
  const second = await makeTransfer(gateway, back, randomUUID());
  note(`the other way, ${AMOUNT.back}: ${second.status}, transfer ${second.body.transferId}`);
  const again = await makeTransfer(gateway, forth, key);
  const repeated = again.replayed && again.body.transferId === first.body.transferId;
  note(`the first request again, with its Idempotency-Key: ${again.status}, ${repeated ? 'the same transfer' : 'ANOTHER ANSWER'}`);
  // After a burst the read model still has its entries to project.
  const balance = await until('the balance', PROJECTION_MS, () => balanceAfter(gateway, to, second.body.transactionId));
  note(`GET balance of ${to} after both: ${balance.balanceMinor}, sequence ${balance.sequence ?? '?'}, from the ${balance.source}`);
  const spans = await showTrace(target, platform, running, first.body.transferId, note);
  return { transferId: first.body.transferId, repeated, source: balance.source, spans };
}

/** @returns the number of spans that were found; undefined where the platform keeps no traces */
async function showTrace(
  target: Target,
  platform: PlatformResource,
  running: ReadonlySet<string>,
  transferId: string,
  note: (text: string) => void,
): Promise<number | undefined> {
  const store = TRACE_STORES.find(({ component }) => running.has(component));
  if (store === undefined) {
    note('the platform keeps no traces: neither Tempo nor Jaeger runs in it');
    return undefined;
  }
  const url = await target.forward(platform.namespace, `${platform.name}-${store.component}`, store.port);
  const spans = await until(`the trace in ${store.title}`, ARRIVAL_MS, () => spansOfTransfer(store, url, transferId)).catch(
    (): Span[] => [],
  );
  note(
    spans.length === 0
      ? `${store.title} has no whole trace of it`
      : `its trace, found by transfer_id in ${store.title}: ${spansByService(spans)}`,
  );
  for (const line of traceLines(spans)) note(`  ${line}`);
  return spans.length;
}
