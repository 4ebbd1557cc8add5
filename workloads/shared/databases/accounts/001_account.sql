-- Up Migration

-- A request is written before the ledger opens the account, and ended with the ledger's answer. Until then any process may ask the ledger again:
-- it opens an account once. The event is written by the statement that ends the request.
CREATE TABLE account_request (
  id                uuid PRIMARY KEY,
  client            text COLLATE "C" NOT NULL,
  idempotency_key   text COLLATE "C",
  account_id        text COLLATE "C" NOT NULL,
  currency          text COLLATE "C" NOT NULL,
  product_code      text COLLATE "C" NOT NULL,
  min_balance_minor bigint,
  status            text COLLATE "C" NOT NULL DEFAULT 'requested' CHECK (status IN ('requested', 'opened', 'rejected')),
  problem           jsonb CHECK ((problem IS NOT NULL) = (status = 'rejected')),
  created_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
  ended_at          timestamptz CHECK ((ended_at IS NOT NULL) = (status <> 'requested')),
  UNIQUE (client, idempotency_key)
);
COMMENT ON COLUMN account_request.min_balance_minor IS 'NULL: no limit.';
-- A rejected request leaves the id of its account free.
CREATE UNIQUE INDEX account_request_account ON account_request (account_id) WHERE status <> 'rejected';
CREATE INDEX account_request_open ON account_request (created_at) WHERE status = 'requested';

CREATE TABLE outbox (
  seq         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  request_id  uuid NOT NULL REFERENCES account_request (id),
  traceparent text,
  created_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON TABLE outbox IS 'Opened accounts whose event Kafka has not acknowledged.';

-- Down Migration

DROP TABLE outbox, account_request;
