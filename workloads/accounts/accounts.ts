import { randomUUID } from 'node:crypto';
import { ACCOUNT_REJECTIONS } from '../shared/contracts/accounts.ts';
import type { AccountRequest } from '../shared/contracts/accounts.ts';
import { PROBLEMS as IDEMPOTENCY } from '../shared/contracts/idempotency.ts';
import { accountView, PROBLEMS as LEDGER } from '../shared/contracts/ledger.ts';
import type { Metrics } from '../shared/kernel/metrics.ts';
import { isTransient } from '../shared/kernel/postgres.ts';
import { Problem, PROBLEMS } from '../shared/kernel/problems.ts';
import type { ServiceClient } from '../shared/kernel/service-client.ts';
import { sampledTraceparent } from '../shared/kernel/telemetry.ts';
import type { AccountStore, NewAccount, RequestedAccount } from './store.ts';

const ERROR_TYPES: ReadonlySet<string> = new Set([...ACCOUNT_REJECTIONS, 'ledger_unavailable', 'database_unavailable', 'internal']);

export type AccountMetrics = ReturnType<typeof accountMetrics>;

export function accountMetrics(metrics: Metrics) {
  const errors = metrics.counter(
    'account_creation_errors_total',
    'Accounts that the ledger refused to open, and attempts that did not open an account',
    ['error_type'],
    [...ERROR_TYPES].map((type) => ({ error_type: type })),
  );
  return {
    created: metrics.counter('accounts_created_total', 'Accounts opened', [], [{}]),
    /** An unknown type counts as `internal`. */
    failed: (errorType: string): void => errors.inc({ error_type: ERROR_TYPES.has(errorType) ? errorType : 'internal' }),
  };
}

/** An ended request, and whether an earlier one had asked for the account. */
export interface Answered {
  request: RequestedAccount;
  replayed: boolean;
}

/** Opens accounts in the ledger, each once for the key of its request, or for its id. Every step may be repeated: the ledger opens an account once. */
export class Accounts {
  readonly #store: AccountStore;
  readonly #ledger: Pick<ServiceClient, 'post'>;
  readonly #metrics: AccountMetrics;

  constructor(store: AccountStore, ledger: Pick<ServiceClient, 'post'>, metrics: AccountMetrics) {
    this.#store = store;
    this.#ledger = ledger;
    this.#metrics = metrics;
  }

  /** @throws Problem `idempotency_key_reused`, `account_exists`, or `ledger_unavailable`, after which the request is resumed */
  async open({ id, minBalanceMinor = '0', ...rest }: AccountRequest, client: string, key: string | undefined): Promise<Answered> {
    const wanted: NewAccount = { ...rest, id: randomUUID(), client, key, accountId: id ?? randomUUID(), minBalanceMinor };
    const { request, made, byKey } = await this.#store.accept(wanted);
    if (!made && !isSame(request, wanted, id)) {
      if (byKey) throw new Problem(IDEMPOTENCY.idempotency_key_reused, 'Use another idempotency key for another account.');
      this.#metrics.failed('account_exists');
      throw new Problem(LEDGER.account_exists, `Account ${request.accountId} exists, with another content.`);
    }
    return { request: request.status === 'requested' ? await this.execute(request) : request, replayed: !made };
  }

  /** Opens the account of a request, and ends the request. @throws when the outcome is unknown */
  async execute(request: RequestedAccount): Promise<RequestedAccount> {
    try {
      const { request: now, ended } = await this.#executed(request);
      if (ended && now.status === 'opened') this.#metrics.created.inc();
      if (ended && now.problem) this.#metrics.failed(now.problem.code);
      return now;
    } catch (error) {
      this.#metrics.failed(codeOf(error));
      throw error;
    }
  }

  async #executed({ id, accountId, currency, productCode, minBalanceMinor }: RequestedAccount) {
    const body = { id: accountId, kind: 'customer', currency, productCode, minBalanceMinor };
    try {
      await this.#ledger.post({ path: '/api/v1/accounts' }, body, accountView, { idempotent: true });
    } catch (error) {
      if (error instanceof Problem && error.status < 500) return this.#store.rejected(id, error.body());
      throw error;
    }
    return this.#store.opened(id, sampledTraceparent());
  }
}

/** Same content. Without an id in the body, that of the account was generated for the first request. */
function isSame(known: RequestedAccount, wanted: NewAccount, id: string | undefined): boolean {
  return (
    (id === undefined || known.accountId === id) &&
    known.currency === wanted.currency &&
    known.productCode === wanted.productCode &&
    known.minBalanceMinor === wanted.minBalanceMinor
  );
}

function codeOf(error: unknown): string {
  if (error instanceof Problem) return error.code;
  return isTransient(error) ? PROBLEMS.database_unavailable.code : PROBLEMS.internal.code;
}
