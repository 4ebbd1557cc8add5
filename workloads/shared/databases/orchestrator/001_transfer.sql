-- Up Migration

-- A transfer is initiated before the ledger is called, and ended with the ledger's answer. Until then any process may call the ledger again,
-- because the ledger applies the transaction of a transfer once. lease_until keeps several processes from doing so at the same time; it is not
-- needed for correctness.
CREATE TABLE transfer (
  id              uuid PRIMARY KEY,
  client          text COLLATE "C" NOT NULL,
  idempotency_key text COLLATE "C",
  from_account    text COLLATE "C" NOT NULL,
  to_account      text COLLATE "C" NOT NULL CHECK (to_account <> from_account),
  currency        text COLLATE "C" NOT NULL,
  amount_minor    bigint NOT NULL CHECK (amount_minor > 0),
  status          text COLLATE "C" NOT NULL DEFAULT 'initiated' CHECK (status IN ('initiated', 'completed', 'rejected')),
  transaction_id  uuid CHECK ((transaction_id IS NOT NULL) = (status = 'completed')),
  problem         jsonb CHECK ((problem IS NOT NULL) = (status = 'rejected')),
  created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  ended_at        timestamptz CHECK ((ended_at IS NOT NULL) = (status <> 'initiated')),
  lease_until     timestamptz NOT NULL,
  UNIQUE (client, idempotency_key)
) WITH (fillfactor = 80);
COMMENT ON COLUMN transfer.client IS 'Whose idempotency key it is.';
COMMENT ON COLUMN transfer.idempotency_key IS 'NULL once it has expired: the client may use it again.';
COMMENT ON COLUMN transfer.problem IS 'The ledger''s rejection, which every repeated request is answered with.';
CREATE INDEX transfer_initiated ON transfer (lease_until) WHERE status = 'initiated';

-- An ended transfer stays as it is: only its key expires.
CREATE FUNCTION transfer_stays_ended() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'transfer % has ended', OLD.id USING ERRCODE = 'LB005', HINT = 'Correct it by another transfer.';
END $$;
CREATE TRIGGER transfer_stays_ended BEFORE UPDATE OF status, transaction_id, problem, ended_at ON transfer
  FOR EACH ROW WHEN (OLD.status <> 'initiated') EXECUTE FUNCTION transfer_stays_ended();

-- Down Migration

DROP TABLE transfer;
DROP FUNCTION transfer_stays_ended;
