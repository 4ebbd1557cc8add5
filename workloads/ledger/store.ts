import type { HoldView, OpenAccount, StatementQuery } from '../shared/contracts/ledger.ts';
import { isoText as iso, postgresTime } from '../shared/kernel/moment.ts';
import type { Queryable } from '../shared/kernel/postgres.ts';

/** An account as the API shows it; amounts are strings of integer minor units, since JSON numbers lose digits above 2^53. */
export interface AccountView {
  id: string;
  kind: string;
  currency: string;
  productCode: string | null;
  balanceMinor: string;
  /** Sum of the pending holds. */
  heldMinor: string;
  /** Balance less held amounts is never lower; null: no limit. */
  minBalanceMinor: string | null;
  openedAt: string;
  closedAt: string | null;
}

/** One line of a statement. */
export interface StatementLine {
  /** Place among the postings of the account. */
  sequence: number;
  transactionId: string;
  kind: string;
  valueDate: string;
  amountMinor: string;
  balanceAfterMinor: string;
  currency: string;
  postedAt: string;
}

/** A transaction with its postings in order of line. */
export interface TransactionView {
  id: string;
  kind: string;
  currency: string;
  valueDate: string;
  externalId: string | null;
  reverses: string | null;
  reversedBy: string | null;
  holdId: string | null;
  postings: { accountId: string; amountMinor: string; sequence: number }[];
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
  /** Accounts whose postings have gaps in their sequence, or another running balance. */
  sequenceMismatches: number;
  /** Accounts whose held amount is not the sum of their pending holds. */
  holdMismatches: number;
}

const ACCOUNT = `SELECT id, kind, currency, product_code AS "productCode", balance_minor::text AS "balanceMinor", held_minor::text AS "heldMinor",
  min_balance_minor::text AS "minBalanceMinor", ${iso('opened_at')} AS "openedAt", ${iso('closed_at')} AS "closedAt" FROM account`;

const HOLD = `SELECT id::text, external_id AS "externalId", account_id AS "accountId", currency, amount_minor::text AS "amountMinor", state,
  settled_minor::text AS "settledMinor", ${iso('expires_at')} AS "expiresAt", ${iso('created_at')} AS "createdAt", ${iso('ended_at')} AS "endedAt" FROM hold`;

const TRANSACTION = `SELECT t.id::text, t.kind, t.currency, t.value_date::text AS "valueDate", t.external_id AS "externalId", t.reverses::text,
  (SELECT r.id::text FROM journal_transaction r WHERE r.reverses = t.id) AS "reversedBy", t.hold_id::text AS "holdId",
  coalesce((SELECT json_agg(json_build_object('accountId', p.account_id, 'amountMinor', p.amount_minor::text, 'sequence', p.account_seq) ORDER BY p.line)
              FROM posting p WHERE p.transaction_id = t.id), '[]') AS postings
  FROM journal_transaction t WHERE t.id = $1`;

/** What opening and closing an account found. */
export type OpenResult = { account: AccountView } | { errorType: 'account_exists' | 'currency_not_found' | 'product_not_found' };
export type CloseResult = { account: AccountView } | { errorType: 'account_not_found' | 'account_not_empty' };

