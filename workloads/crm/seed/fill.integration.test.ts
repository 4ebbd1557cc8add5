/** Generated customers in a real database behind PgBouncer. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client } from 'pg';
import { startServices } from '../../../local/src/services/index.ts';
import { migrate } from '../../migrate/migrate.ts';
import { createLogger } from '../../shared/kernel/log.ts';
import { Metrics } from '../../shared/kernel/metrics.ts';
import { Postgres, type Queryable } from '../../shared/kernel/postgres.ts';
import { everyLogin } from '../../shared/testing/logins.ts';
import { invoiceLines, type BilledItem, type BilledSubscription } from '../billing.ts';
import { CATALOGUE } from './catalogue.ts';
import { blocksOf, fill, monthOf } from './fill.ts';

const LIMIT = { timeout: 120_000 };
const PASSWORD = 'test-password';
const log = createLogger({ service: 'test', platform: 'test', namespace: 'test', pod: 'test' }, 'silent');
/** Three blocks, the last one not full. */
const SEED = { customers: 4_500, number: 7, until: '2026-03-01' };

const startServers = () => startServices({ postgres: true, pgbouncer: true });

let services: Awaited<ReturnType<typeof startServers>>;
/** The administrator's connection. */
let admin: Client;
/** As the Job has it: through PgBouncer, as the owner. */
let database: Postgres;

before(async () => {
  services = await startServers();
  const { postgres, pgbouncer } = services;
  await migrate({ adminUrl: postgres.url(), adminPassword: postgres.password, logins: everyLogin(PASSWORD), seedAccounts: 0 }, log);
  admin = new Client({ connectionString: postgres.url('crm') });
  await admin.connect();
  const url = `postgresql://crm@${pgbouncer.host}:${pgbouncer.port}/crm`;
  database = new Postgres({ url, password: PASSWORD, max: 1, applicationName: 'crm-seed' }, log, new Metrics({}));
}, LIMIT);

after(async () => {
  await database?.close();
  await admin?.end();
  await services?.stop();
}, LIMIT);

const TABLES = ['customer', 'address', 'product', 'service', 'asset', 'subscription', '"order"', 'order_item', 'invoice', 'invoice_line'];

async function rows<R extends object>(text: string, values: unknown[] = []): Promise<R[]> {
  return (await admin.query<R>(text, values)).rows;
}

/** A digest of every row of each table; dates of the catalogue are those of the run. */
async function contents(): Promise<Record<string, string>> {
  const digests: Record<string, string> = {};
  for (const table of TABLES) {
    const text = table === 'product' ? `(to_jsonb(t) - 'created_at' - 'updated_at')::text` : 't::text';
    const [row] = await rows<{ digest: string }>(
      `SELECT md5(coalesce(string_agg(${text}, ',' ORDER BY ${text}), '')) AS digest FROM ${table} t`,
    );
    digests[table] = row?.digest ?? '';
  }
  return digests;
}

const empty = () => admin.query(`TRUNCATE ${TABLES.join(', ')} CASCADE`);
const number = async (text: string): Promise<number> => Number((await rows<{ n: string }>(`SELECT (${text}) AS n`))[0]?.n);

test('the blocks are all customers, each once', () => {
  assert.deepEqual(blocksOf(5, 2), [
    [1, 2],
    [3, 4],
    [5, 5],
  ]);
  assert.equal(monthOf(new Date('2026-02-28T23:59:59Z')), '2026-02-01');
});

test('a run adds customers with all that belongs to them', LIMIT, async (context) => {
  const begun = performance.now();
  assert.equal(await fill(database, SEED, log), SEED.customers);
  context.diagnostic(`${SEED.customers} customers in ${Math.round(performance.now() - begun)} ms`);
  assert.equal(await number('SELECT count(*) FROM product'), CATALOGUE.length);
  assert.equal(await number('SELECT count(*) FROM address'), SEED.customers);
  const each = async (table: string) => (await number(`SELECT count(*) FROM ${table}`)) / SEED.customers;
  const shares = {
    subscription: [1.6, 1.9],
    service: [1.4, 1.8],
    asset: [1.3, 1.7],
    '"order"': [0.4, 0.7],
    invoice: [8, 12],
    invoice_line: [12, 24],
  };
  for (const [table, [least = 0, most = 0]] of Object.entries(shares)) {
    const share = await each(table);
    assert.ok(share > least && share < most, `${share} of ${table} for each customer`);
  }
  const states = await rows<{ status: string }>('SELECT status FROM customer GROUP BY status ORDER BY count(*) DESC');
  assert.deepEqual(states[0]?.status, 'active');
  assert.equal(states.length, 5);
});

