import { defineProblems } from '../shared/kernel/problems.ts';

/** Problems that only the gateway answers with. */
export const PROBLEMS = defineProblems({
  seed_not_enabled: { status: 404, title: 'Seeding is not enabled on this platform' },
  no_accounts: { status: 409, title: 'There are no customer accounts to seed events for' },
  kafka_unavailable: { status: 503, title: 'Kafka does not accept events' },
});
