import { z } from 'zod';
import { adminDatabaseEnv, count } from '../src/kernel/config.ts';
import { retrying } from '../src/kernel/postgres.ts';
import { runService } from '../src/kernel/service.ts';
import { migrate } from './migrate.ts';

/** About two minutes of waiting for a server that is still starting. */
const ATTEMPTS = 30;
const password = z.string({ error: 'set it from the Secret of the platform' }).min(1);

const env = {
  ...adminDatabaseEnv,
  LEDGER_PASSWORD: password,
  INTEREST_PASSWORD: password,
  SEED_ACCOUNTS: count(0, 1_000_000, 0),
};

await runService('migrate', env, async ({ config, log }) => {
  const options = {
    adminUrl: config.DATABASE_ADMIN_URL,
    adminPassword: config.PGPASSWORD,
    ledgerPassword: config.LEDGER_PASSWORD,
    interestPassword: config.INTEREST_PASSWORD,
    seedAccounts: config.SEED_ACCOUNTS,
  };
  await retrying(log, ATTEMPTS).execute(() => migrate(options, log));
  return 'done';
});
