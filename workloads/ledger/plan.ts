/** A batch of operations as the parameters of `apply_operations` (migration 008). Pure. */
import type { ErrorType } from '../shared/contracts/ledger.ts';
import { postgresTime } from '../shared/kernel/moment.ts';
import type { Operation, Outcome } from './operations.ts';

/** One row of the function's result. */
export interface ResultRow {
  id: string | null;
  replayed: boolean;
  error_type: ErrorType | null;
  account_id: string | null;
}

/** Positions as Postgres counts them, from 1. */
function positions(values: Iterable<string>): Map<string, number> {
  const found = new Map<string, number>();
  for (const value of values) found.set(value, found.size + 1);
  return found;
}

/** For each key, the position of its first occurrence; its own without a key. */
function firstOf(keys: readonly (string | undefined)[]): number[] {
  const first = new Map<string, number>();
  return keys.map((key, index) => {
    if (key === undefined) return index + 1;
    const known = first.get(key);
    if (known === undefined) first.set(key, index + 1);
    return known ?? index + 1;
  });
}

/** Account ids once, in the order in which the database locks them: its column has COLLATE "C", and ids are ASCII. */
export function accountsOf(operations: readonly Operation[]): string[] {
  const ids = new Set<string>();
  for (const { lines, held } of operations) {
    if (held) ids.add(held.accountId);
    for (const { accountId } of lines) ids.add(accountId);
  }
  return [...ids].toSorted((one, other) => (one < other ? -1 : 1));
}

const isHold = ({ type }: Operation): boolean => type === 'hold';
const externalOf = (operation: Operation): string | undefined =>
  operation.externalId === undefined ? undefined : `${isHold(operation) ? 'h' : 't'}:${operation.externalId}`;

/** The parameters, in order. */
export function plan(operations: readonly Operation[]): unknown[] {
  const accounts = accountsOf(operations);
  const at = positions(accounts);
  const lines = operations.flatMap((operation, index) => operation.lines.map((line) => ({ ...line, operation: index + 1 })));
  const column = <T>(value: (operation: Operation) => T | undefined): (T | null)[] => operations.map((one) => value(one) ?? null);
  return [
    accounts,
    column(({ type }) => type),
    column(({ id }) => id),
    column((one) => (isHold(one) ? undefined : one.externalId)),
    column((one) => (isHold(one) ? one.externalId : undefined)),
    column(({ hash }) => hash),
    firstOf(operations.map(externalOf)),
    column(({ currency }) => currency),
    column(({ valueDate }) => valueDate),
    column(({ target }) => target),
    firstOf(operations.map(({ target }) => target)),
    column(({ held }) => held && at.get(held.accountId)),
    operations.map(({ held }) => String(held?.changeMinor ?? 0n)),
    column(({ expiresAt }) => expiresAt && postgresTime(expiresAt)),
    lines.map(({ operation }) => operation),
    lines.map(({ accountId }) => at.get(accountId)),
    lines.map(({ amountMinor }) => amountMinor.toString()),
  ];
}

/** What a rejection means for the caller. */
function detailOf(errorType: ErrorType, { externalId, target, currency }: Operation, accountId: string | null): string {
  switch (errorType) {
    case 'account_not_found':
      return `There is no account ${accountId}.`;
    case 'account_closed':
      return `Account ${accountId} is closed.`;
    case 'currency_mismatch':
      return `Account ${accountId} is not in ${currency}.`;
    case 'insufficient_funds':
      return `Account ${accountId} has not enough available funds.`;
    case 'balance_out_of_range':
      return `The balance of account ${accountId} would leave the range of the ledger.`;
    case 'duplicate':
      return `External id ${externalId} belongs to a request with another content.`;
    case 'already_reversed':
      return `Transaction ${target} is reversed.`;
    case 'hold_expired':
      return `Hold ${target} has expired.`;
    case 'hold_not_pending':
      return `Hold ${target} is not pending.`;
    case 'hold_not_found':
      return `There is no hold ${target}.`;
    case 'transaction_not_found':
    case 'not_reversible':
    case 'unbalanced':
    case 'hold_exceeded':
      throw new Error(`the database does not decide ${errorType}`);
  }
}

/** A row of the function's result as the outcome of its operation. @throws Error when the row has neither an id nor an error */
export function outcomeOf(operation: Operation, row: ResultRow | undefined): Outcome {
  if (row?.error_type) return { errorType: row.error_type, detail: detailOf(row.error_type, operation, row.account_id) };
  if (row?.id == null) throw new Error(`the database returned no result for ${operation.type} ${operation.id}`);
  return { id: row.id, replayed: row.replayed };
}
