import { LEDGER_ENTRY_TYPE, ledgerEntry } from '../shared/contracts/ledger-entry.ts';
import type { LedgerEntry } from '../shared/contracts/ledger-entry.ts';
import { databaseEnv, kafkaEnv, topicName } from '../shared/kernel/config.ts';
import { jsonDecoder } from '../shared/kernel/consumer/decode.ts';
import { consumerEnv } from '../shared/kernel/consumer/settings.ts';

/** A fetch returns as soon as there is an entry; what waits is taken in large transactions. */
const BATCHING = { maxRecords: 5_000, minBytes: 1, maxWaitMs: 100 };

/** Variables of the service and of the rebuild job. */
export const projectionEnv = {
  ...kafkaEnv,
  ...databaseEnv,
  ...consumerEnv('READ_MODEL', BATCHING),
  READ_MODEL_TOPIC: topicName.default(LEDGER_ENTRY_TYPE),
  READ_MODEL_GROUP: topicName.default('read-model'),
  READ_MODEL_DLQ_TOPIC: topicName.default(`${LEDGER_ENTRY_TYPE}.dlq`),
};

export const decodeEntry = jsonDecoder(ledgerEntry, ({ accountId }) => accountId);

const TRANSFER = /^transfer:(.+)$/;

/** Ids of an entry for logs and spans. */
export function idsOf({ entryId, accountId, externalId }: LedgerEntry): Record<string, string> {
  const transferId = TRANSFER.exec(externalId ?? '')?.[1];
  return { entry_id: entryId, account_id: accountId, ...(transferId === undefined ? {} : { transfer_id: transferId }) };
}
