import { Oracle, type Opening, type ProductRate } from '../../../local/src/demo/oracle.ts';
import { interestTransaction } from '../contracts/interest-transaction.ts';
import type { InterestTransaction } from '../contracts/interest-transaction.ts';
import { TOPIC } from './platform.ts';
import type { TestPlatform } from './platform.ts';
import { readTopic } from './read-topic.ts';

/**
 * Accounts whose balance is not what the events of the topic lead to: id, expected and actual balance. The calculation is the demo's, which
 * shares nothing with the consumer. Records that are not events do not count.
 * @param earlier events of a deleted topic of that name, in order
 */
export async function wrongBalances(platform: TestPlatform, earlier: InterestTransaction[] = []): Promise<string[]> {
  const [openings, rates, records] = await Promise.all([
    platform.sql<Opening>(
      `SELECT a.id, a.product_code AS product, a.currency, coalesce(sum(p.amount_minor), 0)::text AS balance FROM account a
         LEFT JOIN (posting p JOIN journal_transaction t ON t.id = p.transaction_id AND t.kind = 'opening') ON p.account_id = a.id
        WHERE a.kind = 'customer' GROUP BY a.id`,
    ),
    platform.sql<ProductRate>(
      'SELECT code, annual_rate::text AS rate, valid_from::text AS from, valid_to::text AS to, day_count AS "dayCount" FROM product_config',
    ),
    readTopic(platform.services.kafka.brokers, TOPIC),
  ]);
  const oracle = new Oracle(openings, rates);
  for (const event of earlier) oracle.apply(event);
  for (const { value } of records) {
    const event = eventOf(value);
    if (event) oracle.apply(event);
  }
  return oracle.wrong(
    await platform.sql<{ id: string; balance: string }>(
      `SELECT id, balance_minor::text AS balance FROM account WHERE kind = 'customer' ORDER BY id`,
    ),
  );
}

function eventOf(value: Buffer | null): InterestTransaction | undefined {
  try {
    return interestTransaction.parse(JSON.parse(String(value)));
  } catch {
    return undefined;
  }
}
