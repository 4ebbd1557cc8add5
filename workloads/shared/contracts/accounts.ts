/** The contract of accounts: what the API that opens them takes and answers, and the event that follows. */
import { z } from 'zod';
import { idempotencyHeaders, forwardedHeaders } from './idempotency.ts';

/** CloudEvents type of the event, and the topic that carries it. */
export const ACCOUNT_OPENED_TYPE = 'account.opened.v1';

/** Why the ledger may refuse to open an account. */
export const ACCOUNT_REJECTIONS = ['account_exists', 'currency_not_found', 'product_not_found'] as const;

export const accountRequest = z.strictObject({
  id: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,64}$/, 'must be 1 to 64 letters, digits, ".", "_" or "-"')
    .optional()
    .describe('Default: a UUID. A request without an id needs the header Idempotency-Key'),
  currency: z.string().regex(/^[A-Z]{3}$/, 'must be an ISO 4217 code'),
  productCode: z.string().regex(/^[a-z0-9-]{1,64}$/, 'must be a product code'),
  minBalanceMinor: z
    .string()
    .regex(/^(0|-?[1-9]\d{0,17})$/, 'must be a whole number of minor units of at most 18 digits')
    .nullable()
    .optional()
    .describe('Balance less held amounts is never lower; null: no limit. Default: 0'),
});
export type AccountRequest = z.output<typeof accountRequest>;

/** Headers of a request: a key, or an id in the body. */
export const accountHeaders = idempotencyHeaders.partial();
export const forwardedAccountHeaders = forwardedHeaders.partial();

/** The answer, and the value of the event. The record's key is the account id. */
export const openedAccount = z.object({
  id: z.string(),
  currency: z.string(),
  productCode: z.string(),
  minBalanceMinor: z.string().nullable(),
  openedAt: z.iso.datetime(),
});
export type OpenedAccount = z.output<typeof openedAccount>;

/** CloudEvents attributes of the event as Kafka headers, beside the trace headers. @param id the same for every delivery */
export function accountOpenedHeaders(account: OpenedAccount, id: string, source: string): Record<string, string> {
  return {
    ce_specversion: '1.0',
    ce_type: ACCOUNT_OPENED_TYPE,
    ce_source: source,
    ce_id: id,
    ce_time: account.openedAt,
    ce_subject: account.id,
    'content-type': 'application/json',
  };
}
