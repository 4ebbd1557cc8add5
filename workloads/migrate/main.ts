import { z } from 'zod';
import { adminDatabaseEnv, count } from '../shared/kernel/config.ts';
import { isTransient } from '../shared/kernel/postgres.ts';
import { retryPolicy } from '../shared/kernel/retry.ts';
import { runJob } from '../shared/kernel/service.ts';
import { migrate } from './migrate.ts';
import { loginNames, type Login } from './roles.ts';

/** Retries for about two minutes while the server starts. */
const ATTEMPTS = 30;
const password = z.string({ error: 'set it from the Secret of the platform' }).min(1);

const env = {
  ...adminDatabaseEnv,
  PGPASSWORD_FORMER: password.optional(),
  // Each role needs at least one login; a login without a password is locked.
  LEDGER_PASSWORD: password.optional(),
  LEDGER_B_PASSWORD: password.optional(),
  INTEREST_PASSWORD: password.optional(),
  INTEREST_B_PASSWORD: password.optional(),
  POOLERS: z.string().regex(/^[^\s:]+:\d+$/, 'write host:port of all PgBouncers, such as pgbouncer-headless:6432'),
  SEED_ACCOUNTS: count(0, 1_000_000, 0),
};

/** @param passwords of the role's logins, in their order */
function logins(role: string, ...passwords: (string | undefined)[]): Login[] {
  return loginNames(role).flatMap((name, index) => {
    const given = passwords[index];
    return given === undefined ? [] : [{ name, password: given }];
  });
}

await runJob('migrate', env, async ({ config, log }) => {
  const options = {
    adminUrl: config.DATABASE_ADMIN_URL,
    adminPassword: config.PGPASSWORD,
    formerAdminPassword: config.PGPASSWORD_FORMER,
    logins: {
      ledger: logins('ledger', config.LEDGER_PASSWORD, config.LEDGER_B_PASSWORD),
      interest: logins('interest', config.INTEREST_PASSWORD, config.INTEREST_B_PASSWORD),
    },
    poolers: { host: config.POOLERS.split(':')[0] ?? '', port: Number(config.POOLERS.split(':')[1]) },
    seedAccounts: config.SEED_ACCOUNTS,
  };
  const policy = retryPolicy({ log, what: 'migrate', retryable: isTransient, attempts: ATTEMPTS });
  await policy.execute(() => migrate(options, log));
});
