/** A job that fills the database of crm with generated customers of a telecom. It can run repeatedly: it adds what is missing. */
import { z } from 'zod';
import { count, databaseEnv } from '../shared/kernel/config.ts';
import { isTransient, openPostgres } from '../shared/kernel/postgres.ts';
import { retryPolicy } from '../shared/kernel/retry.ts';
import { runJob } from '../shared/kernel/service.ts';
import { fill, monthOf } from './seed/fill.ts';

/** Retries for about two minutes. */
const ATTEMPTS = 30;

const env = {
  ...databaseEnv,
  SEED_CUSTOMERS: count(1, 1_000_000, 100_000),
  /** What is random follows from it. */
  SEED_NUMBER: count(0, 1_000_000, 1),
  /** The first day of the month after the last invoices; default: this month. */
  SEED_UNTIL: z
    .string()
    .regex(/^\d{4}-(0[1-9]|1[0-2])-01$/, 'write the first day of a month, such as 2026-01-01')
    .optional(),
};

await runJob('crm-seed', env, async (service) => {
  const { config, log } = service;
  const database = openPostgres(service, config, 'crm-seed');
  const seed = { customers: config.SEED_CUSTOMERS, number: config.SEED_NUMBER, until: config.SEED_UNTIL ?? monthOf(new Date()) };
  const policy = retryPolicy({ log, what: 'seed crm', retryable: isTransient, attempts: ATTEMPTS });
  const added = await policy.execute(() => fill(database, seed, log));
  log.info({ added, ...seed }, 'seeded');
});
