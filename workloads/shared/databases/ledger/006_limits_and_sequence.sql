-- Up Migration

-- Limits, closing and a sequence of postings for each account. Consumers of the former version go on: they leave the new columns of a posting
-- empty, and the trigger on posting fills them.
ALTER TABLE account
  ADD COLUMN min_balance_minor bigint,
  ADD COLUMN held_minor bigint NOT NULL DEFAULT 0 CONSTRAINT account_held CHECK (held_minor >= 0),
  ADD COLUMN posting_count bigint NOT NULL DEFAULT 0,
  ADD COLUMN closed_at timestamptz,
  ADD CONSTRAINT account_limit CHECK (min_balance_minor IS NULL OR balance_minor - held_minor >= min_balance_minor),
  ADD CONSTRAINT account_closed_empty CHECK (closed_at IS NULL OR (balance_minor = 0 AND held_minor = 0));
COMMENT ON COLUMN account.min_balance_minor IS 'Balance less held amounts is never lower. 0: no overdraft; NULL: no limit.';
COMMENT ON COLUMN account.held_minor IS 'Sum of the account''s pending holds, kept by the trigger on hold and by nothing else.';
COMMENT ON COLUMN account.posting_count IS 'Number of the account''s postings, which is the account_seq of the last one.';

ALTER TABLE posting ADD COLUMN account_seq bigint, ADD COLUMN balance_after_minor bigint;
COMMENT ON COLUMN posting.account_seq IS 'Place among the postings of the account: 1, 2, 3 and so on, in the order in which they were committed.';
COMMENT ON COLUMN posting.balance_after_minor IS 'Balance of the account after this posting.';

-- Earlier postings get their numbers by time. Within one transaction of the consumer that order was not kept.
ALTER TABLE posting DISABLE TRIGGER posting_append_only;
GRANT UPDATE (account_seq, balance_after_minor) ON posting TO CURRENT_USER;
UPDATE posting p SET account_seq = n.seq, balance_after_minor = n.balance
  FROM (SELECT transaction_id, line, row_number() OVER w AS seq, sum(amount_minor) OVER w AS balance
          FROM posting WINDOW w AS (PARTITION BY account_id ORDER BY posted_at, transaction_id, line ROWS UNBOUNDED PRECEDING)) n
 WHERE p.transaction_id = n.transaction_id AND p.line = n.line;
UPDATE account a SET posting_count = n.count FROM (SELECT account_id, count(*) FROM posting GROUP BY account_id) n WHERE n.account_id = a.id;
-- This index takes the place of the one by time, so that a posting still costs two index entries. The statement of the former version reads
-- all postings of its account by it.
CREATE UNIQUE INDEX posting_account_seq ON posting (account_id, account_seq);
DROP INDEX posting_by_account;

-- A posting is never changed, but for the numbers that its own insertion gives it.
DROP TRIGGER posting_append_only ON posting;
CREATE TRIGGER posting_append_only
  BEFORE DELETE OR TRUNCATE OR UPDATE OF transaction_id, line, account_id, currency, amount_minor, posted_at ON posting
  FOR EACH STATEMENT EXECUTE FUNCTION journal_is_append_only();
CREATE TRIGGER posting_numbers_guard BEFORE UPDATE OF account_seq, balance_after_minor ON posting
  FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION journal_is_append_only();
DROP TRIGGER account_balance_guard ON account;
CREATE TRIGGER account_balance_guard BEFORE UPDATE OF balance_minor, held_minor, posting_count ON account
  FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION balance_moves_by_posting();
CREATE FUNCTION account_is_fixed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'id, kind and currency of account % cannot change, and a closed account stays closed', OLD.id USING ERRCODE = 'LB003';
END $$;
CREATE TRIGGER account_is_fixed BEFORE UPDATE OF id, kind, currency, closed_at ON account FOR EACH ROW
  WHEN (OLD.id <> NEW.id OR OLD.kind <> NEW.kind OR OLD.currency <> NEW.currency
    OR (OLD.closed_at IS NOT NULL AND OLD.closed_at IS DISTINCT FROM NEW.closed_at))
  EXECUTE FUNCTION account_is_fixed();
DROP TRIGGER account_opens_empty ON account;
CREATE TRIGGER account_opens_empty BEFORE INSERT ON account FOR EACH ROW
  WHEN (NEW.balance_minor <> 0 OR NEW.held_minor <> 0 OR NEW.posting_count <> 0) EXECUTE FUNCTION account_opens_empty();

-- The invariants of migration 001, and further ones:
--   4. the postings of an account are numbered without gaps;
--   5. a closed account has no further postings;
--   6. a balance does not fall below its limit (a CHECK of account).
-- Lock order, one rule for all writers: accounts by id, ascending. A writer that numbers its postings has locked their accounts before. The
-- postings of other writers are numbered here, behind the lock that the UPDATE takes.
CREATE OR REPLACE FUNCTION posting_apply() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  offender   text;
  unnumbered boolean;
  wanted     bigint;
  moved      bigint;