test('what belongs together agrees', LIMIT, async () => {
  const wrong = {
    'an invoice whose total is not the sum of its lines': `SELECT i.id FROM invoice i JOIN invoice_line l ON l.invoice_id = i.id GROUP BY i.id
       HAVING i.net_minor <> sum(l.net_minor) OR i.tax_minor <> sum(l.tax_minor)`,
    'an invoice without lines': `SELECT FROM invoice i WHERE NOT EXISTS (SELECT FROM invoice_line l WHERE l.invoice_id = i.id)`,
    'an order whose total is not that of its items': `SELECT o.id FROM "order" o JOIN order_item t ON t.order_id = o.id GROUP BY o.id
       HAVING o.total_minor <> sum(t.one_time_minor * t.quantity)`,
    'a day that is charged twice': `SELECT FROM invoice_line a JOIN invoice_line b ON a.subscription_id = b.subscription_id
       AND (a.invoice_id, a.line) < (b.invoice_id, b.line) AND a.period_end >= b.period_start AND b.period_end >= a.period_start`,
    'a fulfilled item that is not charged once': `SELECT t.order_id FROM order_item t LEFT JOIN invoice_line l ON l.order_id = t.order_id AND l.order_line = t.line
       WHERE t.fulfilled_at IS NOT NULL AND t.one_time_minor > 0 GROUP BY t.order_id, t.line HAVING count(l.line) <> 1`,
    'a line of another customer': `SELECT FROM invoice_line l JOIN invoice i ON i.id = l.invoice_id JOIN subscription s ON s.id = l.subscription_id
       WHERE s.customer_id <> i.customer_id`,
    'something after the end': `SELECT FROM invoice WHERE period_end >= '${SEED.until}' UNION ALL SELECT FROM "order" WHERE created_at >= '${SEED.until}'
       UNION ALL SELECT FROM subscription WHERE end_date >= '${SEED.until}'`,
    'a subscription of a customer who is closed': `SELECT FROM subscription s JOIN customer c ON c.id = s.customer_id WHERE c.status = 'closed' AND s.status <> 'terminated'`,
  };
  for (const [what, text] of Object.entries(wrong)) assert.deepEqual(await rows(`${text} LIMIT 1`), [], what);
});

/** The lines of an invoice that the API would generate, of subscriptions and items as the database has them. */
async function generated(invoice: { id: string; customer: string; start: string; end: string }): Promise<object[]> {
  const subscriptions = await rows<Omit<BilledSubscription, 'recurringMinor' | 'invoiced'> & { recurringMinor: string }>(
    `SELECT s.id::text, p.name AS product, s.quantity, s.recurring_minor::text AS "recurringMinor", s.tax_basis_points AS "taxBasisPoints",
       s.start_date::text AS "startDate", s.end_date::text AS "endDate"
      FROM subscription s JOIN product p ON p.id = s.product_id WHERE s.customer_id = $1 ORDER BY s.start_date, s.id`,
    [invoice.customer],
  );
  const items = await rows<Omit<BilledItem, 'oneTimeMinor'> & { oneTimeMinor: string }>(
    `SELECT o.id::text AS "orderId", t.line AS "orderLine", p.name AS product, t.quantity, t.one_time_minor::text AS "oneTimeMinor",
       t.tax_basis_points AS "taxBasisPoints"
      FROM "order" o JOIN order_item t ON t.order_id = o.id JOIN product p ON p.id = t.product_id
     WHERE o.customer_id = $1 AND (t.fulfilled_at AT TIME ZONE 'UTC')::date BETWEEN $2 AND $3 ORDER BY o.id, t.line`,
    [invoice.customer, invoice.start, invoice.end],
  );
  return invoiceLines(
    { start: invoice.start, end: invoice.end },
    subscriptions.map((row) => ({ ...row, recurringMinor: BigInt(row.recurringMinor), invoiced: [] })),
    items.map((row) => ({ ...row, oneTimeMinor: BigInt(row.oneTimeMinor) })),
  ).map(({ description, quantity, unitMinor, netMinor, taxMinor, subscriptionId, orderId, orderLine, period }) => ({
    description,
    quantity,
    amounts: [unitMinor, netMinor, taxMinor].map(String),
    of: [subscriptionId, orderId, orderLine],
    period: [period?.start ?? null, period?.end ?? null],
  }));
}