/** Reads of the ledger database, and the life of accounts. The engine writes everything else. */
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

  /**
   * Opens an account. Repeated with the same content, it returns the account.
   * @param account `minBalanceMinor` is undefined for the default of its kind
   */
  async open({ id, kind, currency, productCode, minBalanceMinor }: OpenAccount): Promise<OpenResult> {
    const limit = minBalanceMinor === undefined ? (kind === 'customer' ? '0' : null) : minBalanceMinor;
    const [known] = await this.#database.query<{ currency: boolean; product: boolean }>(
      'read references',
      `SELECT EXISTS (SELECT FROM currency WHERE code = $1) AS currency,
              $2::text IS NULL OR EXISTS (SELECT FROM product_config WHERE code = $2) AS product`,
      [currency, productCode ?? null],
    );
    if (!known?.currency) return { errorType: 'currency_not_found' };
    if (!known.product) return { errorType: 'product_not_found' };
    await this.#database.query(
      'open account',
      `INSERT INTO account (id, kind, currency, product_code, min_balance_minor) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO NOTHING`,
      [id, kind, currency, productCode ?? null, limit],
    );
    const account = await this.account(id);
    const same =
      account?.kind === kind &&
      account.currency === currency &&
      account.productCode === (productCode ?? null) &&
      account.minBalanceMinor === limit;
    return account && same ? { account } : { errorType: 'account_exists' };
  }

  /** Closes an account with neither balance nor holds; a closed account is left as it is. */
  async close(id: string): Promise<CloseResult> {
    await this.#database.query(
      'close account',
      `UPDATE account SET closed_at = clock_timestamp() WHERE id = $1 AND closed_at IS NULL AND balance_minor = 0 AND held_minor = 0`,
      [id],
    );
    const account = await this.account(id);
    if (!account) return { errorType: 'account_not_found' };
    return account.closedAt === null ? { errorType: 'account_not_empty' } : { account };
  }

  /** One hold, or undefined. */
  async hold(id: string): Promise<HoldView | undefined> {
    const [row] = await this.#database.query<HoldView>('read hold', `${HOLD} WHERE id = $1`, [id]);
    return row;
  }

  /** One transaction, or undefined. */
  async transaction(id: string): Promise<TransactionView | undefined> {
    const [row] = await this.#database.query<TransactionView>('read transaction', TRANSACTION, [id]);
    return row;
  }

  /** Ends holds whose time is over, at most so many. @returns how many */
  async expireHolds(most: number): Promise<number> {
    const [row] = await this.#database.query<{ expired: number }>('expire holds', 'SELECT expire_holds($1) AS expired', [most]);
    return row?.expired ?? 0;
  }

  /** The balance after the last posting, in the sequence of the account, that had been made at a time; "0" when there is none. */
  async balanceAt(id: string, at: string): Promise<string> {
    const [row] = await this.#database.query<{ balance: string }>(
      'read balance at',
      `SELECT balance_after_minor::text AS balance FROM posting WHERE account_id = $1 AND posted_at <= $2::timestamptz
        ORDER BY account_seq DESC LIMIT 1`,
      [id, postgresTime(at)],
    );
    return row?.balance ?? '0';
  }

  /** Lines of an account's statement, newest first: of a period (from inclusive, to exclusive), below a place in the sequence. */
  async statement(id: string, { from, to, before, limit }: StatementQuery): Promise<StatementLine[]> {
    return this.#database.query<StatementLine>(
      'read statement',
      `SELECT p.account_seq::float8 AS sequence, p.transaction_id::text AS "transactionId", t.kind, t.value_date::text AS "valueDate",
              p.amount_minor::text AS "amountMinor", p.balance_after_minor::text AS "balanceAfterMinor", p.currency, ${iso('p.posted_at')} AS "postedAt"
         FROM posting p JOIN journal_transaction t ON t.id = p.transaction_id
        WHERE p.account_id = $1 AND ($2::timestamptz IS NULL OR p.posted_at >= $2) AND ($3::timestamptz IS NULL OR p.posted_at < $3)
          AND ($4::bigint IS NULL OR p.account_seq < $4)
        ORDER BY p.account_seq DESC LIMIT $5`,
      [id, from ? postgresTime(from) : null, to ? postgresTime(to) : null, before ?? null, limit],
    );
  }

  /** Adds up the whole ledger. */
  async check(): Promise<LedgerCheck> {
    const [row] = await this.#database.query<Omit<LedgerCheck, 'ok'>>(
      'check ledger',
      `WITH numbered AS (
              SELECT account_id, amount_minor, account_seq <> row_number() OVER w OR balance_after_minor <> sum(amount_minor) OVER w AS wrong
                FROM posting WINDOW w AS (PARTITION BY account_id ORDER BY account_seq ROWS UNBOUNDED PRECEDING)),
            per_account AS (
              SELECT account_id, sum(amount_minor) AS total, count(*) AS postings, bool_or(coalesce(wrong, true)) AS wrong
                FROM numbered GROUP BY account_id),
            per_hold AS (SELECT account_id, sum(amount_minor) AS held FROM hold WHERE state = 'pending' GROUP BY account_id),
            unbalanced AS (SELECT transaction_id FROM posting GROUP BY transaction_id HAVING sum(amount_minor) <> 0)
       SELECT (SELECT count(*) FROM account)::int AS accounts,
              (SELECT count(*) FROM journal_transaction)::int AS transactions,
              (SELECT count(*) FROM journal_transaction WHERE kind = 'interest')::int AS "interestTransactions",
              (SELECT coalesce(sum(postings), 0) FROM per_account)::int AS postings,
              (SELECT coalesce(sum(total), 0) FROM per_account)::text AS "sumMinor",
              (SELECT count(*) FROM account a FULL JOIN per_account s ON s.account_id = a.id
                WHERE a.balance_minor IS DISTINCT FROM coalesce(s.total, 0))::int AS "balanceMismatches",
              (SELECT count(*) FROM unbalanced)::int AS "unbalancedTransactions",
              (SELECT count(*) FROM account a LEFT JOIN per_account s ON s.account_id = a.id
                WHERE s.wrong OR a.posting_count <> coalesce(s.postings, 0))::int AS "sequenceMismatches",
              (SELECT count(*) FROM account a LEFT JOIN per_hold h ON h.account_id = a.id
                WHERE a.held_minor <> coalesce(h.held, 0))::int AS "holdMismatches"`,
    );
    if (!row) throw new Error('the ledger check returned no row');
    const mismatches = row.balanceMismatches + row.unbalancedTransactions + row.sequenceMismatches + row.holdMismatches;
    return { ok: row.sumMinor === '0' && mismatches === 0, ...row };
  }
}
