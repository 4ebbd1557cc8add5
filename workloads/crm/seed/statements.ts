/**
 * The statements that write generated customers, a block of them at a time. Whatever is random follows from the number of the run and of the
 * customer: 16 bytes of a hash. The ids are UUIDs of version 8 that begin with 5eed, which no other row has: those of the API are of version 7.
 */

/** An id of a table and a number. @param kind four hexadecimal digits */
const seedId = (kind: string, number: string): string => `('5eed${kind}-0000-8000-8000-' || lpad(to_hex(${number}), 12, '0'))::uuid`;
const numberOf = (id: string): string => `('x' || right(${id}::text, 12))::bit(48)::bigint`;

const customerId = (n: string): string => seedId('0001', n);
const addressId = (n: string): string => seedId('0002', n);
const productId = (place: string): string => seedId('0003', `(${place})::bigint`);
/** Two for each customer. */
const orderId = (n: string, which: 0 | 1): string => seedId('0004', `(${n} * 2 + ${which})`);
/** Up to four for each customer; a service and an asset have the number of their subscription. */
const subscriptionId = (n: string, k: string): string => seedId('0005', `(${n} * 4 + ${k})`);
const serviceId = (number: string): string => seedId('0006', number);
const assetId = (number: string): string => seedId('0007', number);
/** One for each of sixteen months. */
const invoiceId = (n: string, month: string): string => seedId('0008', `(${n} * 16 + ${month})`);

/** Random bytes `r` of a thing, such as `'/customer/' || n`, in the run $1. */
const random = (thing: string): string => `CROSS JOIN LATERAL (SELECT decode(md5($1::text || ${thing}), 'hex') AS r) AS random`;
const byte = (index: number): string => `get_byte(r, ${index})`;
/** From 0 to 65535. */
const word = (index: number): string => `(${byte(index)} * 256 + ${byte(index + 1)})`;
const oneOf = (list: string, index: number): string => `(${list})[1 + ${word(index)} % cardinality(${list})]`;

/** A quotient of bigints that are not negative, half to even. */
const halfEven = (dividend: string, divisor: string): string =>
  `((${dividend}) / (${divisor}) + CASE WHEN 2 * ((${dividend}) % (${divisor})) > (${divisor})
     OR (2 * ((${dividend}) % (${divisor})) = (${divisor}) AND ((${dividend}) / (${divisor})) % 2 = 1) THEN 1 ELSE 0 END)`;

/** Midnight of a date. */
const utc = (date: string): string => `((${date})::timestamp AT TIME ZONE 'UTC')`;

/** $1 catalogue in JSON, in the order of the places. A product whose code another one has is left out. */
export const PRODUCTS = `
INSERT INTO product (id, code, name, category, status, currency, recurring_minor, one_time_minor, tax_basis_points)
SELECT ${productId('place - 1')}, 'seed-' || code, name, category, coalesce(status, 'launched'), 'EUR', "recurringMinor", "oneTimeMinor", 1900
  FROM ROWS FROM (jsonb_to_recordset($1::jsonb) AS (code text, name text, category text, status text, "recurringMinor" bigint, "oneTimeMinor" bigint))
       WITH ORDINALITY AS p (code, name, category, status, "recurringMinor", "oneTimeMinor", place)
ON CONFLICT DO NOTHING`;

/** Number of products of the seed. */
export const COUNT_PRODUCTS = `SELECT count(*)::int AS count FROM product WHERE id BETWEEN ${productId('0')} AND ${productId('65535')}`;

/**
 * Customers $2 to $3, who have joined in the three years before $4. $5 to $7: given names, family names, trades.
 * @returns ids of those that were not there
 */
export const CUSTOMERS = `
INSERT INTO customer (id, created_at, updated_at, type, name, email, phone, status, currency)
SELECT ${customerId('n')}, at, at, CASE WHEN organization THEN 'organization' ELSE 'individual' END,
       CASE WHEN organization THEN family || ' ' || trade ELSE given || ' ' || family END,
       lower(CASE WHEN organization THEN 'billing' ELSE given || '.' || family END) || n || '@example.com',
       '+999' || lpad(n::text, 9, '0'),
       CASE WHEN s < 230 THEN 'active' WHEN s < 240 THEN 'suspended' WHEN s < 252 THEN 'closed' WHEN s < 254 THEN 'validated' ELSE 'initialized' END,
       'EUR'
  FROM generate_series($2::bigint, $3::bigint) AS n
 ${random(`'/customer/' || n`)}
 CROSS JOIN LATERAL (SELECT ${byte(0)} < 20 AS organization, ${byte(1)} AS s, ${oneOf('$5::text[]', 2)} AS given, ${oneOf('$6::text[]', 4)} AS family,
                            ${oneOf('$7::text[]', 6)} AS trade,
                            ${utc(`$4::date - (5 + ${word(8)} % 1090)`)} + make_interval(secs => ${byte(10)} * 337) AS at) AS person
ON CONFLICT (id) DO NOTHING RETURNING id::text`;