test('an invoice has the lines that the API would generate', LIMIT, async (context) => {
  const invoices = await rows<{ id: string; customer: string; start: string; end: string }>(
    `SELECT id::text, customer_id::text AS customer, period_start::text AS start, period_end::text AS end FROM invoice ORDER BY md5(id::text) LIMIT 300`,
  );
  let compared = 0;
  for (const invoice of invoices) {
    const lines = await rows<object>(
      `SELECT description, quantity, ARRAY[unit_minor::text, net_minor::text, tax_minor::text] AS amounts,
         json_build_array(subscription_id, order_id, order_line) AS of, json_build_array(period_start, period_end) AS period
        FROM invoice_line WHERE invoice_id = $1 ORDER BY line`,
      [invoice.id],
    );
    assert.deepEqual(lines, await generated(invoice), `invoice ${invoice.id}`);
    compared += lines.length;
  }
  assert.ok(compared > 300);
  context.diagnostic(`${compared} lines of ${invoices.length} invoices`);
});

test('a second run changes nothing, and a run in steps is the same as one', LIMIT, async () => {
  const whole = await contents();
  assert.equal(await fill(database, SEED, log), 0);
  assert.deepEqual(await contents(), whole);
  await empty();
  await fill(database, { ...SEED, customers: 1_000 }, log);
  assert.equal(await fill(database, SEED, log), SEED.customers - 1_000);
  assert.deepEqual(await contents(), whole);
});

test('a run that failed in the middle of a block continues', LIMIT, async () => {
  const whole = await contents();
  await empty();
  let calls = 0;
  const failing = (tx: Queryable): Queryable => ({
    query: (name, text, values) =>
      name === 'seed invoices' && (calls += 1) === 2 ? Promise.reject(new Error('the connection is lost')) : tx.query(name, text, values),
  });
  const cut: Pick<Postgres, 'query' | 'transaction'> = {
    query: (name, text, values) => database.query(name, text, values),
    transaction: (work) => database.transaction((tx) => work(failing(tx))),
  };
  await assert.rejects(fill(cut, SEED, log), /the connection is lost/);
  assert.equal(await number('SELECT count(*) FROM customer'), 2_000, 'one block was written');
  assert.equal(await fill(database, SEED, log), SEED.customers - 2_000);
  assert.deepEqual(await contents(), whole);
});

test('another number makes other customers, and rows of others stay as they are', LIMIT, async () => {
  await empty();
  const own = '01900000-0000-7000-8000-000000000001';
  await rows(`INSERT INTO customer (id, type, name, status, currency) VALUES ($1, 'individual', 'Own', 'active', 'EUR')`, [own]);
  const kept = await rows('SELECT c::text FROM customer c');
  await fill(database, { ...SEED, customers: 500, number: 8 }, log);
  assert.deepEqual(await rows('SELECT c::text FROM customer c WHERE id = $1', [own]), kept);
  assert.equal(await number(`SELECT count(*) FROM subscription WHERE customer_id = '${own}'`), 0);
  const names = await rows<{ name: string }>('SELECT name FROM customer WHERE id <> $1 ORDER BY id LIMIT 50', [own]);
  await empty();
  await fill(database, { ...SEED, customers: 500 }, log);
  assert.notDeepEqual(await rows('SELECT name FROM customer ORDER BY id LIMIT 50'), names);
});

test('a product with a code of the catalogue stops the run', LIMIT, async () => {
  await empty();
  await rows(`INSERT INTO product (id, code, name, category, status, currency, recurring_minor, one_time_minor, tax_basis_points)
    VALUES ('01900000-0000-7000-8000-000000000002', 'seed-mobile-s', 'Own', 'mobile', 'launched', 'EUR', 1, 1, 1900)`);
  await assert.rejects(fill(database, SEED, log), /rename those that begin with "seed-"/);
  assert.equal(await number('SELECT count(*) FROM customer'), 0);
});
