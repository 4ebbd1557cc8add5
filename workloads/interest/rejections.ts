/** Why the interest consumer rejects an event, beyond the reasons of every consumer. docs/events.md documents them, and a test compares. */
export const REJECTIONS = {
  unknown_account: 'The ledger has no customer account with this id',
  wrong_currency: 'The event is not in the currency of the account',
  no_active_rate: 'The product of the account has no rate in force on the value date',
} as const;

export type InterestRejection = keyof typeof REJECTIONS;
