-- Up Migration

ALTER TABLE "order" ADD COLUMN reference text COLLATE "C";
COMMENT ON COLUMN "order".reference IS 'The customer''s own number of the order.';

ALTER TABLE order_item
  ADD COLUMN fulfilled_at    timestamptz,
  ADD COLUMN subscription_id uuid REFERENCES subscription (id) ON DELETE SET NULL;
COMMENT ON COLUMN order_item.subscription_id IS 'The subscription that the fulfilment has begun.';
CREATE INDEX order_item_subscription ON order_item (subscription_id);

ALTER TABLE invoice_line ADD COLUMN order_line integer;
COMMENT ON COLUMN invoice_line.order_line IS 'Line of the order whose one-time price it charges.';

-- Numbers of invoices have no gaps: an issue that is rolled back gives its number back.
CREATE TABLE invoice_counter (
  year integer PRIMARY KEY,
  last bigint NOT NULL CHECK (last > 0)
);

-- What has been issued stays: it is voided, never rewritten.
CREATE FUNCTION invoice_stays_issued() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'invoice % is issued', OLD.id USING ERRCODE = '23514', HINT = 'Void it, and make another one.';
END $$;
CREATE TRIGGER invoice_stays_issued BEFORE UPDATE ON invoice FOR EACH ROW
  WHEN (OLD.number IS NOT NULL AND (OLD.number, OLD.customer_id, OLD.currency, OLD.period_start, OLD.period_end, OLD.issue_date, OLD.net_minor, OLD.tax_minor)
    IS DISTINCT FROM (NEW.number, NEW.customer_id, NEW.currency, NEW.period_start, NEW.period_end, NEW.issue_date, NEW.net_minor, NEW.tax_minor))
  EXECUTE FUNCTION invoice_stays_issued();

ALTER TABLE payment
  ADD COLUMN transfer_id        uuid,
  ADD COLUMN settled_at         timestamptz,
  ADD COLUMN refund_transfer_id uuid,
  ADD COLUMN refunded_at        timestamptz,
  ADD COLUMN refunds_rejected   integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN payment.refunds_rejected IS 'Refunds that the ledger has rejected: the next one has another idempotency key.';

-- Transfers whose outcome is unknown. A row is written in the transaction that begins a payment or a refund, before the orchestrator is called, and
-- deleted in the one that ends it. Until then any process may call the orchestrator again: it makes one transfer for a key. lease_until keeps several
-- processes from doing so at the same time; it is not needed for correctness.
CREATE TABLE payment_transfer (
  payment_id      uuid PRIMARY KEY REFERENCES payment (id),
  kind            text COLLATE "C" NOT NULL CHECK (kind IN ('payment', 'refund')),
  idempotency_key text COLLATE "C" NOT NULL UNIQUE,
  created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  lease_until     timestamptz NOT NULL
);
CREATE INDEX payment_transfer_lease ON payment_transfer (lease_until);

-- Down Migration

DROP TABLE payment_transfer, invoice_counter;
DROP TRIGGER invoice_stays_issued ON invoice;
DROP FUNCTION invoice_stays_issued;
ALTER TABLE payment DROP COLUMN transfer_id, DROP COLUMN settled_at, DROP COLUMN refund_transfer_id, DROP COLUMN refunded_at, DROP COLUMN refunds_rejected;
ALTER TABLE invoice_line DROP COLUMN order_line;
ALTER TABLE order_item DROP COLUMN fulfilled_at, DROP COLUMN subscription_id;
ALTER TABLE "order" DROP COLUMN reference;
