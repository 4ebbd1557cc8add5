import { lookup } from 'node:dns/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { Client } from 'pg';
import type { Logger } from '../shared/kernel/log.ts';
import { asError } from '../shared/kernel/errors.ts';
import type { Login } from './roles.ts';

/** Where PgBouncers listen. */
export interface Pooler {
  /** A name that stands for all of them. */
  host: string;
  port: number;
}

/** A mounted Secret is renewed within about two minutes. */
const LIMIT_MS = 5 * 60_000;
const PAUSE_MS = 1_000;

/**
 * Waits until every PgBouncer lets every login through to the database: the file with its users may be renewed some time after the database knew.
 * @throws Error after five minutes, with the last refusal
 */
export async function untilPoolersKnow(poolers: Pooler, database: string, logins: Login[], log: Logger): Promise<void> {
  const deadline = performance.now() + LIMIT_MS;
  for (let told = false; ; told = true) {
    const refusal = await firstRefusal(poolers, database, logins);
    if (refusal === undefined) return;
    if (performance.now() > deadline) throw refusal;
    if (!told) log.info({ error: refusal }, 'waiting until every PgBouncer knows the logins');
    await pause(PAUSE_MS);
  }
}

async function firstRefusal({ host, port }: Pooler, database: string, logins: Login[]): Promise<Error | undefined> {
  try {
    for (const { address } of await lookup(host, { all: true }))
      for (const { name, password } of logins) await enter({ host: address, port, database, user: name, password });
    return undefined;
  } catch (error) {
    return asError(error);
  }
}

/** Not only into PgBouncer: the statement goes through to the database. */
async function enter(where: { host: string; port: number; database: string; user: string; password: string }): Promise<void> {
  const client = new Client({ ...where, connectionTimeoutMillis: 5_000, query_timeout: 10_000 });
  // Said by the promises below as well.
  client.on('error', () => undefined);
  await client.connect();
  try {
    await client.query('SELECT');
  } finally {
    await client.end();
  }
}
