/** Requests of the API as operations of the engine. Pure. */
import { createHash, randomUUIDv7 } from 'node:crypto';
import type { ErrorType, PlaceHold, PostTransaction, ReverseTransaction, SettleHold } from '../shared/contracts/ledger.ts';

/** One amount on one account, in minor units; the lines of an operation sum to zero. */
export interface Line {
  readonly accountId: string;
  readonly amountMinor: bigint;
}

/** Change of an account's held amount: above 0 for a new hold, below 0 for one that ends. */
export interface Held {
  readonly accountId: string;
  readonly changeMinor: bigint;
}

/** What the engine applies: lines of the journal, a hold, or both. */
export interface Operation {
  readonly type: 'post' | 'hold' | 'settle' | 'void' | 'reverse';
  /** Of the transaction or hold that it makes. */
  readonly id: string;
  /** Unique among transactions, or among holds; none for `void`, which is idempotent by the state of the hold. */
  readonly externalId?: string;
  /** Hexadecimal, 16 bytes of the request's content. */
  readonly hash?: string;
  readonly currency: string;
  /** ISO date, of operations with lines. */
  readonly valueDate?: string;
  /** The hold that ends, or the transaction that is reversed. */
  readonly target?: string;
  readonly held?: Held;
  readonly expiresAt?: string;
  readonly lines: readonly Line[];
}

/** What became of an operation. */
export type Outcome =
  | { readonly id: string; readonly replayed: boolean; readonly errorType?: undefined }
  | { readonly errorType: ErrorType; readonly detail: string };

/** An operation that is invalid whatever the database holds. */
export class InvalidOperation extends Error {
  override readonly name = 'InvalidOperation';
  readonly errorType: ErrorType;

  constructor(errorType: ErrorType, detail: string) {
    super(detail);
    this.errorType = errorType;
  }
}

/** A hold as far as it never changes. */
export interface FixedHold {
  readonly id: string;
  readonly accountId: string;
  readonly currency: string;
  readonly amountMinor: bigint;
}

/** A transaction of the journal. */
export interface JournalTransaction {
  readonly id: string;
  readonly kind: string;
  readonly currency: string;
  readonly lines: readonly Line[];
}

/** Today in UTC, as the ISO date of a request without one. */
const today = (): string => new Date().toISOString().slice(0, 10);

/** Of the request as it was sent: a default that depends on the day would make a repetition another request. */
function contentHash(...content: readonly (string | undefined)[]): string {
  return createHash('sha256').update(JSON.stringify(content)).digest('hex').slice(0, 32);
}

/** @throws InvalidOperation when the postings do not sum to zero */
export function postOperation({ externalId, currency, valueDate, postings }: PostTransaction): Operation {
  const lines = postings.map(({ accountId, amountMinor }) => ({ accountId, amountMinor: BigInt(amountMinor) }));
  const sum = lines.reduce((total, { amountMinor }) => total + amountMinor, 0n);
  if (sum !== 0n) throw new InvalidOperation('unbalanced', `The postings sum to ${sum}.`);
  const content = postings.flatMap(({ accountId, amountMinor }) => [accountId, amountMinor]);
  const hash = contentHash('post', currency, valueDate, ...content);
  return { type: 'post', id: randomUUIDv7(), externalId, hash, currency, valueDate: valueDate ?? today(), lines };
}

export function holdOperation({ externalId, accountId, currency, amountMinor, expiresAt }: PlaceHold): Operation {
  const hash = contentHash('hold', accountId, currency, amountMinor, expiresAt);
  const held = { accountId, changeMinor: BigInt(amountMinor) };
  const base = { type: 'hold', id: randomUUIDv7(), externalId, hash, currency, held, lines: [] } as const;
  return expiresAt === undefined ? base : { ...base, expiresAt };
}

/** Moves the amount of a hold, or a part of it, and releases the rest. @throws InvalidOperation when the amount exceeds the hold */
export function settleOperation({ externalId, toAccountId, amountMinor, valueDate }: SettleHold, hold: FixedHold): Operation {
  const amount = amountMinor === undefined ? hold.amountMinor : BigInt(amountMinor);
  if (amount > hold.amountMinor) throw new InvalidOperation('hold_exceeded', `Hold ${hold.id} is for ${hold.amountMinor}.`);
  return {
    type: 'settle',
    id: randomUUIDv7(),
    externalId,
    hash: contentHash('settle', hold.id, toAccountId, amountMinor, valueDate),
    currency: hold.currency,
    valueDate: valueDate ?? today(),
    target: hold.id,
    held: { accountId: hold.accountId, changeMinor: -hold.amountMinor },
    lines: [
      { accountId: hold.accountId, amountMinor: -amount },
      { accountId: toAccountId, amountMinor: amount },
    ],
  };
}

export function voidOperation(hold: FixedHold): Operation {
  const held = { accountId: hold.accountId, changeMinor: -hold.amountMinor };
  return { type: 'void', id: randomUUIDv7(), currency: hold.currency, target: hold.id, held, lines: [] };
}

/** The same lines with the opposite sign. @throws InvalidOperation when the transaction is a reversal, or has no postings */
export function reverseOperation(
  { externalId, valueDate }: ReverseTransaction,
  { id, kind, currency, lines }: JournalTransaction,
): Operation {
  if (kind === 'reversal') throw new InvalidOperation('not_reversible', `Transaction ${id} is a reversal.`);
  if (lines.length === 0) throw new InvalidOperation('not_reversible', `Transaction ${id} has no postings.`);
  return {
    type: 'reverse',
    id: randomUUIDv7(),
    externalId,
    hash: contentHash('reverse', id, valueDate),
    currency,
    valueDate: valueDate ?? today(),
    target: id,
    lines: lines.map(({ accountId, amountMinor }) => ({ accountId, amountMinor: -amountMinor })),
  };
}
