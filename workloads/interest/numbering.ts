/** Places of postings in the sequences of their accounts. Pure. */
import type { InterestEntry } from './calculate.ts';

/** The end of an account's postings: how many it has, and its balance in minor units. */
export interface AccountEnd {
  postings: number;
  balanceMinor: bigint;
}

/** Place and balance after the posting, on the customer's account and on the contra account; zeros for interest of zero, which has no postings. */
export interface NumberedEntry {
  readonly seq: number;
  readonly balanceMinor: bigint;
  readonly contraSeq: number;
  readonly contraBalanceMinor: bigint;
}

const UNPOSTED: NumberedEntry = { seq: 0, balanceMinor: 0n, contraSeq: 0, contraBalanceMinor: 0n };

/** Numbers the postings of entries in their order, and moves the ends. An account that does not exist begins empty: the database refuses it. */
export function numberPostings(entries: readonly InterestEntry[], ends: Map<string, AccountEnd>): NumberedEntry[] {
  const endOf = (id: string): AccountEnd => {
    const known = ends.get(id) ?? { postings: 0, balanceMinor: 0n };
    ends.set(id, known);
    return known;
  };
  return entries.map(({ event, contraId, amountMinor }) => {
    if (amountMinor === 0n) return UNPOSTED;
    const [own, contra] = [endOf(event.accountId), endOf(contraId)];
    own.postings += 1;
    own.balanceMinor += amountMinor;
    contra.postings += 1;
    contra.balanceMinor -= amountMinor;
    return { seq: own.postings, balanceMinor: own.balanceMinor, contraSeq: contra.postings, contraBalanceMinor: contra.balanceMinor };
  });
}
