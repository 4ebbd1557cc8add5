-- Up Migration

-- Money is in minor units with its currency. Personal data is in customer and address only; audit, change_event and idempotency have none. Every
-- resource has a version that grows with each change, and is deleted softly: rows with deleted_at are removed at the end of the retention.
CREATE TABLE customer (
  id             uuid PRIMARY KEY,
  version        bigint NOT NULL DEFAULT 1,
  created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
  deleted_at     timestamptz,
  type           text COLLATE "C" NOT NULL CHECK (type IN ('individual', 'organization')),
  name           text COLLATE "C" NOT NULL,
  email          text COLLATE "C",
  phone          text COLLATE "C",
  status         text COLLATE "C" NOT NULL,
  status_reason  text COLLATE "C",
  currency       text COLLATE "C" NOT NULL,
  ledger_account text COLLATE "C",
  erased_at      timestamptz
) WITH (fillfactor = 80);
COMMENT ON COLUMN customer.ledger_account IS 'Account at the ledger. NULL before the first payment.';
COMMENT ON COLUMN customer.erased_at IS 'When the personal data was overwritten.';
CREATE INDEX customer_created ON customer (created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX customer_updated ON customer (updated_at, id) WHERE deleted_at IS NULL;
CREATE INDEX customer_status ON customer (status, created_at, id) WHERE deleted_at IS NULL;

CREATE TABLE address (
  id          uuid PRIMARY KEY,
  version     bigint NOT NULL DEFAULT 1,
  created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  deleted_at  timestamptz,
  customer_id uuid NOT NULL REFERENCES customer (id),
  type        text COLLATE "C" NOT NULL CHECK (type IN ('billing', 'delivery', 'installation')),
  line1       text COLLATE "C" NOT NULL,
  line2       text COLLATE "C",
  city        text COLLATE "C" NOT NULL,
  postcode    text COLLATE "C" NOT NULL,
  region      text COLLATE "C",
  country     text COLLATE "C" NOT NULL
);
CREATE INDEX address_customer ON address (customer_id, created_at, id);

CREATE TABLE product (
  id               uuid PRIMARY KEY,
  version          bigint NOT NULL DEFAULT 1,
  created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
  deleted_at       timestamptz,
  code             text COLLATE "C" NOT NULL,
  name             text COLLATE "C" NOT NULL,
  description      text COLLATE "C",
  category         text COLLATE "C" NOT NULL,
  status           text COLLATE "C" NOT NULL,
  currency         text COLLATE "C" NOT NULL,
  recurring_minor  bigint NOT NULL CHECK (recurring_minor >= 0),
  one_time_minor   bigint NOT NULL CHECK (one_time_minor >= 0),
  tax_basis_points integer NOT NULL CHECK (tax_basis_points BETWEEN 0 AND 10000)
);
COMMENT ON COLUMN product.recurring_minor IS 'Price of a month.';
-- A deleted product leaves its code free.
CREATE UNIQUE INDEX product_code ON product (code) WHERE deleted_at IS NULL;
CREATE INDEX product_created ON product (created_at, id) WHERE deleted_at IS NULL;

CREATE TABLE "order" (
  id           uuid PRIMARY KEY,
  version      bigint NOT NULL DEFAULT 1,
  created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  deleted_at   timestamptz,
  customer_id  uuid NOT NULL REFERENCES customer (id),
  status       text COLLATE "C" NOT NULL,
  currency     text COLLATE "C" NOT NULL,
  total_minor  bigint NOT NULL DEFAULT 0 CHECK (total_minor >= 0),
  submitted_at timestamptz,
  ended_at     timestamptz
) WITH (fillfactor = 80);
COMMENT ON COLUMN "order".total_minor IS 'One-time prices of the items, without tax.';
CREATE INDEX order_customer ON "order" (customer_id, created_at, id);
CREATE INDEX order_created ON "order" (created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX order_status ON "order" (status, created_at, id) WHERE deleted_at IS NULL;

CREATE TABLE order_item (
  order_id         uuid NOT NULL REFERENCES "order" (id) ON DELETE CASCADE,
  line             integer NOT NULL CHECK (line > 0),
  product_id       uuid NOT NULL REFERENCES product (id),
  quantity         integer NOT NULL CHECK (quantity > 0),
  one_time_minor   bigint NOT NULL CHECK (one_time_minor >= 0),
  recurring_minor  bigint NOT NULL CHECK (recurring_minor >= 0),
  tax_basis_points integer NOT NULL CHECK (tax_basis_points BETWEEN 0 AND 10000),
  PRIMARY KEY (order_id, line)
);
COMMENT ON TABLE order_item IS 'Prices are those of the product when the item was added.';
CREATE INDEX order_item_product ON order_item (product_id);

CREATE TABLE subscription (
  id               uuid PRIMARY KEY,
  version          bigint NOT NULL DEFAULT 1,
  created_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
  deleted_at       timestamptz,
  customer_id      uuid NOT NULL REFERENCES customer (id),
  product_id       uuid NOT NULL REFERENCES product (id),
  order_id         uuid REFERENCES "order" (id),
  status           text COLLATE "C" NOT NULL,
  quantity         integer NOT NULL CHECK (quantity > 0),
  currency         text COLLATE "C" NOT NULL,
  recurring_minor  bigint NOT NULL CHECK (recurring_minor >= 0),
  tax_basis_points integer NOT NULL CHECK (tax_basis_points BETWEEN 0 AND 10000),
  start_date       date,
  end_date         date,
  CHECK (end_date >= start_date)
) WITH (fillfactor = 80);
COMMENT ON COLUMN subscription.recurring_minor IS 'Price of a month for each of the quantity, as agreed when the subscription was made.';
CREATE INDEX subscription_customer ON subscription (customer_id, created_at, id);
CREATE INDEX subscription_product ON subscription (product_id);
CREATE INDEX subscription_order ON subscription (order_id);
CREATE INDEX subscription_created ON subscription (created_at, id) WHERE deleted_at IS NULL;

CREATE TABLE service (
  id              uuid PRIMARY KEY,
  version         bigint NOT NULL DEFAULT 1,
  created_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
  deleted_at      timestamptz,
  customer_id     uuid NOT NULL REFERENCES customer (id),
  subscription_id uuid REFERENCES subscription (id),
  type            text COLLATE "C" NOT NULL,
  status          text COLLATE "C" NOT NULL,
  start_date      date,
  end_date        date
);
CREATE INDEX service_customer ON service (customer_id, created_at, id);
CREATE INDEX service_subscription ON service (subscription_id);
CREATE INDEX service_created ON service (created_at, id) WHERE deleted_at IS NULL;

CREATE TABLE asset (
  id            uuid PRIMARY KEY,
  version       bigint NOT NULL DEFAULT 1,
  created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
  deleted_at    timestamptz,
  customer_id   uuid REFERENCES customer (id),
  service_id    uuid REFERENCES service (id),
  type          text COLLATE "C" NOT NULL,
  model         text COLLATE "C" NOT NULL,
  serial_number text COLLATE "C" NOT NULL,
  status        text COLLATE "C" NOT NULL
);
COMMENT ON COLUMN asset.customer_id IS 'NULL: in stock.';
CREATE UNIQUE INDEX asset_serial_number ON asset (serial_number) WHERE deleted_at IS NULL;
CREATE INDEX asset_customer ON asset (customer_id, created_at, id);
CREATE INDEX asset_service ON asset (service_id);
CREATE INDEX asset_created ON asset (created_at, id) WHERE deleted_at IS NULL;

CREATE TABLE invoice (
  id           uuid PRIMARY KEY,
  version      bigint NOT NULL DEFAULT 1,
  created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  deleted_at   timestamptz,
  customer_id  uuid NOT NULL REFERENCES customer (id),
  number       text COLLATE "C",
  status       text COLLATE "C" NOT NULL,
  currency     text COLLATE "C" NOT NULL,
  period_start date NOT NULL,
  period_end   date NOT NULL,
  issue_date   date,
  due_date     date,
  net_minor    bigint NOT NULL DEFAULT 0,
  tax_minor    bigint NOT NULL DEFAULT 0,
  total_minor  bigint NOT NULL DEFAULT 0,
  paid_minor   bigint NOT NULL DEFAULT 0,
  CHECK (period_end >= period_start),
  CHECK (total_minor = net_minor + tax_minor)
) WITH (fillfactor = 80);
COMMENT ON COLUMN invoice.number IS 'NULL before the invoice is issued.';
CREATE UNIQUE INDEX invoice_number ON invoice (number);
CREATE INDEX invoice_customer ON invoice (customer_id, created_at, id);
CREATE INDEX invoice_created ON invoice (created_at, id) WHERE deleted_at IS NULL;

CREATE TABLE invoice_line (
  invoice_id       uuid NOT NULL REFERENCES invoice (id) ON DELETE CASCADE,
  line             integer NOT NULL CHECK (line > 0),
  description      text COLLATE "C" NOT NULL,
  subscription_id  uuid REFERENCES subscription (id),
  order_id         uuid REFERENCES "order" (id),
  quantity         integer NOT NULL CHECK (quantity > 0),
  unit_minor       bigint NOT NULL,
  net_minor        bigint NOT NULL,
  tax_basis_points integer NOT NULL CHECK (tax_basis_points BETWEEN 0 AND 10000),
  tax_minor        bigint NOT NULL,
  period_start     date,
  period_end       date,
  PRIMARY KEY (invoice_id, line)
);
CREATE INDEX invoice_line_subscription ON invoice_line (subscription_id);
CREATE INDEX invoice_line_order ON invoice_line (order_id);

CREATE TABLE payment (
  id           uuid PRIMARY KEY,
  version      bigint NOT NULL DEFAULT 1,
  created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  updated_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
  deleted_at   timestamptz,
  customer_id  uuid NOT NULL REFERENCES customer (id),
  invoice_id   uuid REFERENCES invoice (id),
  status       text COLLATE "C" NOT NULL,
  amount_minor bigint NOT NULL CHECK (amount_minor > 0),
  currency     text COLLATE "C" NOT NULL,
  method       text COLLATE "C" NOT NULL,
  error_type   text COLLATE "C"
) WITH (fillfactor = 80);
CREATE INDEX payment_customer ON payment (customer_id, created_at, id);
CREATE INDEX payment_invoice ON payment (invoice_id);
CREATE INDEX payment_created ON payment (created_at, id) WHERE deleted_at IS NULL;

-- Who has changed what, when, and in which trace. It has the names of personal fields that have changed, and never their values.
CREATE TABLE audit (
  seq         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at          timestamptz NOT NULL DEFAULT clock_timestamp(),
  client      text COLLATE "C" NOT NULL,
  action      text COLLATE "C" NOT NULL,
  family      text COLLATE "C" NOT NULL,
  entity_id   uuid NOT NULL,
  customer_id uuid,
  version     bigint NOT NULL,
  changes     jsonb NOT NULL,
  trace_id    text COLLATE "C"
);
COMMENT ON COLUMN audit.changes IS 'By field: [former value, new value]. A personal field has ["personal"].';
CREATE INDEX audit_entity ON audit (entity_id, seq);
CREATE INDEX audit_customer ON audit (customer_id, seq);
REVOKE UPDATE, DELETE, TRUNCATE ON audit FROM PUBLIC, CURRENT_USER;

-- What the process has still to publish. A row is deleted when Kafka has acknowledged it.
CREATE TABLE change_event (
  seq         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  id          uuid NOT NULL,
  at          timestamptz NOT NULL DEFAULT clock_timestamp(),
  family      text COLLATE "C" NOT NULL,
  action      text COLLATE "C" NOT NULL,
  entity_id   uuid NOT NULL,
  data        jsonb NOT NULL,
  traceparent text COLLATE "C"
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_insert_scale_factor = 0);
COMMENT ON COLUMN change_event.seq IS 'The order of the changes of one entity: a change takes it while it holds the lock of the row.';

-- Answers to requests with an idempotency key.
CREATE TABLE idempotency (
  client      text COLLATE "C" NOT NULL,
  key         text COLLATE "C" NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  body_hash   text COLLATE "C" NOT NULL,
  entity_id   uuid,
  customer_id uuid,
  answer      jsonb,
  PRIMARY KEY (client, key)
) WITH (fillfactor = 80);
COMMENT ON COLUMN idempotency.answer IS 'Without the personal fields, which a repeated request brings with its body.';
CREATE INDEX idempotency_created ON idempotency (created_at);
CREATE INDEX idempotency_customer ON idempotency (customer_id);

-- Down Migration

DROP TABLE idempotency, change_event, audit, payment, invoice_line, invoice, asset, service, subscription, order_item, "order", product, address, customer;
