-- Up Migration

-- Amounts are integer minor units (cents of EUR, yen of JPY). A transaction has one currency.
CREATE TABLE currency (
  code         text COLLATE "C" PRIMARY KEY CHECK (code ~ '^[A-Z]{3}$'),
  minor_digits smallint NOT NULL CHECK (minor_digits BETWEEN 0 AND 4)
);
INSERT INTO currency (code, minor_digits) VALUES ('EUR', 2), ('GBP', 2), ('JPY', 0), ('USD', 2);

CREATE TABLE product_config (
  code        text COLLATE "C" NOT NULL,
  annual_rate numeric(9, 6) NOT NULL CHECK (annual_rate BETWEEN -1 AND 1),
  valid_from  date NOT NULL,
  valid_to    date CHECK (valid_to > valid_from),
  PRIMARY KEY (code, valid_from)
);
COMMENT ON TABLE product_config IS 'Interest rate per product; a row is in force from valid_from to the day before valid_to.';

CREATE TABLE account (
  id            text COLLATE "C" PRIMARY KEY CHECK (id ~ '^[A-Za-z0-9._-]{1,64}$'),
  kind          text NOT NULL CHECK (kind IN ('customer', 'internal')),
  currency      text COLLATE "C" NOT NULL REFERENCES currency (code),
  product_code  text COLLATE "C" CHECK ((product_code IS NOT NULL) = (kind = 'customer')),
  balance_minor bigint NOT NULL DEFAULT 0,
  opened_at     timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 60);
COMMENT ON COLUMN account.balance_minor IS 'Sum of the account''s postings, kept by the trigger on posting and by nothing else.';

CREATE TABLE journal_transaction (
  id         uuid PRIMARY KEY,
  kind       text COLLATE "C" NOT NULL CHECK (kind IN ('opening', 'interest')),
  currency   text COLLATE "C" NOT NULL,
  value_date date NOT NULL
);
COMMENT ON COLUMN journal_transaction.id IS 'The id of the event that caused it: an event delivered twice cannot be written twice.';

CREATE TABLE posting (
  transaction_id uuid NOT NULL,
  line           smallint NOT NULL,
  account_id     text COLLATE "C" NOT NULL,
  currency       text COLLATE "C" NOT NULL,
  amount_minor   bigint NOT NULL CHECK (amount_minor <> 0),
  posted_at      timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (transaction_id, line)
);
CREATE INDEX posting_by_account ON posting (account_id, posted_at);

CREATE TABLE consumer_offset (
  consumer_group text COLLATE "C" NOT NULL,
  topic          text COLLATE "C" NOT NULL,
  partition      integer NOT NULL,
  next_offset    bigint NOT NULL CHECK (next_offset >= 0),
  updated_at     timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (consumer_group, topic, partition)
) WITH (fillfactor = 20);
COMMENT ON TABLE consumer_offset IS 'Position of a consumer group, written in the transaction of the effects: Kafka''s own committed offset is only a copy for lag.';

-- The invariants of the ledger, checked once per statement over the rows that it inserted, so that ten thousand rows cost
-- two aggregations instead of ten thousand trigger calls. A statement must bring all postings of its transactions:
--   1. the postings of a transaction sum to zero;
--   2. a posting belongs to a transaction of its currency, and to an account of its currency;
--   3. an account's balance is the sum of its postings: it is moved here, and cannot be moved elsewhere.
-- A session plans these statements once and keeps the plan, whatever the sizes were then. Only lookups by index, row by row, cost the
-- same per row for one posting and for ten thousand, in an empty journal and in a large one: hence no other plan is allowed.
CREATE FUNCTION posting_apply() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
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
CREATE TRIGGER posting_apply AFTER INSERT ON posting
  REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION posting_apply();

CREATE FUNCTION journal_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP
    USING ERRCODE = 'LB003', HINT = 'Correct a transaction by a second one that reverses it.';
END $$;
CREATE TRIGGER posting_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON posting
  FOR EACH STATEMENT EXECUTE FUNCTION journal_is_append_only();
CREATE TRIGGER journal_transaction_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON journal_transaction
  FOR EACH STATEMENT EXECUTE FUNCTION journal_is_append_only();

CREATE FUNCTION balance_moves_by_posting() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'a balance moves by postings alone' USING ERRCODE = 'LB004', HINT = 'Insert a journal transaction.';
END $$;
CREATE TRIGGER account_balance_guard BEFORE UPDATE OF balance_minor ON account
  FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION balance_moves_by_posting();
CREATE FUNCTION account_opens_empty() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'account % must open with balance 0', NEW.id USING ERRCODE = 'LB004', HINT = 'Insert an opening transaction.';
END $$;
CREATE TRIGGER account_opens_empty BEFORE INSERT ON account
  FOR EACH ROW WHEN (NEW.balance_minor <> 0) EXECUTE FUNCTION account_opens_empty();
CREATE TRIGGER account_stays BEFORE DELETE OR TRUNCATE ON account
  FOR EACH STATEMENT EXECUTE FUNCTION journal_is_append_only();

REVOKE UPDATE, DELETE, TRUNCATE ON journal_transaction, posting FROM PUBLIC, CURRENT_USER;
REVOKE DELETE, TRUNCATE ON account FROM PUBLIC, CURRENT_USER;

-- Down Migration

DROP TABLE consumer_offset, posting, journal_transaction, account, product_config, currency;
DROP FUNCTION posting_apply, journal_is_append_only, balance_moves_by_posting, account_opens_empty;
