/** Why a record cannot be applied. The codes are public: consumers of the dead-letter topic read them. Documented in docs/events.md, which a test compares. */
export const REJECTIONS = {
  empty: 'The record has no value',
  not_json: 'The value is not JSON text',
  not_an_event: 'A field of the event is missing or wrong',
  key_mismatch: "The record key is not the account id, so the order of the account's events is not kept",
  unknown_account: 'The ledger has no customer account with this id',
  wrong_currency: 'The event is not in the currency of the account',
  no_active_rate: 'The product of the account has no rate in force on the value date',
  refused_by_database: 'The database refused the values of this event alone, three times',
} as const;

export type RejectionCode = keyof typeof REJECTIONS;

/** All codes. */
export const rejectionCodes = Object.keys(REJECTIONS);

/** A reason with what exactly was found. */
export interface Rejection {
  code: RejectionCode;
  detail: string;
}
