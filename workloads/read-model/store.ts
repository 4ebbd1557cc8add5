import type { AtLeast, StatementLinesQuery } from '../shared/contracts/read-model.ts';
import { isoText, postgresTime } from '../shared/kernel/moment.ts';
import type { Queryable } from '../shared/kernel/postgres.ts';

/** What is projected of an account. */
export interface ProjectedAccount {
  currency: string;
  /** Minor units. */
  balanceMinor: string;
  /** Of the last projected posting. */
  sequence: number;
  postedAt: string;
  /** Partition of the topic that carries the account. */
  partition: number;
  /** The transaction that the request names is projected; true when it names none. */
  hasTransaction: boolean;
}

export interface ProjectedStatement extends ProjectedAccount {
  /** Newest first. */
  lines: {
    sequence: number;
    transactionId: string;
    kind: string;
    valueDate: string;
    amountMinor: string;
    balanceAfterMinor: string;
    currency: string;
    postedAt: string;
  }[];
}

/**
 * The generation is chosen in the statement that reads it. Postgres locks both slots before it takes the snapshot of the statement, so that a
 * generation that has just been removed cannot be taken for an empty one.
 */
const OF_ACCOUNT = `b.currency, b.sequence::float8 AS sequence, ${isoText('b.posted_at')} AS "postedAt", b.partition,
       $2::uuid IS NULL OR EXISTS (SELECT FROM statement_line l WHERE l.slot = b.slot AND l.transaction_id = $2 AND l.account_id = b.account_id)
         AS "hasTransaction"`;
const SERVING = `FROM generation g JOIN balance b ON b.slot = g.slot AND b.account_id = $1 WHERE g.state = 'serving'`;

const BALANCE = `SELECT ${OF_ACCOUNT},
       (CASE WHEN $3::timestamptz IS NULL THEN b.balance_minor ELSE coalesce((
          SELECT l.balance_after_minor FROM statement_line l WHERE l.slot = b.slot AND l.account_id = b.account_id AND l.posted_at <= $3
           ORDER BY l.sequence DESC LIMIT 1), 0) END)::text AS "balanceMinor" ${SERVING}`;

const STATEMENT = `SELECT ${OF_ACCOUNT}, b.balance_minor::text AS "balanceMinor",
       coalesce((SELECT json_agg(lines) FROM (
         SELECT l.sequence, l.transaction_id AS "transactionId", l.kind, l.value_date AS "valueDate", l.amount_minor::text AS "amountMinor",
                l.balance_after_minor::text AS "balanceAfterMinor", l.currency, ${isoText('l.posted_at')} AS "postedAt"
           FROM statement_line l WHERE l.slot = b.slot AND l.account_id = b.account_id AND ($3::timestamptz IS NULL OR l.posted_at >= $3)
            AND ($4::timestamptz IS NULL OR l.posted_at < $4) AND ($5::bigint IS NULL OR l.sequence < $5)
          ORDER BY l.sequence DESC LIMIT $6) lines), '[]') AS lines ${SERVING}`;

/** Reads of the generation that serves. */
export class ReadModelStore {
  readonly #database: Queryable;

  constructor(database: Queryable) {
    this.#database = database;
  }

  /** The balance of an account, now or after the last posting that had been made `at` a time; undefined: no posting is projected. */
  async balance(accountId: string, at: string | undefined, { afterTransaction }: AtLeast): Promise<ProjectedAccount | undefined> {
    const values = [accountId, afterTransaction ?? null, at === undefined ? null : postgresTime(at)];
    const [row] = await this.#database.query<ProjectedAccount>('read balance', BALANCE, values);
    return row;
  }

  /** Lines of an account: of a period (from inclusive, to exclusive), below a place in the sequence. */
  async statement(accountId: string, query: StatementLinesQuery): Promise<ProjectedStatement | undefined> {
    const { from, to, before, limit, afterTransaction } = query;
    const period = [from, to].map((time) => (time === undefined ? null : postgresTime(time)));
    const values = [accountId, afterTransaction ?? null, ...period, before ?? null, limit];
    const [row] = await this.#database.query<ProjectedStatement>('read statement', STATEMENT, values);
    return row;
  }

  /** The last projected sequence of accounts; those without a posting are left out. */
  async sequences(accountIds: string[]): Promise<Map<string, number>> {
    const rows = await this.#database.query<{ id: string; sequence: number }>(
      'read sequences',
      `SELECT b.account_id AS id, b.sequence::float8 AS sequence FROM generation g JOIN balance b ON b.slot = g.slot
        WHERE g.state = 'serving' AND b.account_id = ANY ($1::text[])`,
      [accountIds],
    );
    return new Map(rows.map(({ id, sequence }) => [id, sequence]));
  }

  /** Number of the generation that serves. */
  async generation(): Promise<number> {
    const [row] = await this.#database.query<{ number: number }>(
      'read generation',
      `SELECT number FROM generation WHERE state = 'serving'`,
    );
    if (!row) throw new Error('no generation of the read model serves');
    return row.number;
  }
}