/** Customers of the block that were written now: $2 their ids. */
const WRITTEN = `(SELECT ${numberOf('c.id')} AS n, c.* FROM unnest($2::uuid[]) AS written (id) JOIN customer c USING (id)) AS c`;
/** Those who buy something. */
const BUYERS = `${WRITTEN} ON c.status IN ('active', 'suspended', 'closed')`;

/** $3 streets, $4 towns. */
export const ADDRESSES = `
INSERT INTO address (id, created_at, updated_at, customer_id, type, line1, city, postcode, country)
SELECT ${addressId('c.n')}, c.created_at, c.created_at, c.id, 'billing', (1 + ${byte(0)} % 180) || ' ' || ${oneOf('$3::text[]', 2)},
       ($4::text[])[1 + town], lpad((10000 + town * 4001 + ${byte(6)})::text, 5, '0'), 'DE'
  FROM ${WRITTEN}
 ${random(`'/address/' || c.n`)}
 CROSS JOIN LATERAL (SELECT ${word(4)} % cardinality($4::text[]) AS town) AS place`;

/**
 * Subscriptions since the customer has joined, and the orders of the year before $3: the first one of customers who have joined in it, and later ones
 * of devices. $4 to $7: places of products for the first subscription, that of organizations, the second and the third; $8 those of devices.
 */
