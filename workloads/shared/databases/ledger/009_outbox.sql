-- Up Migration

-- What the relay has still to publish. Every writer of postings fills it by trigger, the former versions of the services too: the row commits
-- with the postings, or not at all. A row names the transactions of one statement, or a range of postings of one account. The relay deletes the
-- rows that Kafka has acknowledged and keeps no position, so that a row that commits late is not skipped.
CREATE TABLE outbox (
  seq             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  transaction_ids uuid[] CHECK (cardinality(transaction_ids) > 0),
  account_id      text COLLATE "C",
  first_seq       bigint CHECK (first_seq > 0),
  last_seq        bigint CHECK (last_seq >= first_seq),
  entries         bigint NOT NULL GENERATED ALWAYS AS (coalesce(cardinality(transaction_ids), last_seq - first_seq + 1)) STORED,
  CHECK (num_nonnulls(transaction_ids, account_id) = 1 AND num_nonnulls(account_id, first_seq, last_seq) IN (0, 3))
  -- Rows live for milliseconds: vacuum follows their number, not the size of the table.
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_insert_scale_factor = 0);
COMMENT ON COLUMN outbox.seq IS 'For two rows with postings of one account, the order of seq is the order of account_seq.';
COMMENT ON COLUMN outbox.entries IS 'Transactions, or postings of the account: how much work the row is.';
-- Ids are random: compression only costs time.
ALTER TABLE outbox ALTER COLUMN transaction_ids SET STORAGE EXTERNAL;

CREATE TABLE outbox_trace (
  transaction_id uuid PRIMARY KEY,
  traceparent    text COLLATE "C" NOT NULL CHECK (length(traceparent) <= 64)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_insert_scale_factor = 0);
COMMENT ON TABLE outbox_trace IS 'W3C trace context of the request that made a transaction, for sampled requests; deleted with its outbox row.';

-- Triggers of one event fire in the order of their names: posting_apply has locked every account by now, whatever the writer had locked. A later
-- writer of one of these accounts therefore takes a larger seq, and commits later.
CREATE FUNCTION posting_outbox() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  INSERT INTO outbox (transaction_ids)
  SELECT array_agg(transaction_id) FROM (SELECT DISTINCT transaction_id FROM inserted) i HAVING count(*) > 0;
  RETURN NULL;
END $$;
CREATE TRIGGER posting_outbox AFTER INSERT ON posting
  REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT EXECUTE FUNCTION posting_outbox();

-- The postings so far. CREATE TRIGGER waits for the writers in progress and blocks new ones until this migration commits, so that the counts are
-- complete, and later postings get a larger seq.
INSERT INTO outbox (account_id, first_seq, last_seq)
SELECT a.id, n, least(n + 999, a.posting_count) FROM account a CROSS JOIN generate_series(1, a.posting_count, 1000) n
 WHERE a.kind = 'customer' ORDER BY n, a.id;

REVOKE UPDATE, TRUNCATE ON outbox, outbox_trace FROM PUBLIC, CURRENT_USER;
GRANT SELECT, DELETE ON outbox, outbox_trace TO relay;
GRANT SELECT ON account, journal_transaction, posting TO relay;

-- Down Migration

DROP TRIGGER posting_outbox ON posting;
DROP FUNCTION posting_outbox;
DROP TABLE outbox, outbox_trace;
REVOKE SELECT ON account, journal_transaction, posting FROM relay;
