import { lookup } from 'node:dns/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { Client } from 'pg';
import type { Logger } from '../shared/kernel/log.ts';
import { asError } from '../shared/kernel/errors.ts';
import type { Login } from './roles.ts';

/** Where PgBouncers listen. */
export interface Pooler {
  /** A name that resolves to all of them. */
  host: string;
  port: number;
}

/** The kubelet updates a mounted Secret within about two minutes. */
const LIMIT_MS = 5 * 60_000;
const PAUSE_MS = 1_000;

/**
 * Waits until every PgBouncer connects every login to the database: the mounted file with its users is updated some time after the database.
 * @throws Error after five minutes, with the last error
 */
export async function waitForPoolers(poolers: Pooler, database: string, logins: Login[], log: Logger): Promise<void> {
  const deadline = performance.now() + LIMIT_MS;
  for (let logged = false; ; logged = true) {
    const refusal = await firstRefusal(poolers, database, logins);
    if (refusal === undefined) return;
    if (performance.now() > deadline) throw refusal;
    if (!logged) log.info({ error: refusal }, 'waiting for every PgBouncer to accept the logins');
    await pause(PAUSE_MS);
  }
}

async function firstRefusal({ host, port }: Pooler, database: string, logins: Login[]): Promise<Error | undefined> {
  try {
    for (const { address } of await lookup(host, { all: true }))
      for (const { name, password } of logins) await connect({ host: address, port, database, user: name, password });
    return undefined;
  } catch (error) {
    return asError(error);
  }
}

/** The statement shows that the login reaches the database, not only PgBouncer. */
async function connect(where: { host: string; port: number; database: string; user: string; password: string }): Promise<void> {
  const client = new Client({ ...where, connectionTimeoutMillis: 5_000, query_timeout: 10_000 });
  // The promises below report the same error.
  client.on('error', () => undefined);
  await client.connect();
  try {
    await client.query('SELECT');
  } finally {
    await client.end();
  }
}
