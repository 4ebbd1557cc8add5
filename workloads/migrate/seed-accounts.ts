import type { Client } from 'pg';

/** Accounts of one statement: the relay publishes the entries of a statement together. */
const CHUNK = 5_000;

/**
 * Creates the missing demo accounts of `acc-0000001` to `acc-<count>`, each with an opening transaction, in one transaction. Currency, product
 * and opening balance follow from the number, and the accounts have no overdraft. A second run adds nothing, and accounts of customers are not touched.
 * @returns the number of created accounts
 */
export async function seedAccounts(client: Client, count: number): Promise<number> {
  if (count === 0) return 0;
  await client.query('BEGIN');
  try {
    const created = await client.query<{ id: string }>(
      `INSERT INTO account (id, kind, currency, product_code, min_balance_minor)
       SELECT 'acc-' || lpad(n::text, 7, '0'), 'customer',
              (ARRAY['EUR', 'EUR', 'EUR', 'USD', 'GBP'])[1 + n % 5],
              (ARRAY['current', 'savings', 'savings-plus', 'fixed-term'])[1 + n % 4], 0
         FROM generate_series(1, $1::int) AS n ON CONFLICT (id) DO NOTHING RETURNING id`,
      [count],
    );
    const ids = created.rows.map(({ id }) => id);
    for (let first = 0; first < ids.length; first += CHUNK) await client.query(OPENING_BALANCES, [ids.slice(first, first + CHUNK)]);
    await client.query('COMMIT');
    return created.rowCount ?? 0;
  } catch (error) {
    await client.query('ROLLBACK');
    throw error;
  }
}

/** Opens the accounts that this run created, and no others: between 1,000.00 and 51,000.00, against the opening equity of their currency. */
const OPENING_BALANCES = `
WITH fresh AS (
  SELECT md5('opening/' || a.id)::uuid AS id, a.id AS account_id, a.currency,
         100000 + ('x' || substr(md5(a.id), 1, 8))::bit(32)::bigint % 5000000 AS amount
    FROM account a WHERE a.id = ANY ($1::text[])
), journal AS (
  INSERT INTO journal_transaction (id, kind, currency, value_date) SELECT id, 'opening', currency, current_date FROM fresh
)
INSERT INTO posting (transaction_id, line, account_id, currency, amount_minor)
SELECT id, 1, account_id, currency, amount FROM fresh
UNION ALL SELECT id, 2, 'opening-equity.' || currency, currency, -amount FROM fresh`;
