import { z } from 'zod';
import { ROLES } from '../shared/databases/index.ts';
import { adminDatabaseEnv, count, loadConfig } from '../shared/kernel/config.ts';
import { isTransient } from '../shared/kernel/postgres.ts';
import { retryPolicy } from '../shared/kernel/retry.ts';
import { runJob } from '../shared/kernel/service.ts';
import { migrate } from './migrate.ts';
import { loginNames, type Login } from './roles.ts';

/** Retries for about two minutes while the server starts. */
const ATTEMPTS = 30;
const password = z.string({ error: 'set it from the Secret of the platform' }).min(1);

/** Variable of a login's password: LEDGER_PASSWORD for login "ledger", LEDGER_B_PASSWORD for "ledger_b". */
const variableOf = (login: string): string => `${login.toUpperCase().replaceAll('-', '_')}_PASSWORD`;

const env = {
  ...adminDatabaseEnv,
  PGPASSWORD_FORMER: password.optional(),
  EXPORTER_PASSWORD: password.optional(),
  POOLERS: z.string().regex(/^[^\s:]+:\d+$/, 'write host:port of all PgBouncers, such as pgbouncer-headless:6432'),
  SEED_ACCOUNTS: count(0, 1_000_000, 0),
};
/** A role needs at least one login; a login without a password is locked. */
const passwordsEnv = Object.fromEntries(ROLES.flatMap(loginNames).map((login) => [variableOf(login), password.optional()]));

await runJob('migrate', env, async ({ config, log }) => {
  const passwords = loadConfig(passwordsEnv);
  const logins = (role: string): Login[] =>
    loginNames(role).flatMap((name) => {
      const given = passwords[variableOf(name)];
      return given === undefined ? [] : [{ name, password: given }];
    });
  const [host = '', port] = config.POOLERS.split(':');
  const options = {
    adminUrl: config.DATABASE_ADMIN_URL,
    adminPassword: config.PGPASSWORD,
    formerAdminPassword: config.PGPASSWORD_FORMER,
    logins: Object.fromEntries(ROLES.map((role) => [role, logins(role)])),
    exporterPassword: config.EXPORTER_PASSWORD,
    poolers: { host, port: Number(port) },
    seedAccounts: config.SEED_ACCOUNTS,
  };
  const policy = retryPolicy({ log, what: 'migrate', retryable: isTransient, attempts: ATTEMPTS });
  await policy.execute(() => migrate(options, log));
});
