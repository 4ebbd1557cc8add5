/** Topics and consumer groups that belong to the platform itself. */
export const INTEREST_TOPIC = 'interest.transaction.v1';
export const INTEREST_DLQ_TOPIC = 'interest.transaction.v1.dlq';
export const INTEREST_GROUP = 'interest-batch';

/** They exist in every platform; `spec.topics` can change their settings. */
export const OWN_TOPICS = [
  { name: INTEREST_TOPIC, partitions: 12 },
  { name: INTEREST_DLQ_TOPIC, partitions: 1, retention: '30d' },
];
