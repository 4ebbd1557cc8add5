/** What the topic of the ledger's entries must have: every posting of every customer, in the order of its account. Pure. */
import assert from 'node:assert/strict';
import { ledgerEntry, ledgerEntryEventId } from '../../shared/contracts/ledger-entry.ts';
import type { LedgerEntry } from '../../shared/contracts/ledger-entry.ts';
import type { ReadRecord } from '../../shared/testing/read-topic.ts';

export interface Found {
  entries: number;
  duplicates: number;
  accounts: number;
}

/**
 * Compares the topic with the ledger: once repetitions are dropped by their sequence, it has every posting of every customer, in order, without
 * gaps, and with the same content.
 * @param records of the topic, each partition in order
 * @param postings as {@link CUSTOMER_POSTINGS} reads them
 */
export function compareTopic(records: ReadRecord[], postings: LedgerEntry[]): Found {
  const { duplicates, accounts } = folded(records);
  const published = [...accounts.values()].flat();
  const key = (entry: LedgerEntry): string => `${entry.accountId} ${String(entry.sequence).padStart(9, '0')}`;
  const sorted = (entries: LedgerEntry[]): LedgerEntry[] => entries.toSorted((one, other) => (key(one) < key(other) ? -1 : 1));
  assert.equal(published.length, postings.length, 'entries in the topic, and postings of customers in the ledger');
  assert.deepEqual(sorted(published), sorted(postings));
  return { entries: published.length, duplicates, accounts: accounts.size };
}

/** The entries of each account as a consumer applies them: what is not above the last sequence is a repetition. */
function folded(records: ReadRecord[]): { duplicates: number; accounts: Map<string, LedgerEntry[]> } {
  const accounts = new Map<string, LedgerEntry[]>();
  let duplicates = 0;
  for (const { key, value, headers } of records) {
    const entry = ledgerEntry.parse(JSON.parse(String(value)));
    assert.equal(String(key), entry.accountId);
    assert.equal(headers['ce_id'], ledgerEntryEventId(entry));
    const known = accounts.get(entry.accountId) ?? [];
    accounts.set(entry.accountId, known);
    const last = known.at(-1)?.sequence ?? 0;
    if (entry.sequence <= last) {
      assert.deepEqual(entry, known[entry.sequence - 1], 'a repetition has the same content');
      duplicates += 1;
      continue;
    }
    assert.equal(entry.sequence, last + 1, `account ${entry.accountId} has no gap`);
    known.push(entry);
  }
  return { duplicates, accounts };
}

/** The postings of customers, read from the ledger by a statement of another form. */
export const CUSTOMER_POSTINGS = `
SELECT p.transaction_id::text AS "entryId", p.line::int AS line, j.kind, j.external_id AS "externalId", p.account_id AS "accountId", p.currency,
       p.amount_minor::text AS "amountMinor", p.account_seq::int AS sequence, p.balance_after_minor::text AS "balanceAfterMinor",
       to_char(j.value_date, 'YYYY-MM-DD') AS "valueDate", to_char(p.posted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "postedAt"
  FROM posting p, journal_transaction j
 WHERE j.id = p.transaction_id AND p.account_id IN (SELECT id FROM account WHERE kind = 'customer')`;
