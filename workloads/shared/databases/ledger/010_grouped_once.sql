-- Up Migration

-- The invariants of migrations 001 and 006, with two passes over the postings of a statement instead of four: one groups them by transaction,
-- checks the transactions and publishes them, the other groups them by account and moves the balances. All former writers go on as before.
-- A plan that was made while the journal was small stays for as long as its session: without enable_material it would compare each transaction of
-- a statement with the whole journal.
CREATE OR REPLACE FUNCTION posting_apply() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET enable_material = off AS $$
DECLARE
  offender   text;
  ids        uuid[];
  balanced   boolean;
  unnumbered boolean;
  wanted     bigint;
  moved      bigint;
BEGIN
  -- One pass over the transactions. One with two currencies has two groups, and one of them differs from its journal entry.
  SELECT array_agg(p.transaction_id), bool_and(p.total = 0 AND t.currency IS NOT DISTINCT FROM p.currency), sum(p.postings)
    INTO ids, balanced, wanted
    FROM (SELECT transaction_id, currency, sum(amount_minor) AS total, count(*) AS postings
            FROM inserted GROUP BY transaction_id, currency) p
    LEFT JOIN journal_transaction t ON t.id = p.transaction_id;
  IF wanted IS NULL THEN RETURN NULL; END IF;
  IF NOT balanced THEN
    SELECT p.transaction_id::text INTO offender
      FROM (SELECT transaction_id, currency, sum(amount_minor) AS total FROM inserted GROUP BY transaction_id, currency) p
      LEFT JOIN journal_transaction t ON t.id = p.transaction_id
     WHERE p.total <> 0 OR t.currency IS DISTINCT FROM p.currency LIMIT 1;
    RAISE EXCEPTION 'transaction % does not balance', offender
      USING ERRCODE = 'LB001', HINT = 'Insert all postings of a transaction in one statement, in its currency, with sum zero.';
  END IF;

  -- One pass over the accounts, which are locked in order of id.
  WITH changed AS (
    UPDATE account a SET balance_minor = a.balance_minor + d.amount, posting_count = a.posting_count + d.postings
      FROM (SELECT account_id, currency, sum(amount_minor) AS amount, count(*) AS postings,
                   count(account_seq) AS numbered, min(account_seq) AS low, max(account_seq) AS high
              FROM inserted GROUP BY account_id, currency ORDER BY account_id) d
     WHERE a.id = d.account_id AND a.currency = d.currency AND a.closed_at IS NULL
       AND (d.numbered = 0 OR (d.numbered = d.postings AND d.low = a.posting_count + 1 AND d.high = a.posting_count + d.postings))
    RETURNING d.postings, d.numbered
  )
  SELECT coalesce(sum(postings), 0), coalesce(bool_or(numbered = 0), false) INTO moved, unnumbered FROM changed;
  IF moved <> wanted THEN
    SELECT i.account_id INTO offender FROM inserted i JOIN account a ON a.id = i.account_id AND a.currency = i.currency
     WHERE a.closed_at IS NOT NULL LIMIT 1;
    IF FOUND THEN RAISE EXCEPTION 'account % is closed', offender USING ERRCODE = 'LB006'; END IF;
    SELECT i.account_id INTO offender FROM inserted i LEFT JOIN account a ON a.id = i.account_id AND a.currency = i.currency
     WHERE a.id IS NULL LIMIT 1;
    IF FOUND THEN
      RAISE EXCEPTION 'account % does not exist in the currency of its postings', offender USING ERRCODE = 'LB002';
    END IF;
    RAISE EXCEPTION '% of % postings do not continue their sequence', wanted - moved, wanted
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
  -- Every account is locked by now, whatever the writer had locked. A later writer of one of them takes a larger seq, and commits later.
  INSERT INTO outbox (transaction_ids) VALUES (ids);
  RETURN NULL;
END $$;
DROP TRIGGER posting_outbox ON posting;
DROP FUNCTION posting_outbox;

-- The id of an account never changes (account_is_fixed), but every UPDATE of its balance checked its text again.
CREATE FUNCTION account_id_is_valid() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'account id "%" must be 1 to 64 letters, digits, ".", "_" or "-"', NEW.id
    USING ERRCODE = 'check_violation', TABLE = 'account', CONSTRAINT = 'account_id_check';
END $$;
CREATE TRIGGER account_id_is_valid BEFORE INSERT ON account
  FOR EACH ROW WHEN (NEW.id !~ '^[A-Za-z0-9._-]{1,64}$') EXECUTE FUNCTION account_id_is_valid();
ALTER TABLE account DROP CONSTRAINT account_id_check;

-- Down Migration

ALTER TABLE account ADD CONSTRAINT account_id_check CHECK (id ~ '^[A-Za-z0-9._-]{1,64}$');
DROP TRIGGER account_id_is_valid ON account;
DROP FUNCTION account_id_is_valid;
CREATE FUNCTION posting_outbox() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  INSERT INTO outbox (transaction_ids)
  SELECT array_agg(transaction_id) FROM (SELECT DISTINCT transaction_id FROM inserted) i HAVING count(*) > 0;
  RETURN NULL;
END $$;
CREATE TRIGGER posting_outbox AFTER INSERT ON posting
  REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION posting_outbox();
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
