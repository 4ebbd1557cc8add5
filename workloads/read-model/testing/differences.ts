import { isoText } from '../../shared/kernel/moment.ts';

/** Runs a statement in one of the databases. */
type Sql = (text: string) => Promise<object[]>;

const BALANCES = `
SELECT id, currency, balance_minor::text AS balance, posting_count::text AS sequence FROM account
 WHERE kind = 'customer' AND posting_count > 0 ORDER BY id`;
const LINES = `
SELECT p.account_id, p.account_seq::text AS sequence, p.transaction_id::text, p.line::text, t.kind, t.external_id, p.currency,
       p.amount_minor::text AS amount, p.balance_after_minor::text AS balance, t.value_date::text, ${isoText('p.posted_at')} AS posted_at
  FROM posting p JOIN journal_transaction t ON t.id = p.transaction_id JOIN account a ON a.id = p.account_id
 WHERE a.kind = 'customer' ORDER BY p.account_id, p.account_seq`;
const PROJECTED_BALANCES = `
SELECT account_id AS id, currency, balance_minor::text AS balance, sequence::text FROM balance b JOIN generation g USING (slot)
 WHERE g.state = 'serving' ORDER BY account_id`;
const PROJECTED_LINES = `
SELECT account_id, sequence::text, transaction_id::text, line::text, kind, external_id, currency, amount_minor::text AS amount,
       balance_after_minor::text AS balance, value_date::text, ${isoText('posted_at')} AS posted_at
  FROM statement_line l JOIN generation g USING (slot) WHERE g.state = 'serving' ORDER BY account_id, l.sequence`;

/** Differences between the generation of the read model that serves and the ledger: balances, sequences and every line. */
export async function differences(ledger: Sql, readModel: Sql): Promise<unknown[]> {
  return [
    ...different(await ledger(BALANCES), await readModel(PROJECTED_BALANCES)),
    ...different(await ledger(LINES), await readModel(PROJECTED_LINES)),
  ];
}

function different(expected: object[], found: object[]): unknown[] {
  const known = new Set(found.map((row) => JSON.stringify(row)));
  const missing = expected.filter((row) => !known.has(JSON.stringify(row)));
  const wanted = new Set(expected.map((row) => JSON.stringify(row)));
  return [
    ...missing.map((row) => ({ missing: row })),
    ...found.filter((row) => !wanted.has(JSON.stringify(row))).map((row) => ({ unknown: row })),
  ];
}
