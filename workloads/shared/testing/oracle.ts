import { Decimal } from 'decimal.js';
import { interestTransaction } from '../contracts/interest-transaction.ts';
import type { InterestTransaction } from '../contracts/interest-transaction.ts';
import { TOPIC } from './platform.ts';
import type { TestPlatform } from './platform.ts';
import { readTopic } from './read-topic.ts';

const Exact = Decimal.clone({ precision: 60, rounding: Decimal.ROUND_HALF_EVEN });

interface Opening {
  id: string;
  product: string;
  balance: string;
}
interface Rate {
  code: string;
  rate: string;
  from: string;
  to: string | null;
}

/**
 * Accounts whose balance is not what the events of the topic lead to: id, expected and actual balance. The calculation shares nothing with the
 * consumer: every event in the order of its partition, one at a time, in decimals, each id once. Records that are not
 * events do not count.
 */
export async function wrongBalances(platform: TestPlatform): Promise<string[]> {
  const [openings, rates, records] = await Promise.all([
    platform.sql<Opening>(
      `SELECT a.id, a.product_code AS product, coalesce(sum(p.amount_minor), 0)::text AS balance FROM account a
         LEFT JOIN (posting p JOIN journal_transaction t ON t.id = p.transaction_id AND t.kind = 'opening') ON p.account_id = a.id
        WHERE a.kind = 'customer' GROUP BY a.id`,
    ),
    platform.sql<Rate>('SELECT code, annual_rate::text AS rate, valid_from::text AS from, valid_to::text AS to FROM product_config'),
    readTopic(platform.services.kafka.brokers, TOPIC),
  ]);
  const balances = new Map(openings.map(({ id, balance }) => [id, new Exact(balance)]));
  const products = new Map(openings.map(({ id, product }) => [id, product]));
  const seen = new Set<string>();
  for (const { value } of records) {
    const event = eventOf(value);
    if (!event) continue;
    const { id, accountId, days, valueDate } = event;
    const balance = balances.get(accountId);
    const inForce = rates.find(
      ({ code, from, to }) => code === products.get(accountId) && from <= valueDate && (to === null || valueDate < to),
    );
    if (seen.has(id) || !balance || !inForce) continue;
    seen.add(id);
    balances.set(accountId, balance.plus(balance.mul(inForce.rate).mul(days).div(365).toDecimalPlaces(0)));
  }
  const actual = await platform.sql<{ id: string; balance: string }>(
    `SELECT id, balance_minor::text AS balance FROM account WHERE kind = 'customer' ORDER BY id`,
  );
  return actual.flatMap(({ id, balance }) => {
    const expected = balances.get(id)?.toFixed(0);
    return expected === balance ? [] : [`${id}: expected ${expected}, is ${balance}`];
  });
}

function eventOf(value: Buffer | null): InterestTransaction | undefined {
  try {
    return interestTransaction.parse(JSON.parse(String(value)));
  } catch {
    return undefined;
  }
}
