/**
 * Thousands of random events, by every day-count convention, through Kafka and the consumer: each amount, and its place among those of the account,
 * against a calculation in the decimals and dates of Postgres. SEED=… runs a seed again.
 */
import assert from 'node:assert/strict';
import { randomInt, randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { random } from '../ledger/testing/random.ts';
import type { InterestTransaction } from '../shared/contracts/interest-transaction.ts';
import { wrongBalances } from '../shared/testing/oracle.ts';
import { recordOf, TestPlatform } from '../shared/testing/platform.ts';
import { DAY_COUNTS } from './day-count.ts';

const LIMIT = { timeout: 180_000 };
const SEED = Number(process.env['SEED'] ?? randomInt(2 ** 31));
const EVENTS = 4_000;
const RATES = ['0.034750', '0', '-0.005000', '0.000001', '0.1', '-1'];
const BALANCES = ['0', '1', '-1', '36500', '-123457', '99999999', '10000000000000000'];
/** From this date on, each product has the next convention. */
const CHANGE = '2024-02-29';

let platform: TestPlatform;
const numbers = random(SEED);

before(async () => {
  platform = await TestPlatform.start(0);
  await createProducts();
  await openAccounts();
  await (await platform.consumer({ INTEREST_BATCH_MAX_RECORDS: '500' })).ready();
}, LIMIT);
after(() => platform?.stop(), LIMIT);

const products = DAY_COUNTS.flatMap((dayCount, index) =>
  RATES.map((rate, place) => ({ code: `product-${index}-${place}`, rate, dayCount, next: DAY_COUNTS[(index + 1) % DAY_COUNTS.length] })),
);

async function createProducts(): Promise<void> {
  const insert = 'INSERT INTO product_config (code, annual_rate, day_count, valid_from, valid_to) VALUES ($1, $2, $3, $4, $5)';
  for (const { code, rate, dayCount, next } of products) {
    await platform.sql(insert, [code, rate, dayCount, '2000-01-01', CHANGE]);
    await platform.sql(insert, [code, rate, next, CHANGE, null]);
  }
}

/** One account for each product and balance, whose id is both. */
async function openAccounts(): Promise<void> {
  for (const { code } of products) {
    for (const balance of BALANCES) {
      const id = `${code}.${balance}`;
      await platform.sql(`INSERT INTO account (id, kind, currency, product_code) VALUES ($1, 'customer', 'EUR', $2)`, [id, code]);
      platform.accounts.push({ id, currency: 'EUR' });
      if (balance !== '0') await open(id, balance);
    }
  }
}

async function open(account: string, balance: string): Promise<void> {
  const values = [randomUUID(), account, balance];
  await platform.sql(
    `INSERT INTO journal_transaction (id, kind, currency, value_date) VALUES ($1, 'opening', 'EUR', '2020-01-01')`,
    values.slice(0, 1),
  );
  await platform.sql(
    `INSERT INTO posting (transaction_id, line, account_id, currency, amount_minor)
     VALUES ($1, 1, $2, 'EUR', $3::bigint), ($1, 2, 'opening-equity.EUR', 'EUR', -$3::bigint)`,
    values,
  );
}

/** Half of them around the end of a month. */
function randomDate(): string {
  const [year, month] = [2020 + numbers.below(12), numbers.below(12)];
  const day = numbers.below(2) === 0 ? 1 + numbers.below(28) : numbers.below(4) - 1;
  return new Date(Date.UTC(year, month, day)).toISOString().slice(0, 10);
}

/**
 * Events whose posting is not what the calculation leads to. $1 ids, $2 accounts, $3 days and $4 value dates, in the order of the topic. `exact` is
 * the interest times the divisor. Postgres rounds half away from zero: a half is rounded to even as twice the rounded half of it.
 */
const WRONG = `
WITH event AS (
  SELECT * FROM unnest($1::uuid[], $2::text[], $3::int[], $4::date[]) WITH ORDINALITY AS e (id, account, days, ends, place)
), booked AS (
  SELECT e.*, t.id IS NOT NULL AS known, coalesce(p.amount_minor, 0)::numeric AS amount, p.account_seq
    FROM event e LEFT JOIN journal_transaction t ON t.id = e.id LEFT JOIN posting p ON p.transaction_id = e.id AND p.account_id = e.account
), opening AS (
  SELECT a.id, a.product_code AS product, coalesce(sum(p.amount_minor), 0)::numeric AS balance, count(p.*) AS postings
    FROM account a LEFT JOIN (posting p JOIN journal_transaction t ON t.id = p.transaction_id AND t.kind = 'opening') ON p.account_id = a.id
   GROUP BY a.id
), entry AS (
  SELECT b.*, c.annual_rate, c.day_count, o.balance + sum(b.amount) OVER earlier - b.amount AS before,
         o.postings + count(*) FILTER (WHERE b.amount <> 0) OVER earlier AS seq, b.ends - b.days AS starts
    FROM booked b JOIN opening o ON o.id = b.account
    JOIN product_config c ON c.code = o.product AND daterange(c.valid_from, c.valid_to) @> b.ends
  WINDOW earlier AS (PARTITION BY b.account ORDER BY b.place)
), counted AS (
  SELECT *, CASE day_count WHEN 'ACT/365F' THEN 365 ELSE 360 END::numeric AS year,
         CASE WHEN day_count <> '30/360' THEN days
           ELSE 360 * (extract(year FROM ends) - extract(year FROM starts)) + 30 * (extract(month FROM ends) - extract(month FROM starts))
                + CASE WHEN extract(day FROM starts) >= 30 THEN least(extract(day FROM ends), 30) ELSE extract(day FROM ends) END
                - least(extract(day FROM starts), 30)
         END AS accrued
    FROM entry
), expected AS (
  SELECT *, (before * annual_rate * accrued)::numeric(80, 30) AS exact FROM counted
), rounded AS (
  SELECT *, CASE WHEN mod(2 * abs(exact), 2 * year) = year THEN 2 * round(exact / (2 * year)) ELSE round(exact / year) END AS interest FROM expected
)
SELECT id::text, account, day_count, ends::text, days, before::text, amount::text, interest::text, account_seq::text, seq::text FROM rounded
 WHERE NOT known OR amount <> interest OR (amount <> 0 AND account_seq <> seq)`;

async function wrong(events: InterestTransaction[]): Promise<object[]> {
  return platform.sql(WRONG, [
    events.map(({ id }) => id),
    events.map(({ accountId }) => accountId),
    events.map(({ days }) => days),
    events.map(({ valueDate }) => valueDate),
  ]);
}

test('every amount and its order is that of an independent calculation, by every day-count convention', LIMIT, async (context) => {
  const events = Array.from({ length: EVENTS }, () =>
    platform.event(numbers.below(platform.accounts.length), { days: 1 + numbers.below(366), valueDate: randomDate() }),
  );
  await platform.produce(events.map((event) => recordOf(event)));
  await platform.drained();
  assert.deepEqual(await wrong(events), [], `SEED=${SEED}`);
  assert.deepEqual(await wrongBalances(platform), [], `SEED=${SEED}`);
  assert.equal((await platform.appliedIds()).size, EVENTS);
  const [found] = await platform.sql<Record<string, number>>(
    `SELECT count(*) FILTER (WHERE amount_minor < 0)::int AS negative, count(*) FILTER (WHERE amount_minor > 0)::int AS positive,
            count(*) FILTER (WHERE abs(amount_minor) > 100000000000000)::int AS large
       FROM posting p JOIN journal_transaction t ON t.id = p.transaction_id WHERE t.kind = 'interest' AND p.line = 1`,
  );
  context.diagnostic(JSON.stringify({ seed: SEED, events: EVENTS, ...found }));
  for (const [kind, count] of Object.entries(found ?? {})) assert.ok(count > 0, kind);
});
