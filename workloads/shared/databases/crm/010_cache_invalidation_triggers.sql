-- Up Migration

-- V1025__create_cache_invalidation_triggers: changes of seven tables, for the caches of every process. A change and its notification commit
-- together. Every process reads, at intervals, what was committed since the snapshot of its last read; NOTIFY can tell it to read now.
CREATE TABLE cache_notification (
  xid         xid8 NOT NULL DEFAULT pg_current_xact_id(),
  id          bigint GENERATED ALWAYS AS IDENTITY,
  created_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
  table_name  text COLLATE "C" NOT NULL,
  operation   text COLLATE "C" NOT NULL CHECK (operation IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REQUEST')),
  entity_id   uuid,
  customer_id uuid,
  request     jsonb,
  CHECK ((operation = 'REQUEST') = (request IS NOT NULL)),
  PRIMARY KEY (xid, id)
) WITH (autovacuum_vacuum_scale_factor = 0.1, autovacuum_vacuum_insert_scale_factor = 0);
COMMENT ON COLUMN cache_notification.entity_id IS 'NULL: any number of rows of the table.';
COMMENT ON COLUMN cache_notification.customer_id IS 'The customer that the entity belongs to, or is.';
COMMENT ON COLUMN cache_notification.request IS '{names, patterns} that a process was asked to invalidate.';

-- From here on no transaction can be in progress that began before horizon.
CREATE TABLE cache_notification_mark (
  made_at timestamptz PRIMARY KEY DEFAULT clock_timestamp(),
  horizon xid8 NOT NULL
);

-- The argument of the trigger is the column with the customer: id, customer_id, or none. `changed` are the rows after an INSERT or UPDATE, or
-- before a DELETE; `former` those before an UPDATE, which may have been those of another customer. A statement that changes more than 1,000 rows
-- has one more notification, which stands for the whole table. After `ALTER DATABASE crm SET bss.cache_notify = on`, a statement also sends one
-- message; Postgres sends equal ones of a transaction once. Without it the caches find the rows at their next read.
CREATE FUNCTION cache_invalidation() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  entities bigint;
BEGIN
  IF TG_ARGV[0] = 'customer_id' AND TG_OP = 'UPDATE' THEN
    INSERT INTO public.cache_notification (table_name, operation, entity_id, customer_id)
    SELECT TG_TABLE_NAME, TG_OP, e.id, e.customer_id FROM (SELECT id, customer_id FROM changed UNION SELECT id, customer_id FROM former LIMIT 1001) e;
  ELSIF TG_ARGV[0] = 'customer_id' THEN
    INSERT INTO public.cache_notification (table_name, operation, entity_id, customer_id)
    SELECT TG_TABLE_NAME, TG_OP, id, customer_id FROM changed LIMIT 1001;
  ELSIF TG_ARGV[0] = 'id' THEN
    INSERT INTO public.cache_notification (table_name, operation, entity_id, customer_id) SELECT TG_TABLE_NAME, TG_OP, id, id FROM changed LIMIT 1001;
  ELSE
    INSERT INTO public.cache_notification (table_name, operation, entity_id) SELECT TG_TABLE_NAME, TG_OP, id FROM changed LIMIT 1001;
  END IF;
  GET DIAGNOSTICS entities = ROW_COUNT;
  IF entities > 1000 THEN INSERT INTO public.cache_notification (table_name, operation) VALUES (TG_TABLE_NAME, TG_OP); END IF;
  IF entities > 0 AND pg_catalog.current_setting('bss.cache_notify', true) = 'on' THEN
    PERFORM pg_catalog.pg_notify('cache_invalidation', pg_catalog.format('{"table":"%s","operation":"%s"%s}', TG_TABLE_NAME, TG_OP,
      CASE WHEN entities = 1 THEN pg_catalog.format(',"id":"%s"', (SELECT id FROM changed)) END));
  END IF;
  RETURN NULL;
END $$;

CREATE FUNCTION cache_invalidation_truncate() RETURNS trigger LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
BEGIN
  INSERT INTO cache_notification (table_name, operation) VALUES (TG_TABLE_NAME, TG_OP);
  IF current_setting('bss.cache_notify', true) = 'on' THEN
    PERFORM pg_notify('cache_invalidation', format('{"table":"%s","operation":"%s"}', TG_TABLE_NAME, TG_OP));
  END IF;
  RETURN NULL;
END $$;

-- A trigger with transition tables has one event: the one of UPDATE has the name itself, the others the event behind it.
DO $$
DECLARE
  t record;
  name text;
BEGIN
  FOR t IN SELECT * FROM (VALUES ('customer', 'id'), ('address', 'customer_id'), ('order', 'customer_id'), ('payment', 'customer_id'),
                                 ('invoice', 'customer_id'), ('subscription', 'customer_id'), ('product', '')) AS v (name, customer)
  LOOP
    name := 'trg_' || t.name || '_cache_invalidation';
    -- The rows before an UPDATE cost as much as those after it, and matter only where a row may move to another customer.
    EXECUTE format('CREATE TRIGGER %I AFTER UPDATE ON %I REFERENCING %s NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION cache_invalidation(%L)',
                   name, t.name, CASE WHEN t.customer = 'customer_id' THEN 'OLD TABLE AS former' ELSE '' END, t.customer);
    EXECUTE format('CREATE TRIGGER %I AFTER INSERT ON %I REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION cache_invalidation(%L)', name || '_insert', t.name, t.customer);
    EXECUTE format('CREATE TRIGGER %I AFTER DELETE ON %I REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION cache_invalidation(%L)', name || '_delete', t.name, t.customer);
    EXECUTE format('CREATE TRIGGER %I AFTER TRUNCATE ON %I FOR EACH STATEMENT EXECUTE FUNCTION cache_invalidation_truncate()', name || '_truncate', t.name);
  END LOOP;
END $$;

-- Down Migration

DO $$
DECLARE
  name text;
  suffix text;
BEGIN
  FOREACH name IN ARRAY ARRAY['customer', 'address', 'order', 'payment', 'invoice', 'subscription', 'product'] LOOP
    FOREACH suffix IN ARRAY ARRAY['', '_insert', '_delete', '_truncate'] LOOP
      EXECUTE format('DROP TRIGGER %I ON %I', 'trg_' || name || '_cache_invalidation' || suffix, name);
    END LOOP;
  END LOOP;
END $$;
DROP FUNCTION cache_invalidation, cache_invalidation_truncate;
DROP TABLE cache_notification, cache_notification_mark;
