/** Compares every balance of the platform's ledger with an independent calculation over all events of the topic. */
import { z } from 'zod';
import { kafkaAt, readTopic } from './kafka.ts';
import { Oracle, type InterestEvent } from './oracle.ts';
import type { PlatformResource } from './platform.ts';

const TOPIC = 'interest.transaction.v1';
const READ_LIMIT_MS = 180_000;

export interface Audit {
  /** Events that the calculation applied. */
  readonly events: number;
  /** Accounts that were compared: transfers are not in the topic, so accounts with transfers are left out. */
  readonly accounts: number;
  /** One line for each account whose balance is another. */
  readonly wrong: readonly string[];
}

const row = z.object({
  id: z.string(),
  product: z.string(),
  currency: z.string(),
  opening: z.string(),
  balance: z.string(),
  moved: z.boolean(),
});
const rate = z.object({ code: z.string(), rate: z.string(), from: z.string(), to: z.string().nullable(), dayCount: z.string() });
const ledger = z.object({ accounts: z.array(row), rates: z.array(rate) });
const event = z.object({
  id: z.string(),
  accountId: z.string(),
  currency: z.string(),
  days: z.int().min(1).max(366),
  valueDate: z.string(),
});

/** One statement: openings, balances and rates are of the same instant. */
const LEDGER = `SELECT json_build_object(
  'accounts', (SELECT coalesce(json_agg(one), '[]') FROM (
    SELECT a.id, a.product_code AS product, a.currency, a.balance_minor::text AS balance, coalesce(sum(p.amount_minor), 0)::text AS opening,
           EXISTS (SELECT FROM posting m JOIN journal_transaction k ON k.id = m.transaction_id
                    WHERE m.account_id = a.id AND k.kind NOT IN ('opening', 'interest')) AS moved
      FROM account a
      LEFT JOIN (posting p JOIN journal_transaction t ON t.id = p.transaction_id AND t.kind = 'opening') ON p.account_id = a.id
     WHERE a.kind = 'customer' GROUP BY a.id) one),
  'rates', (SELECT json_agg(one) FROM (
    SELECT code, annual_rate::text AS rate, valid_from::text AS from, valid_to::text AS to, day_count AS "dayCount" FROM product_config) one))`;

/**
 * @param kafkaUrl of a forward to the platform's Kafka
 * @throws Error when the topic cannot be read from its first event to its end
 */
export async function audit(platform: PlatformResource, kafkaUrl: string): Promise<Audit> {
  const { accounts, rates } = ledger.parse(JSON.parse(await platform.sql(LEDGER)));
  const oracle = new Oracle(
    accounts.map(({ id, product, currency, opening }) => ({ id, product, currency, balance: opening })),
    rates,
  );
  const onValue = (value: Buffer): void => {
    const found = eventIn(value);
    if (found !== undefined) oracle.apply(found);
  };
  await readTopic(kafkaAt(kafkaUrl), TOPIC, { onValue, limitMs: READ_LIMIT_MS });
  const compared = accounts.filter(({ moved }) => !moved);
  return { events: oracle.applied, accounts: compared.length, wrong: oracle.wrong(compared) };
}

/** Undefined for what is no event: the consumer sends it to the dead-letter topic. */
function eventIn(value: Buffer): InterestEvent | undefined {
  try {
    return event.parse(JSON.parse(value.toString()));
  } catch {
    return undefined;
  }
}
