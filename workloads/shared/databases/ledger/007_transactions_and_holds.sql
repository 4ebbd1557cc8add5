-- Up Migration

-- Transactions of the HTTP API. The consumer of the former version inserts the columns of migration 001 and no others.
ALTER TABLE journal_transaction
  ADD COLUMN external_id text COLLATE "C" CHECK (length(external_id) BETWEEN 1 AND 128),
  ADD COLUMN content_hash bytea CHECK (length(content_hash) = 16),
  ADD COLUMN reverses uuid,
  ADD COLUMN hold_id uuid,
  DROP CONSTRAINT journal_transaction_kind_check,
  ADD CONSTRAINT journal_transaction_kind_check CHECK (kind IN ('opening', 'interest', 'transfer', 'settlement', 'reversal')),
  ADD CONSTRAINT journal_transaction_external_check
    CHECK ((kind IN ('transfer', 'settlement', 'reversal')) = (external_id IS NOT NULL) AND (external_id IS NULL) = (content_hash IS NULL)),
  ADD CONSTRAINT journal_transaction_reverses_check CHECK ((kind = 'reversal') = (reverses IS NOT NULL)),
  ADD CONSTRAINT journal_transaction_hold_check CHECK ((kind = 'settlement') = (hold_id IS NOT NULL));
COMMENT ON COLUMN journal_transaction.external_id IS 'The caller''s id: a request with the same id and content has no second effect.';
COMMENT ON COLUMN journal_transaction.content_hash IS 'First 16 bytes of the SHA-256 of the request, to tell a repetition from another request.';
-- Events of the consumer have no external id, and cost these indexes nothing.
CREATE UNIQUE INDEX journal_transaction_external_id ON journal_transaction (external_id) WHERE external_id IS NOT NULL;
CREATE UNIQUE INDEX journal_transaction_reverses ON journal_transaction (reverses) WHERE reverses IS NOT NULL;
CREATE UNIQUE INDEX journal_transaction_hold_id ON journal_transaction (hold_id) WHERE hold_id IS NOT NULL;

CREATE TABLE hold (
  id            uuid PRIMARY KEY,
  external_id   text COLLATE "C" NOT NULL UNIQUE CHECK (length(external_id) BETWEEN 1 AND 128),
  content_hash  bytea NOT NULL CHECK (length(content_hash) = 16),
  account_id    text COLLATE "C" NOT NULL,
  currency      text COLLATE "C" NOT NULL,
  amount_minor  bigint NOT NULL CHECK (amount_minor > 0),
  state         text COLLATE "C" NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'settled', 'voided', 'expired')),
  settled_minor bigint CHECK (settled_minor BETWEEN 1 AND amount_minor),
  expires_at    timestamptz,
  created_at    timestamptz NOT NULL DEFAULT now(),
  ended_at      timestamptz,
  CHECK ((state = 'settled') = (settled_minor IS NOT NULL)),
  CHECK ((state = 'pending') = (ended_at IS NULL))
) WITH (fillfactor = 80);
COMMENT ON TABLE hold IS 'Reserves an amount of an account until it is settled (whole or in part), voided or expired.';
CREATE INDEX hold_pending ON hold (account_id) WHERE state = 'pending';
CREATE INDEX hold_expiring ON hold (expires_at) WHERE state = 'pending' AND expires_at IS NOT NULL;

-- The held amount of an account is the sum of its pending holds, moved here as posting_apply moves balances, in the same lock order.
CREATE FUNCTION hold_placed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  wanted bigint;
  moved  bigint;
BEGIN
  SELECT count(*) INTO wanted FROM (SELECT DISTINCT account_id, currency FROM placed WHERE state = 'pending') d;
  UPDATE account a SET held_minor = a.held_minor + d.amount
    FROM (SELECT account_id, currency, sum(amount_minor) AS amount FROM placed WHERE state = 'pending'
           GROUP BY account_id, currency ORDER BY account_id) d
   WHERE a.id = d.account_id AND a.currency = d.currency AND a.closed_at IS NULL;
  GET DIAGNOSTICS moved = ROW_COUNT;
  IF moved <> wanted THEN
    RAISE EXCEPTION '% of % accounts are not open in the currency of their holds', wanted - moved, wanted USING ERRCODE = 'LB002';
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER hold_placed AFTER INSERT ON hold REFERENCING NEW TABLE AS placed FOR EACH STATEMENT EXECUTE FUNCTION hold_placed();

CREATE FUNCTION hold_ended() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  UPDATE account a SET held_minor = a.held_minor - d.amount
    FROM (SELECT b.account_id, sum(b.amount_minor) AS amount FROM before_update b JOIN after_update n ON n.id = b.id
           WHERE b.state = 'pending' AND n.state <> 'pending' GROUP BY b.account_id ORDER BY b.account_id) d
   WHERE a.id = d.account_id;
  RETURN NULL;
END $$;
CREATE TRIGGER hold_ended AFTER UPDATE ON hold REFERENCING OLD TABLE AS before_update NEW TABLE AS after_update
  FOR EACH STATEMENT EXECUTE FUNCTION hold_ended();

CREATE FUNCTION hold_ends_once() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'hold % is %: only the state of a pending hold can change', OLD.id, OLD.state USING ERRCODE = 'LB003';
END $$;
CREATE TRIGGER hold_ends_once BEFORE UPDATE ON hold FOR EACH ROW
  WHEN (OLD.state <> 'pending' OR (OLD.id, OLD.external_id, OLD.content_hash, OLD.account_id, OLD.currency, OLD.amount_minor, OLD.created_at)
    IS DISTINCT FROM (NEW.id, NEW.external_id, NEW.content_hash, NEW.account_id, NEW.currency, NEW.amount_minor, NEW.created_at))
  EXECUTE FUNCTION hold_ends_once();
CREATE TRIGGER hold_stays BEFORE DELETE OR TRUNCATE ON hold FOR EACH STATEMENT EXECUTE FUNCTION journal_is_append_only();
REVOKE DELETE, TRUNCATE ON hold FROM PUBLIC, CURRENT_USER;

-- Down Migration

DROP TABLE hold;
DROP FUNCTION hold_placed, hold_ended, hold_ends_once;
DROP INDEX journal_transaction_external_id, journal_transaction_reverses, journal_transaction_hold_id;
ALTER TABLE journal_transaction
  DROP CONSTRAINT journal_transaction_external_check,
  DROP CONSTRAINT journal_transaction_reverses_check,
  DROP CONSTRAINT journal_transaction_hold_check,
  DROP CONSTRAINT journal_transaction_kind_check,
  DROP COLUMN external_id, DROP COLUMN content_hash, DROP COLUMN reverses, DROP COLUMN hold_id,
  -- Transactions of the kinds that are gone stay in the journal, which nothing deletes from.
  ADD CONSTRAINT journal_transaction_kind_check CHECK (kind IN ('opening', 'interest')) NOT VALID;
