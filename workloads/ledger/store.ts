import type { Queryable } from '../shared/kernel/postgres.ts';

/** An account as the API shows it; amounts are strings of integer minor units, since JSON numbers lose digits above 2^53. */
export interface AccountView {
  id: string;
  kind: string;
  currency: string;
  productCode: string | null;
  balanceMinor: string;
  openedAt: string;
}

/** One line of a statement, newest first. */
export interface StatementLine {
  transactionId: string;
  kind: string;
  valueDate: string;
  amountMinor: string;
  currency: string;
  postedAt: string;
}

/** Sums over the whole ledger, from one statement and therefore one snapshot. */
export interface LedgerCheck {
  ok: boolean;
  accounts: number;
  transactions: number;
  interestTransactions: number;
  postings: number;
  /** Sum of all postings; "0" in a sound ledger. */
  sumMinor: string;
  /** Accounts whose balance is not the sum of their postings. */
  balanceMismatches: number;
  /** Transactions whose postings do not sum to zero. */
  unbalancedTransactions: number;
  /** Events that the journal has more than once. */
}

const ACCOUNT = `SELECT id, kind, currency, product_code AS "productCode", balance_minor::text AS "balanceMinor",
  to_char(opened_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "openedAt" FROM account`;

/** Reads of the ledger database. */
export class LedgerStore {
  readonly #database: Queryable;

  constructor(database: Queryable) {
    this.#database = database;
  }

  /** One account, or undefined. */
  async account(id: string): Promise<AccountView | undefined> {
    const [row] = await this.#database.query<AccountView>('read account', `${ACCOUNT} WHERE id = $1`, [id]);
    return row;
  }

  /** Customer accounts in order of id, after `after`. */
  async customerAccounts(after: string, limit: number): Promise<AccountView[]> {
    return this.#database.query<AccountView>('list accounts', `${ACCOUNT} WHERE kind = 'customer' AND id > $1 ORDER BY id LIMIT $2`, [
      after,
      limit,
    ]);
  }

  /** The newest lines of an account's statement. */
  async statement(id: string, limit: number): Promise<StatementLine[]> {
    return this.#database.query<StatementLine>(
      'read statement',
      `SELECT p.transaction_id::text AS "transactionId", t.kind, t.value_date::text AS "valueDate", p.amount_minor::text AS "amountMinor", p.currency,
              to_char(p.posted_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "postedAt"
         FROM posting p JOIN journal_transaction t ON t.id = p.transaction_id
        WHERE p.account_id = $1 ORDER BY p.posted_at DESC, p.transaction_id DESC LIMIT $2`,
      [id, limit],
    );
  }

  /** Adds up the whole ledger. */
  async check(): Promise<LedgerCheck> {
    const [row] = await this.#database.query<Omit<LedgerCheck, 'ok'>>(
      'check ledger',
      `WITH per_account AS (SELECT account_id, sum(amount_minor) AS total, count(*) AS postings FROM posting GROUP BY account_id),
            unbalanced AS (SELECT transaction_id FROM posting GROUP BY transaction_id HAVING sum(amount_minor) <> 0)
       SELECT (SELECT count(*) FROM account)::int AS accounts,
              (SELECT count(*) FROM journal_transaction)::int AS transactions,
              (SELECT count(*) FROM journal_transaction WHERE kind = 'interest')::int AS "interestTransactions",
              (SELECT coalesce(sum(postings), 0) FROM per_account)::int AS postings,
              (SELECT coalesce(sum(total), 0) FROM per_account)::text AS "sumMinor",
              (SELECT count(*) FROM account a FULL JOIN per_account s ON s.account_id = a.id
                WHERE a.balance_minor IS DISTINCT FROM coalesce(s.total, 0))::int AS "balanceMismatches",
              (SELECT count(*) FROM unbalanced)::int AS "unbalancedTransactions"`,
    );
    if (!row) throw new Error('the ledger check returned no row');
    const sound = row.sumMinor === '0' && row.balanceMismatches === 0 && row.unbalancedTransactions === 0;
    return { ok: sound, ...row };
  }
}
