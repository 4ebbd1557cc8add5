-- Up Migration

-- How days become a part of a year, for each rate of a product: docs/events.md. The default is what consumers of the former version calculate with,
-- which do not read the column.
ALTER TABLE product_config ADD COLUMN day_count text COLLATE "C" NOT NULL DEFAULT 'ACT/365F'
  CHECK (day_count IN ('ACT/365F', 'ACT/360', '30/360'));
COMMENT ON COLUMN product_config.day_count IS 'Day-count convention of the rate; 30/360 is the bond basis.';

-- Down Migration

ALTER TABLE product_config DROP COLUMN day_count;
