-- Up Migration

-- As in migration 001, but for ORDER BY account_id: all writers lock accounts in one order, and so cannot deadlock.
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

-- Down Migration

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
    FROM (SELECT account_id, currency, sum(amount_minor) AS amount FROM inserted GROUP BY account_id, currency) d
   WHERE a.id = d.account_id AND a.currency = d.currency;
  GET DIAGNOSTICS moved = ROW_COUNT;
  IF moved <> wanted THEN
    RAISE EXCEPTION '% of % accounts do not exist in the currency of their postings', wanted - moved, wanted
      USING ERRCODE = 'LB002';
  END IF;
  RETURN NULL;
END $$;
