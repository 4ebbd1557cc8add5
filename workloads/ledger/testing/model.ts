/**
 * The rules of the ledger a second time, as an oracle for random runs: one operation after another, on immutable state in memory. An operation
 * is tried on a copy, and the copy is kept when every rule holds. It shares the types of operations with the engine, and nothing else. Pure.
 */
import type { ErrorType } from '../../shared/contracts/ledger.ts';
import type { Operation } from '../operations.ts';

const MOST = 8_000_000_000_000_000_000n;

export interface ModelAccount {
  readonly currency: string;
  /** Least balance less held amounts, or undefined. */
  readonly limit: bigint | undefined;
  readonly closed: boolean;
  /** Every posting, in order. */
  readonly postings: readonly { transaction: string; amount: bigint }[];
  readonly held: bigint;
}

export interface ModelHold {
  readonly account: string;
  readonly currency: string;
  readonly amount: bigint;
  /** A hold that has expired is pending until it is swept. */
  readonly state: 'pending' | 'settled' | 'voided' | 'expired';
  readonly overdue: boolean;
}

export interface ModelTransaction {
  readonly currency: string;
  readonly type: Operation['type'];
  readonly lines: Operation['lines'];
}

export type ModelOutcome = { id: string; replayed: boolean } | ErrorType;

export const balanceOf = ({ postings }: ModelAccount): bigint => postings.reduce((sum, { amount }) => sum + amount, 0n);

export class Model {
  accounts = new Map<string, ModelAccount>();
  readonly holds = new Map<string, ModelHold>();
  readonly transactions = new Map<string, ModelTransaction>();
  readonly #reversed = new Set<string>();
  readonly #keys = new Map<string, { id: string; hash: string | undefined }>();

  open(id: string, currency: string, limit: bigint | undefined): void {
    this.accounts.set(id, { currency, limit, closed: false, postings: [], held: 0n });
  }

  /** @returns whether the account is closed afterwards */
  close(id: string): boolean {
    const account = this.#account(id);
    const closable = balanceOf(account) === 0n && account.held === 0n;
    if (closable) this.accounts.set(id, { ...account, closed: true });
    return account.closed || closable;
  }

  /** Ends the pending holds that are overdue. @returns how many */
  sweep(): number {
    const due = [...this.holds].filter(([, { state, overdue }]) => state === 'pending' && overdue);
    for (const [id, hold] of due) this.#end(id, hold, 'expired');
    return due.length;
  }

  apply(operation: Operation): ModelOutcome {
    const key = operation.externalId && `${operation.type === 'hold' ? 'hold' : 'transaction'} ${operation.externalId}`;
    const known = key === undefined ? undefined : this.#keys.get(key);
    if (known) return known.hash === operation.hash ? { id: known.id, replayed: known.id !== operation.id } : 'duplicate';
    const ended = operation.type === 'void' ? this.holds.get(operation.target ?? '') : undefined;
    if (ended?.state === 'voided') return { id: operation.target ?? '', replayed: true };
    const after = this.#targetError(operation) ?? this.#after(operation);
    if (typeof after === 'string') return after;
    this.accounts = after;
    this.#record(operation);
    if (key !== undefined) this.#keys.set(key, { id: operation.id, hash: operation.hash });
    return { id: operation.type === 'void' ? (operation.target ?? '') : operation.id, replayed: false };
  }

  #account(id: string): ModelAccount {
    const account = this.accounts.get(id);
    if (!account) throw new Error(`the model has no account ${id}`);
    return account;
  }

  #end(id: string, hold: ModelHold, state: ModelHold['state']): void {
    const account = this.#account(hold.account);
    this.accounts.set(hold.account, { ...account, held: account.held - hold.amount });
    this.holds.set(id, { ...hold, state });
  }

  #targetError({ type, target = '' }: Operation): ErrorType | undefined {
    if (type === 'reverse') return this.#reversed.has(target) ? 'already_reversed' : undefined;
    if (type !== 'settle' && type !== 'void') return undefined;
    const hold = this.holds.get(target);
    if (!hold) return 'hold_not_found';
    if (hold.state === 'expired' || (hold.state === 'pending' && hold.overdue)) return 'hold_expired';
    return hold.state === 'pending' ? undefined : 'hold_not_pending';
  }

  /** The accounts after the operation, or the first rule that it breaks. */
  #after({ id, currency, held, lines }: Operation): Map<string, ModelAccount> | ErrorType {
    const copy = new Map(this.accounts);
    const touched = [...(held ? [held.accountId] : []), ...lines.map(({ accountId }) => accountId)];
    for (const accountId of touched) {
      const account = copy.get(accountId);
      if (!account) return 'account_not_found';
      if (account.closed) return 'account_closed';
      if (account.currency !== currency) return 'currency_mismatch';
    }
    const change = (accountId: string, next: (account: ModelAccount) => Partial<ModelAccount>): ModelAccount => {
      const account = copy.get(accountId);
      if (!account) throw new Error(accountId);
      const changed = { ...account, ...next(account) };
      copy.set(accountId, changed);
      return changed;
    };
    if (held && change(held.accountId, (account) => ({ held: account.held + held.changeMinor })).held > MOST) return 'balance_out_of_range';
    for (const { accountId, amountMinor } of lines) {
      const moved = change(accountId, ({ postings }) => ({ postings: [...postings, { transaction: id, amount: amountMinor }] }));
      const balance = balanceOf(moved);
      if (balance > MOST || balance < -MOST) return 'balance_out_of_range';
    }
    const short = touched.some((accountId) => {
      const { limit, held: reserved, ...rest } = copy.get(accountId) as ModelAccount;
      return limit !== undefined && balanceOf({ limit, held: reserved, ...rest }) - reserved < limit;
    });
    return short ? 'insufficient_funds' : copy;
  }

  #record({ type, id, currency, lines, held, target = '', expiresAt }: Operation): void {
    if (lines.length > 0) this.transactions.set(id, { currency, type, lines });
    if (type === 'reverse') this.#reversed.add(target);
    if (type === 'hold' && held) {
      const overdue = expiresAt !== undefined && Date.parse(expiresAt) <= Date.now();
      this.holds.set(id, { account: held.accountId, currency, amount: held.changeMinor, state: 'pending', overdue });
    }
    const ended = this.holds.get(target);
    if (ended && type === 'settle') this.holds.set(target, { ...ended, state: 'settled' });
    if (ended && type === 'void') this.holds.set(target, { ...ended, state: 'voided' });
  }
}