export const ORDERS = `
WITH buyer AS MATERIALIZED (
  SELECT c.n, c.id, c.type, c.status, c.created_at, c.created_at >= year.begin AS ordered, greatest(c.created_at, year.begin) AS since
    FROM (SELECT ${utc(`$3::date - interval '1 year'`)} AS begin) AS year JOIN ${BUYERS}
), chosen AS MATERIALIZED (
  SELECT b.n, b.id AS customer_id, b.status AS customer_status, b.created_at, b.ordered, k, p.id AS product_id, p.currency, p.one_time_minor, p.recurring_minor,
         p.tax_basis_points, ${byte(1)} AS fate, (b.created_at AT TIME ZONE 'UTC')::date + 2 AS start_date, ${word(2)} AS length,
         CASE WHEN p.category = 'iot' THEN 10 + ${byte(5)} % 191 WHEN b.type = 'organization' AND p.category = 'mobile' THEN 1 + ${byte(5)} % 20 ELSE 1 END AS quantity
    FROM buyer b CROSS JOIN generate_series(0, 2) AS k
   ${random(`'/subscription/' || b.n || '/' || k`)}
   JOIN product p ON p.id = ${productId(`CASE WHEN k = 0 AND b.type = 'organization' THEN ${oneOf('$5::int[]', 6)} WHEN k = 0 THEN ${oneOf('$4::int[]', 6)}
                                              WHEN k = 1 THEN ${oneOf('$6::int[]', 6)} ELSE ${oneOf('$7::int[]', 6)} END`)}
   WHERE ${byte(0)} < CASE k WHEN 0 THEN 256 WHEN 1 THEN 140 ELSE 64 END
), later AS MATERIALIZED (
  SELECT b.n, b.id AS customer_id, at, p.id AS product_id, p.currency, p.one_time_minor, p.recurring_minor, p.tax_basis_points,
         CASE WHEN ${byte(1)} < 16 THEN 'cancelled' WHEN at < ${utc('$3::date')} - interval '12 days' THEN 'completed' WHEN ${byte(1)} < 80 THEN 'draft'
              WHEN ${byte(1)} < 160 THEN 'acknowledged' ELSE 'completed' END AS status
    FROM buyer b
   ${random(`'/order/' || b.n`)}
   CROSS JOIN LATERAL (SELECT b.since + (${utc('$3::date')} - interval '3 days' - b.since) * (${word(2)} / 65536.0) AS at) AS moment
   JOIN product p ON p.id = ${productId(oneOf('$8::int[]', 4))}
   WHERE b.status = 'active' AND ${byte(0)} < 77
), item AS MATERIALIZED (
  SELECT ${orderId('n', 0)} AS order_id, customer_id, created_at AS at, 'completed' AS status, currency,
         (row_number() OVER (PARTITION BY n ORDER BY k))::int AS line, product_id, quantity, one_time_minor, recurring_minor, tax_basis_points,
         CASE WHEN recurring_minor > 0 THEN ${subscriptionId('n', 'k')} END AS subscription_id
    FROM chosen WHERE ordered
  UNION ALL
  SELECT ${orderId('n', 1)}, customer_id, at, status, currency, 1, product_id, 1, one_time_minor, recurring_minor, tax_basis_points, NULL FROM later
), orders AS (
  INSERT INTO "order" (id, created_at, updated_at, customer_id, status, currency, total_minor, submitted_at, ended_at)
  SELECT order_id, at, at + CASE status WHEN 'completed' THEN interval '2 days' WHEN 'cancelled' THEN interval '1 day' ELSE interval '10 minutes' END,
         customer_id, status, currency, sum(one_time_minor * quantity), CASE WHEN status <> 'draft' THEN at + interval '10 minutes' END,
         CASE status WHEN 'completed' THEN at + interval '2 days' WHEN 'cancelled' THEN at + interval '1 day' END
    FROM item GROUP BY order_id, at, customer_id, status, currency
), subscriptions AS (
  INSERT INTO subscription (id, created_at, updated_at, customer_id, product_id, order_id, status, quantity, currency, recurring_minor, tax_basis_points, start_date, end_date)
  SELECT ${subscriptionId('n', 'k')}, created_at, created_at, customer_id, product_id, CASE WHEN ordered THEN ${orderId('n', 0)} END,
         CASE WHEN customer_status = 'closed' OR fate < 13 THEN 'terminated' WHEN customer_status = 'suspended' OR fate < 18 THEN 'suspended' ELSE 'active' END,
         quantity, currency, recurring_minor, tax_basis_points, start_date,
         CASE WHEN customer_status = 'closed' OR fate < 13 THEN start_date + length % ($3::date - start_date) END
    FROM chosen WHERE recurring_minor > 0
)
INSERT INTO order_item (order_id, line, product_id, quantity, one_time_minor, recurring_minor, tax_basis_points, fulfilled_at, subscription_id)
SELECT order_id, line, product_id, quantity, one_time_minor, recurring_minor, tax_basis_points,
       CASE WHEN status = 'completed' THEN at + interval '2 days' END, subscription_id
  FROM item`;

/** A service for each subscription of a network, and the device that it is used with; one that is no longer used is in stock. */
export const SERVICES = `
WITH used AS MATERIALIZED (
  SELECT ${numberOf('s.id')} AS number, s.*, p.category,
         CASE p.category WHEN 'broadband' THEN 'router' WHEN 'tv' THEN 'setTopBox' WHEN 'iot' THEN 'sim' WHEN 'mobile' THEN 'sim' END AS device
    FROM subscription s JOIN product p ON p.id = s.product_id
   WHERE s.customer_id = ANY ($1::uuid[]) AND p.category IN ('mobile', 'broadband', 'tv', 'voice', 'iot')
), services AS (
  INSERT INTO service (id, created_at, updated_at, customer_id, subscription_id, type, status, start_date, end_date)
  SELECT ${serviceId('number')}, created_at, created_at, customer_id, id, category,
         CASE status WHEN 'active' THEN 'active' WHEN 'suspended' THEN 'inactive' ELSE 'terminated' END, start_date, end_date
    FROM used
)
INSERT INTO asset (id, created_at, updated_at, customer_id, service_id, type, model, serial_number, status)
SELECT ${assetId('number')}, created_at, created_at, CASE WHEN status <> 'terminated' THEN customer_id END,
       CASE WHEN status <> 'terminated' THEN ${serviceId('number')} END, device,
       CASE device WHEN 'router' THEN 'Home Router 3' WHEN 'setTopBox' THEN 'TV Box 2' ELSE 'SIM card' END, 'SEED-' || lpad(number::text, 9, '0'),
       CASE WHEN status <> 'terminated' THEN 'reserved' ELSE 'available' END
  FROM used WHERE device IS NOT NULL`;

