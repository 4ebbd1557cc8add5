/** The accounts and transfers that payments need, at the services that have them. */
import { z } from 'zod';
import { ACCOUNT_REJECTIONS, openedAccount } from '../../shared/contracts/accounts.ts';
import { CLIENT_HEADER, SERVICE_CLIENT } from '../../shared/contracts/idempotency.ts';
import { completedTransfer, PROBLEMS as TRANSFERS, TRANSFER_REJECTIONS } from '../../shared/contracts/transfers.ts';
import { PROBLEMS as UNAVAILABLE } from '../../shared/contracts/unavailable.ts';
import { generatedKey } from '../../shared/kernel/auth/config.ts';
import { ConfigError } from '../../shared/kernel/config.ts';
import type { Logger } from '../../shared/kernel/log.ts';
import type { Metrics } from '../../shared/kernel/metrics.ts';
import { Problem } from '../../shared/kernel/problems.ts';
import { ServiceClient } from '../../shared/kernel/service-client.ts';

/** Whose idempotency keys those of payments are. The orchestrator never forgets them. */
export const PAYMENT_CLIENT = `${SERVICE_CLIENT}crm`;
/** Product of the accounts at the ledger. */
const PRODUCT = 'current';

const serviceUrl = (name: string) => z.url({ protocol: /^https?$/, error: `write the address of ${name}, such as http://${name}:8080` });

/** All of them, or none: without them no payment can be processed. */
export const paymentEnv = {
  ORCHESTRATOR_URL: serviceUrl('orchestrator').optional(),
  /** The key of this service for the orchestrator. */
  ORCHESTRATOR_API_KEY: generatedKey.optional(),
  ACCOUNTS_URL: serviceUrl('accounts').optional(),
  ACCOUNTS_API_KEY: generatedKey.optional(),
};

/** The account of a customer at the ledger. */
export const customerAccount = (customerId: string): string => `crm-${customerId}`;
/** The account that receives payments. */
export const receiptsAccount = (currency: string): string => `crm-receipts-${currency}`;

export interface Transfer {
  /** Idempotency key. */
  key: string;
  fromAccount: string;
  toAccount: string;
  amountMinor: string;
  currency: string;
}

/** What became of a transfer. A rejection is final, like a completion. */
export type TransferOutcome = { transferId: string } | { errorType: string };

const REJECTIONS: ReadonlySet<string> = new Set([...TRANSFER_REJECTIONS, TRANSFERS.same_account.code]);
const REFUSALS: ReadonlySet<string> = new Set(ACCOUNT_REJECTIONS);

/** Makes transfers and opens accounts. Every call may be repeated: it has one effect. */
export class Transfers {
  readonly #orchestrator: Pick<ServiceClient, 'post'>;
  readonly #accounts: Pick<ServiceClient, 'post'>;
  /** Accounts that this process knows to be open. */
  readonly #open = new Set<string>();

  constructor(orchestrator: Pick<ServiceClient, 'post'>, accounts: Pick<ServiceClient, 'post'>) {
    this.#orchestrator = orchestrator;
    this.#accounts = accounts;
  }

  /**
   * Opens an account, unless it is open.
   * @returns why the ledger refuses to, such as `currency_not_found`; undefined when it is open
   * @throws Problem when the outcome is unknown
   */
  async open(id: string, currency: string): Promise<string | undefined> {
    if (this.#open.has(id)) return undefined;
    try {
      const account = { id, currency, productCode: PRODUCT };
      const headers = { [CLIENT_HEADER]: PAYMENT_CLIENT };
      await this.#accounts.post({ path: '/api/v1/accounts' }, account, openedAccount, { idempotent: true, headers });
    } catch (error) {
      if (error instanceof Problem && REFUSALS.has(error.code)) return error.code;
      throw error;
    }
    if (id.startsWith('crm-receipts-')) this.#open.add(id);
    return undefined;
  }

  /** @throws Problem when the outcome is unknown */
  async transfer({ key, ...transfer }: Transfer): Promise<TransferOutcome> {
    const headers = { 'idempotency-key': key, [CLIENT_HEADER]: PAYMENT_CLIENT };
    try {
      const { body } = await this.#orchestrator.post({ path: '/api/v1/transfers' }, transfer, completedTransfer, {
        idempotent: true,
        headers,
      });
      return { transferId: body.transferId };
    } catch (error) {
      // Any other problem says that it is in progress, or that the request is wrong: neither ends the transfer.
      if (error instanceof Problem && REJECTIONS.has(error.code)) return { errorType: error.code };
      throw error;
    }
  }
}

type PaymentConfig = z.output<z.ZodObject<typeof paymentEnv>>;

/** Undefined without the services. @throws ConfigError when some variables are set and others are not */
export function openTransfers(config: PaymentConfig, log: Logger, metrics: Metrics): Transfers | undefined {
  const { ORCHESTRATOR_URL, ORCHESTRATOR_API_KEY, ACCOUNTS_URL, ACCOUNTS_API_KEY } = config;
  if (ORCHESTRATOR_URL && ORCHESTRATOR_API_KEY && ACCOUNTS_URL && ACCOUNTS_API_KEY) {
    const { orchestrator_unavailable, accounts_unavailable } = UNAVAILABLE;
    const orchestrator = {
      name: 'orchestrator',
      url: ORCHESTRATOR_URL,
      apiKey: ORCHESTRATOR_API_KEY,
      unavailable: orchestrator_unavailable,
    };
    const accounts = { name: 'accounts', url: ACCOUNTS_URL, apiKey: ACCOUNTS_API_KEY, unavailable: accounts_unavailable };
    return new Transfers(new ServiceClient(orchestrator, log, metrics), new ServiceClient(accounts, log, metrics));
  }
  const names = ['ORCHESTRATOR_URL', 'ORCHESTRATOR_API_KEY', 'ACCOUNTS_URL', 'ACCOUNTS_API_KEY'] as const;
  const missing = names.filter((name) => config[name] === undefined);
  if (missing.length === names.length) return undefined;
  throw new ConfigError(
    `The configuration is invalid:\n  ${missing.join(', ')} missing: payments need all of ${names.join(', ')}, or none`,
  );
}
