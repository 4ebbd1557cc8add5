-- Up Migration

-- Balances and statements, projected from the topic ledger.entry.v1. A projection from the beginning of the topic is a generation. One generation
-- serves; a rebuild builds the next one beside it. They use two slots in turn, which are partitions of each table: a generation is removed by
-- TRUNCATE of its partitions, and leaves no dead rows.
CREATE TABLE generation (
  number        integer PRIMARY KEY CHECK (number > 0),
  slot          smallint NOT NULL UNIQUE CHECK (slot IN (0, 1)),
  state         text COLLATE "C" NOT NULL UNIQUE CHECK (state IN ('building', 'serving')),
  started_at    timestamptz NOT NULL DEFAULT now(),
  serving_since timestamptz,
  CHECK ((state = 'serving') = (serving_since IS NOT NULL))
);
INSERT INTO generation (number, slot, state, serving_since) VALUES (1, 0, 'serving', now());

CREATE TABLE balance (
  slot          smallint NOT NULL,
  account_id    text COLLATE "C" NOT NULL,
  currency      text COLLATE "C" NOT NULL,
  balance_minor bigint NOT NULL,
  sequence      bigint NOT NULL CHECK (sequence > 0),
  posted_at     timestamptz NOT NULL,
  partition     integer NOT NULL,
  PRIMARY KEY (slot, account_id)
) PARTITION BY LIST (slot);
CREATE TABLE balance_0 PARTITION OF balance FOR VALUES IN (0) WITH (fillfactor = 60);
CREATE TABLE balance_1 PARTITION OF balance FOR VALUES IN (1) WITH (fillfactor = 60);
COMMENT ON COLUMN balance.sequence IS 'Place of the last projected posting among those of the account: 1, 2, 3 and so on.';
COMMENT ON COLUMN balance.partition IS 'Partition of the topic that carries the account.';

CREATE TABLE statement_line (
  slot                smallint NOT NULL,
  account_id          text COLLATE "C" NOT NULL,
  sequence            bigint NOT NULL,
  transaction_id      uuid NOT NULL,
  line                smallint NOT NULL,
  kind                text COLLATE "C" NOT NULL,
  external_id         text COLLATE "C",
  currency            text COLLATE "C" NOT NULL,
  amount_minor        bigint NOT NULL,
  balance_after_minor bigint NOT NULL,
  value_date          date NOT NULL,
  posted_at           timestamptz NOT NULL,
  PRIMARY KEY (slot, account_id, sequence)
) PARTITION BY LIST (slot);
CREATE TABLE statement_line_0 PARTITION OF statement_line FOR VALUES IN (0);
CREATE TABLE statement_line_1 PARTITION OF statement_line FOR VALUES IN (1);
-- For reads of at least the state after a transaction.
CREATE INDEX statement_line_transaction ON statement_line (slot, transaction_id);

-- As in shared/kernel/consumer/tables.sql.
CREATE TABLE consumer_offset (
  consumer_group text COLLATE "C" NOT NULL,
  topic          text COLLATE "C" NOT NULL,
  partition      integer NOT NULL,
  next_offset    bigint NOT NULL CHECK (next_offset >= 0),
  updated_at     timestamptz NOT NULL DEFAULT now(),
  topic_id       text COLLATE "C" CHECK (topic_id ~ '^[A-Za-z0-9_-]{22}$'),
  PRIMARY KEY (consumer_group, topic, partition)
) WITH (fillfactor = 20);

-- Down Migration

DROP TABLE consumer_offset, statement_line, balance, generation;