/** Days of a subscription within a month. */
const DAYS = `(least(coalesce(s.end_date, m.last), m.last) - greatest(s.start_date, m.first) + 1)`;

/**
 * An invoice for each of the twelve months before $3 in which a customer, of $2, has something to pay: monthly prices in proportion to days, and one-time
 * prices of what was fulfilled.
 */
export const INVOICES = `
WITH month AS MATERIALIZED (
  SELECT i, first::date, (first + interval '1 month')::date - 1 AS last
    FROM generate_series(0, 11) AS i CROSS JOIN LATERAL (SELECT $3::date - make_interval(months => 12 - i) AS first) AS f
), charge AS MATERIALIZED (
  SELECT s.customer_id, m.i, 0 AS part, s.start_date AS since, s.id, p.name, s.id AS subscription_id, NULL::uuid AS order_id, NULL::int AS order_line, s.quantity,
         s.recurring_minor AS unit, ${halfEven(`s.recurring_minor * s.quantity * ${DAYS}`, '(m.last - m.first + 1)')} AS net, s.tax_basis_points,
         greatest(s.start_date, m.first) AS period_start, least(coalesce(s.end_date, m.last), m.last) AS period_end
    FROM subscription s JOIN product p ON p.id = s.product_id JOIN month m ON s.start_date <= m.last AND coalesce(s.end_date, m.last) >= m.first
   WHERE s.customer_id = ANY ($2::uuid[])
  UNION ALL
  SELECT o.customer_id, m.i, 1, m.first, o.id, p.name, NULL, o.id, t.line, t.quantity, t.one_time_minor, t.one_time_minor * t.quantity, t.tax_basis_points, NULL, NULL
    FROM "order" o JOIN order_item t ON t.order_id = o.id JOIN product p ON p.id = t.product_id
    JOIN month m ON t.fulfilled_at >= ${utc('m.first')} AND t.fulfilled_at < ${utc('m.last + 1')}
   WHERE o.customer_id = ANY ($2::uuid[]) AND t.one_time_minor > 0
), line AS MATERIALIZED (
  SELECT ${invoiceId(numberOf('customer_id'), 'i')} AS invoice_id, charge.*, ${halfEven('net * tax_basis_points', '10000::bigint')} AS tax,
         (row_number() OVER (PARTITION BY customer_id, i ORDER BY part, since, id, order_line))::int AS line
    FROM charge
), total AS MATERIALIZED (
  SELECT invoice_id, customer_id, i, sum(net)::bigint AS net, sum(tax)::bigint AS tax FROM line GROUP BY invoice_id, customer_id, i
), invoices AS (
  INSERT INTO invoice (id, created_at, updated_at, customer_id, number, status, currency, period_start, period_end, issue_date, due_date,
    net_minor, tax_minor, total_minor, paid_minor)
  SELECT invoice_id, ${utc('m.last + 1')} + interval '3 hours', ${utc('m.last + 1')} + interval '3 hours', customer_id,
         'SEED-' || to_char(m.first, 'YYYYMM') || '-' || lpad((${numberOf('customer_id')})::text, 7, '0'), state, 'EUR', m.first, m.last, m.last + 1, m.last + 15,
         net, tax, net + tax, CASE state WHEN 'settled' THEN net + tax WHEN 'partiallyPaid' THEN (net + tax) / 2 ELSE 0 END
    FROM total JOIN month m USING (i)
   ${random(`'/invoice/' || invoice_id`)}
   CROSS JOIN LATERAL (SELECT CASE WHEN i = 11 AND ${byte(0)} < 150 THEN 'sent' WHEN ${byte(0)} < 247 OR net + tax < 2 THEN 'settled' WHEN ${byte(0)} < 252 THEN 'sent'
                                   ELSE 'partiallyPaid' END AS state) AS s
)
INSERT INTO invoice_line (invoice_id, line, description, subscription_id, order_id, order_line, quantity, unit_minor, net_minor, tax_basis_points, tax_minor,
  period_start, period_end)
SELECT invoice_id, line, name, subscription_id, order_id, order_line, quantity, unit, net, tax_basis_points, tax, period_start, period_end FROM line`;

/** The planner has statistics of what was written. */
export const ANALYZE = 'ANALYZE customer, address, product, "order", order_item, subscription, service, asset, invoice, invoice_line';