BEGIN
  SELECT p.transaction_id::text INTO offender
    FROM (SELECT transaction_id, sum(amount_minor) AS total, min(currency) AS low, max(currency) AS high
            FROM inserted GROUP BY transaction_id) p
    LEFT JOIN journal_transaction t ON t.id = p.transaction_id
   WHERE p.total <> 0 OR p.low <> p.high OR t.currency IS DISTINCT FROM p.low LIMIT 1;
  IF offender IS NOT NULL THEN
    RAISE EXCEPTION 'transaction % does not balance', offender
      USING ERRCODE = 'LB001', HINT = 'Insert all postings of a transaction in one statement, in its currency, with sum zero.';
  END IF;

  SELECT count(*), coalesce(bool_or(numbered = 0), false) INTO wanted, unnumbered
    FROM (SELECT count(account_seq) AS numbered FROM inserted GROUP BY account_id, currency) d;
  UPDATE account a SET balance_minor = a.balance_minor + d.amount, posting_count = a.posting_count + d.postings
    FROM (SELECT account_id, currency, sum(amount_minor) AS amount, count(*) AS postings,
                 count(account_seq) AS numbered, min(account_seq) AS low, max(account_seq) AS high
            FROM inserted GROUP BY account_id, currency ORDER BY account_id) d
   WHERE a.id = d.account_id AND a.currency = d.currency AND a.closed_at IS NULL
     AND (d.numbered = 0 OR (d.numbered = d.postings AND d.low = a.posting_count + 1 AND d.high = a.posting_count + d.postings));
  GET DIAGNOSTICS moved = ROW_COUNT;
  IF moved <> wanted THEN
    SELECT i.account_id INTO offender FROM inserted i JOIN account a ON a.id = i.account_id AND a.currency = i.currency
     WHERE a.closed_at IS NOT NULL LIMIT 1;
    IF FOUND THEN RAISE EXCEPTION 'account % is closed', offender USING ERRCODE = 'LB006'; END IF;
    SELECT i.account_id INTO offender FROM inserted i LEFT JOIN account a ON a.id = i.account_id AND a.currency = i.currency
     WHERE a.id IS NULL LIMIT 1;
    IF FOUND THEN
      RAISE EXCEPTION '% of % accounts do not exist in the currency of their postings', wanted - moved, wanted USING ERRCODE = 'LB002';
    END IF;
    RAISE EXCEPTION 'the postings of % accounts do not continue their sequence', wanted - moved
      USING ERRCODE = 'LB005', HINT = 'Lock the accounts in order of id, then number their postings from posting_count + 1.';
  END IF;

  IF unnumbered THEN
    UPDATE posting p SET account_seq = n.seq, balance_after_minor = n.balance
      FROM (SELECT i.transaction_id, i.line,
                   a.posting_count - count(*) OVER account + row_number() OVER running AS seq,
                   a.balance_minor - sum(i.amount_minor) OVER account + sum(i.amount_minor) OVER running AS balance
              FROM inserted i JOIN account a ON a.id = i.account_id
             WHERE i.account_seq IS NULL
            WINDOW account AS (PARTITION BY i.account_id),
                   running AS (PARTITION BY i.account_id ORDER BY i.transaction_id, i.line ROWS UNBOUNDED PRECEDING)) n
     WHERE p.transaction_id = n.transaction_id AND p.line = n.line;
  END IF;
  RETURN NULL;
END $$;

-- Down Migration

DROP TRIGGER posting_numbers_guard ON posting;
DROP TRIGGER posting_append_only ON posting;
CREATE TRIGGER posting_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON posting
  FOR EACH STATEMENT EXECUTE FUNCTION journal_is_append_only();
DROP TRIGGER account_balance_guard ON account;
CREATE TRIGGER account_balance_guard BEFORE UPDATE OF balance_minor ON account
  FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION balance_moves_by_posting();
DROP TRIGGER account_opens_empty ON account;
CREATE TRIGGER account_opens_empty BEFORE INSERT ON account
  FOR EACH ROW WHEN (NEW.balance_minor <> 0) EXECUTE FUNCTION account_opens_empty();
DROP TRIGGER account_is_fixed ON account;
DROP FUNCTION account_is_fixed;
DROP INDEX posting_account_seq;
CREATE INDEX posting_by_account ON posting (account_id, posted_at);
ALTER TABLE posting DROP COLUMN account_seq, DROP COLUMN balance_after_minor;
ALTER TABLE account DROP COLUMN min_balance_minor, DROP COLUMN held_minor, DROP COLUMN posting_count, DROP COLUMN closed_at;

CREATE OR REPLACE FUNCTION posting_apply() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
DECLARE
  offender text;
  wanted   bigint;
  moved    bigint;
BEGIN
  SELECT p.transaction_id::text INTO offender
    FROM (SELECT transaction_id, sum(amount_minor) AS total, min(currency) AS low, max(currency) AS high
            FROM inserted GROUP BY transaction_id) p
    LEFT JOIN journal_transaction t ON t.id = p.transaction_id
   WHERE p.total <> 0 OR p.low <> p.high OR t.currency IS DISTINCT FROM p.low LIMIT 1;
  IF offender IS NOT NULL THEN
    RAISE EXCEPTION 'transaction % does not balance', offender
      USING ERRCODE = 'LB001', HINT = 'Insert all postings of a transaction in one statement, in its currency, with sum zero.';
  END IF;

  SELECT count(*) INTO wanted FROM (SELECT DISTINCT account_id, currency FROM inserted) d;
  UPDATE account a SET balance_minor = a.balance_minor + d.amount
    FROM (SELECT account_id, currency, sum(amount_minor) AS amount FROM inserted GROUP BY account_id, currency ORDER BY account_id) d
   WHERE a.id = d.account_id AND a.currency = d.currency;
  GET DIAGNOSTICS moved = ROW_COUNT;
  IF moved <> wanted THEN
    RAISE EXCEPTION '% of % accounts do not exist in the currency of their postings', wanted - moved, wanted
      USING ERRCODE = 'LB002';
  END IF;
  RETURN NULL;
END $$;
