/** Rows of the outbox as messages. Pure. */
import type { LedgerEntry } from '../shared/contracts/ledger-entry.ts';
import { ledgerEntryHeaders } from '../shared/contracts/ledger-entry.ts';

/** A posting of a customer account, with the outbox row that names it. */
export interface Posting extends LedgerEntry {
  /** `seq` of the row. */
  readonly row: string;
  /** Of the request, when it was sampled. */
  readonly traceparent: string | null;
}

/** A message that is ready to be sent, but for its trace. */
export interface EntryMessage {
  readonly row: string;
  readonly traceparent: string | null;
  readonly entry: LedgerEntry;
  readonly key: string;
  readonly value: string;
  readonly headers: Record<string, string>;
  /** At least as large as the record in Kafka. */
  readonly bytes: number;
}

/** Frame of a record, and the `traceparent` header that a sampled entry gets. */
const RECORD_OVERHEAD = 150;
/** Length fields of a header. */
const HEADER_OVERHEAD = 8;

/** @param source of the events (CloudEvents `source`) */
export function messageOf({ row, traceparent, ...entry }: Posting, source: string): EntryMessage {
  const value = JSON.stringify(entry);
  const headers = ledgerEntryHeaders(entry, source);
  const sizes = Object.entries(headers).map(([name, text]) => HEADER_OVERHEAD + Buffer.byteLength(name) + Buffer.byteLength(text));
  const bytes = RECORD_OVERHEAD + entry.accountId.length + Buffer.byteLength(value) + sizes.reduce((sum, size) => sum + size, 0);
  return { row, traceparent, entry, key: entry.accountId, value, headers, bytes };
}

/** Consecutive messages of at most so many bytes, in order; a message that is larger is alone. */
export function batchesOf(messages: readonly EntryMessage[], maxBytes: number): EntryMessage[][] {
  const batches: EntryMessage[][] = [];
  let room = 0;
  for (const message of messages) {
    const last = batches.at(-1);
    if (!last || message.bytes > room) {
      batches.push([message]);
      room = maxBytes - message.bytes;
    } else {
      last.push(message);
      room -= message.bytes;
    }
  }
  return batches;
}

/**
 * Rows of which every message is sent, in order.
 * @param rows in order, those without messages too
 * @param messages of these rows, in the same order
 * @param sent how many of the messages, from the first one on
 */
export function publishedRows<R extends { readonly seq: string }>(
  rows: readonly R[],
  messages: readonly EntryMessage[],
  sent: number,
): R[] {
  const first = messages[sent]?.row;
  if (first === undefined) return [...rows];
  return rows.slice(
    0,
    rows.findIndex(({ seq }) => seq === first),
  );
}
