/** Transfers through the gateway, as the demo and the end-to-end tests make them, and the trace of one by its id. */
import { randomBytes } from 'node:crypto';
import type { Gateway } from './platform.ts';
import { readJson, type TraceStore } from './trace-stores.ts';
import { spansOf, type Span } from './trace.ts';

export interface TransferRequest {
  readonly fromAccount: string;
  readonly toAccount: string;
  readonly amountMinor: string;
  readonly currency: string;
}

export interface TransferAnswer {
  readonly status: number;
  /** Whether an earlier request with the key had made the transfer. */
  readonly replayed: boolean;
  readonly body: Readonly<Record<string, unknown>> & { readonly transferId: string; readonly transactionId: string };
  /** Of the request; its trace is recorded whatever the sampling is. */
  readonly traceId: string;
}

export interface Balance {
  readonly balanceMinor: string;
  /** The service that answered the gateway. */
  readonly source: string;
  readonly sequence: number | undefined;
}

/** Services that every completed transfer passes through, in that order. */
export const TRANSFER_PATH = ['gateway', 'orchestrator', 'ledger', 'outbox-relay', 'read-model'] as const;

/** The span attribute and the field of a log line with the id of a transfer. */
const ATTRIBUTE = 'bss.transfer_id';

/**
 * Two accounts of customers in one currency.
 * @throws when there are none
 */
export async function accountPair(gateway: Gateway): Promise<{ from: string; to: string; currency: string }> {
  const accounts = await gateway.accounts(20);
  const [from, to] = Object.values(Object.groupBy(accounts, ({ currency }) => currency)).find((same) => (same?.length ?? 0) > 1) ?? [];
  if (!from || !to) throw new Error('the ledger has no two accounts in one currency: set spec.seedAccounts');
  return { from: from.id, to: to.id, currency: from.currency };
}

/** @throws when the answer is not a transfer */
export async function makeTransfer(gateway: Gateway, request: TransferRequest, key: string): Promise<TransferAnswer> {
  const traceId = randomBytes(16).toString('hex');
  const response = await gateway.send('/api/v1/transfers', {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'idempotency-key': key,
      traceparent: `00-${traceId}-${randomBytes(8).toString('hex')}-01`,
    },
    body: JSON.stringify(request),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`POST /api/v1/transfers answered ${response.status}: ${text.slice(0, 400)}`);
  const body = JSON.parse(text) as TransferAnswer['body'];
  return { status: response.status, replayed: response.headers.get('idempotency-replayed') === 'true', body, traceId };
}

/** The balance after a transaction: the read model waits until it has projected it. */
export async function balanceAfter(gateway: Gateway, accountId: string, transactionId: string): Promise<Balance> {
  const response = await gateway.send(`/api/v1/accounts/${accountId}/balance?afterTransaction=${transactionId}`);
  const text = await response.text();
  if (!response.ok) throw new Error(`the balance of ${accountId} was answered with ${response.status}: ${text.slice(0, 400)}`);
  const { balanceMinor, sequence } = JSON.parse(text) as { balanceMinor: string; sequence?: number };
  return { balanceMinor, sequence, source: response.headers.get('x-bss-source') ?? 'unknown' };
}

/**
 * The traces that a store has of a transfer: a repeated request has one of its own.
 * @param url base URL of the store
 * @returns their ids
 */
export async function tracesOfTransfer(store: TraceStore, url: string, transferId: string): Promise<string[]> {
  if (store.component === 'tempo') {
    const q = new URLSearchParams({ q: `{ span.${ATTRIBUTE} = "${transferId}" }`, limit: '5' }).toString();
    const { traces = [] } = await readJson<{ traces?: { traceID: string }[] }>(`${url}/api/search?${q}`);
    // Tempo leaves out leading zeros.
    return traces.map(({ traceID }) => traceID.padStart(32, '0'));
  }
  const tags = JSON.stringify({ [ATTRIBUTE]: transferId });
  const search = new URLSearchParams({ service: TRANSFER_PATH[0], tags, limit: '5' }).toString();
  const { data } = await readJson<{ data?: { traceID: string }[] | null }>(`${url}/api/traces?${search}`);
  return (data ?? []).map(({ traceID }) => traceID);
}

/** The spans of a trace once every service of a transfer's path has some; undefined before. */
export async function wholeTrace(store: TraceStore, url: string, traceId: string): Promise<Span[] | undefined> {
  const spans = spansOf(await readJson(url + store.path + traceId));
  return servicesMissing(spans).length === 0 ? spans : undefined;
}

/** The spans of the request that made a transfer, once they are all there; undefined before. */
export async function spansOfTransfer(store: TraceStore, url: string, transferId: string): Promise<Span[] | undefined> {
  for (const traceId of await tracesOfTransfer(store, url, transferId)) {
    const spans = await wholeTrace(store, url, traceId);
    if (spans !== undefined) return spans;
  }
  return undefined;
}

/** Services of the path without a span. */
export function servicesMissing(spans: readonly Span[]): string[] {
  return TRANSFER_PATH.filter((name) => !spans.some(({ service }) => service === name));
}

/** Number of spans of each service, in the order of the path, such as `gateway 3, orchestrator 4`. */
export function spansByService(spans: readonly Span[]): string {
  const counts = Map.groupBy(spans, ({ service }) => service);
  const place = (service: string): number => {
    const index = TRANSFER_PATH.findIndex((name) => name === service);
    return index === -1 ? TRANSFER_PATH.length : index;
  };
  const services = [...counts.keys()].toSorted((a, b) => place(a) - place(b));
  return services.map((service) => `${service} ${counts.get(service)?.length ?? 0}`).join(', ');
}
