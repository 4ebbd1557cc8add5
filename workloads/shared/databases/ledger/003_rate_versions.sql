-- Up Migration

-- Every change of a rate has a version. Consumers compare it with that of their cached rates in the transaction that books interest, so that
-- all of them calculate with the same rates.
CREATE TABLE product_config_version (
  version bigint NOT NULL,
  one_row boolean PRIMARY KEY DEFAULT true CHECK (one_row)
);
INSERT INTO product_config_version (version) VALUES (1);
CREATE FUNCTION product_config_changed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  UPDATE product_config_version SET version = version + 1;
  RETURN NULL;
END $$;
CREATE TRIGGER product_config_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON product_config
  FOR EACH STATEMENT EXECUTE FUNCTION product_config_changed();
GRANT SELECT ON product_config_version TO interest;

-- Down Migration

DROP TRIGGER product_config_changed ON product_config;
DROP TABLE product_config_version;
DROP FUNCTION product_config_changed;
