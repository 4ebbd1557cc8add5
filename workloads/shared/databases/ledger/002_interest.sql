-- Up Migration

-- Contra accounts of interest. One row for all events would make every transaction of every consumer wait for the one before
-- it, so each currency has sixteen, chosen by partition; two consumers never own the same partition.
INSERT INTO account (id, kind, currency)
SELECT 'interest-expense.' || code || '.' || shard, 'internal', code FROM currency, generate_series(0, 15) AS shard;
INSERT INTO account (id, kind, currency) SELECT 'opening-equity.' || code, 'internal', code FROM currency;

INSERT INTO product_config (code, annual_rate, valid_from) VALUES
  ('current', 0.001250, '2020-01-01'),
  ('savings', 0.021500, '2020-01-01'),
  ('savings-plus', 0.027500, '2020-01-01'),
  ('fixed-term', 0.034750, '2020-01-01');

-- The interest consumer appends, reads, and keeps its position. UPDATE on balance_minor is what row locks need; the guard
-- trigger refuses any direct update.
GRANT SELECT ON account, product_config, journal_transaction TO interest;
GRANT UPDATE (balance_minor) ON account TO interest;
GRANT INSERT ON journal_transaction, posting TO interest;
GRANT SELECT, INSERT, UPDATE ON consumer_offset TO interest;

-- Down Migration

REVOKE ALL ON account, product_config, journal_transaction, posting, consumer_offset FROM interest;
